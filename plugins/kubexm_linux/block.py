"""A marked block of lines in a text file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import HostError
from kubexm.runner.operations import BlockInFile
from kubexm_linux.text import bare, edit, ended, ending_of, lines_of, probe_text, read_text, text_of

if TYPE_CHECKING:
    from kubexm.facts import Facts
    from kubexm.runner import Change
    from kubexm.shell import Reply, Script
    from kubexm_linux.state import PathState


@dataclass(frozen=True, slots=True, kw_only=True)
class Markers:
    """The two lines around a block.

    Args:
        name: Of the block.
        comment: What starts a comment line in the file.
    """

    name: str
    comment: str = "#"

    @property
    def begin(self) -> str:
        """The first line, without its ending."""
        return f"{self.comment} BEGIN kubexm {self.name}"

    @property
    def end(self) -> str:
        """The last line, without its ending."""
        return f"{self.comment} END kubexm {self.name}"

    def find(self, lines: list[str], path: str) -> list[range]:
        """Where the block is, markers included.

        Args:
            lines: Of the file.
            path: For messages.

        Raises:
            HostError: A marker lacks the other one; nobody can say where the block ends.
        """
        found = []
        start = -1
        for number, line in enumerate(lines):
            match bare(line).rstrip():
                case self.begin if start >= 0:
                    raise _damaged(path, start, self.begin, self.end)
                case self.begin:
                    start = number
                case self.end if start < 0:
                    raise _damaged(path, number, self.end, self.begin)
                case self.end:
                    found.append(range(start, number + 1))
                    start = -1
        if start >= 0:
            raise _damaged(path, start, self.begin, self.end)
        return found


def _damaged(path: str, number: int, marker: str, other: str) -> HostError:
    message = f"{path}, line {number + 1}: {marker!r} without its {other!r}"
    return HostError(message, hint="put the missing marker back, or remove the block by hand")


def with_block(text: str, markers: Markers, block: list[str], path: str = "the file") -> str:
    """The text with the block in it once; doing it twice is doing it once.

    A block that is there keeps its place and the ending of its lines; a new one goes to the
    end, with the file's.

    Args:
        text: Of the file.
        markers: Of the block.
        block: Lines without endings; none: no such block.
        path: For messages.

    Raises:
        HostError: The markers are damaged.
    """
    lines = lines_of(text)
    places = markers.find(lines, path)
    for place in reversed(places[1:]):
        del lines[place.start : place.stop]
    if not block:
        if places:
            del lines[places[0].start : places[0].stop]
        return "".join(lines)
    start, stop = (places[0].start, places[0].stop) if places else (len(lines), len(lines))
    before, after = ended(lines[:start]), lines[stop:]
    ending = ending_of(lines[start:]) if places else ending_of(lines)
    whole = [f"{line}{ending}" for line in (markers.begin, *block, markers.end)]
    return "".join([*before, *whole, *after])


class BlocksInFiles:
    """`BlockInFile` on any Linux."""

    operation = BlockInFile

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: BlockInFile, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del facts
        return probe_text(op.path)

    def read(self, op: BlockInFile, reply: Reply, facts: Facts) -> PathState:
        """See `Handler.read`."""
        del facts
        return read_text(op.path, reply)

    def change(self, op: BlockInFile, state: PathState, facts: Facts) -> Change[PathState] | None:
        """See `Handler.change`."""
        block = op.block.removesuffix("\n").split("\n") if op.block else []
        markers = Markers(name=op.name, comment=op.comment)
        text = with_block(text_of(state), markers, block, op.path)
        return edit(op.path, state, text, mode=op.mode, facts=facts)
