"""One line of a text file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubexm.runner.operations import LineInFile
from kubexm_linux.text import bare, edit, ended, ending_of, lines_of, probe_text, read_text, text_of

if TYPE_CHECKING:
    from kubexm.facts import Facts
    from kubexm.runner import Change
    from kubexm.shell import Reply, Script
    from kubexm_linux.state import PathState


def with_line(text: str, line: str, pattern: str = "") -> str:
    """The text with the line in it, see `LineInFile`; doing it twice is doing it once.

    Args:
        text: Of the file.
        line: Without an ending; it gets the one that it replaces, or the file's.
        pattern: Matches `line`, too; empty for none.
    """
    lines = lines_of(text)
    if pattern:
        wanted = re.compile(pattern)
        found = [number for number, old in enumerate(lines) if wanted.search(bare(old))]
    else:
        found = [number for number, old in enumerate(lines) if bare(old) == line][:1]
    if not found:
        return "".join([*ended(lines), line + ending_of(lines)])
    first, *others = found
    ending = lines[first][len(bare(lines[first])) :]
    lines[first] = line + (ending if line else ending or "\n")
    for number in reversed(others):
        del lines[number]
    return "".join(lines)


class LinesInFiles:
    """`LineInFile` on any Linux."""

    operation = LineInFile

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: LineInFile, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del facts
        return probe_text(op.path)

    def read(self, op: LineInFile, reply: Reply, facts: Facts) -> PathState:
        """See `Handler.read`."""
        del facts
        return read_text(op.path, reply)

    def change(self, op: LineInFile, state: PathState, facts: Facts) -> Change[PathState] | None:
        """See `Handler.change`."""
        text = with_line(text_of(state), op.line, op.pattern)
        return edit(op.path, state, text, mode=op.mode, facts=facts)
