"""Editing a text file that others write too: read it whole, edit it purely, replace it at once.

Lines end at a newline and nowhere else; a carriage return before it belongs to the line's
ending. Bytes that are not UTF-8 come through unharmed (surrogate escapes).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from kubexm.errors import HostError
from kubexm.runner import Change, text_diff
from kubexm.shell import FILE, Reply, Script
from kubexm_linux.state import CONTENT_LIMIT, Kind, PathState, probe_state, read_state, state_diff

if TYPE_CHECKING:
    from kubexm.facts import Facts


def probe_text(path: str) -> Script:
    """What a write to the path would replace, with its content."""
    return probe_state(path)


def read_text(path: str, reply: Reply) -> PathState:
    """The state of a text file that is to be edited.

    Raises:
        HostError: It is not a text file, or too large to be edited.
    """
    state = read_state(path, reply)
    if state.kind is Kind.DANGLING:
        message = f"{path} is a symbolic link that leads nowhere"
        raise HostError(message, hint="remove it first, or choose another path")
    if state.kind not in (Kind.FILE, Kind.ABSENT):
        message = f"{path} is not a regular file but a {state.kind}"
        raise HostError(message, hint="remove it first, or choose another path")
    if b"\0" in (state.content or b""):
        message = f"{path} holds NUL bytes, so it is no text file"
        raise HostError(message, hint="write the whole file")
    if state.kind is Kind.FILE and state.content is None:
        message = f"{path} is larger than 64 KiB, too large to be edited in part"
        raise HostError(message, hint="write the whole file, or use a drop-in file")
    return state


def text_of(state: PathState) -> str:
    """The file's text; empty for one that does not exist."""
    return (state.content or b"").decode("utf-8", "surrogateescape")


def edit(
    path: str, state: PathState, text: str, *, mode: int, facts: Facts
) -> Change[PathState] | None:
    """The change that gives a file a new text and leaves its mode and owner.

    Args:
        path: Of the file.
        state: As `read_text` gave it.
        text: What it should hold. An empty text is no reason to make a file.
        mode: Of a file that has to be made.
        facts: The machine's.

    Raises:
        HostError: The text is too large to be read back.
    """
    if text == text_of(state):
        return None
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > CONTENT_LIMIT:
        message = f"{path} would become larger than 64 KiB, too large to be edited in part"
        raise HostError(message, hint="write the whole file, or use a drop-in file")
    is_new = state.kind is Kind.ABSENT
    after = replace(
        state,
        kind=Kind.FILE,
        mode=mode if is_new else state.mode,
        owner=facts.user if is_new else state.owner,
        group=state.group or facts.group,
        digest=hashlib.sha256(data).hexdigest(),
        content=data,
    )
    script = FILE.call("kx_replace", path, f"{after.mode:o}", payload=data, in_variable=True)
    if is_new:
        diff = state_diff(path, state, after)
    else:
        diff = text_diff(path, _shown(state), _shown(after))
    return Change(before=state, after=after, script=script, diff=diff)


def lines_of(text: str) -> list[str]:
    """The lines with their endings; only the last one may lack its newline."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop().removesuffix("\n")
    return [*lines, last] if last else lines


def bare(line: str) -> str:
    """The line without its ending."""
    return line.removesuffix("\n").removesuffix("\r")


def ending_of(lines: list[str]) -> str:
    """What ends a line in this file: as its first line ends, a newline where nothing is known."""
    return "\r\n" if lines and lines[0].endswith("\r\n") else "\n"


def ended(lines: list[str]) -> list[str]:
    """The lines, of which the last one is ended too."""
    if lines and not lines[-1].endswith("\n"):
        return [*lines[:-1], lines[-1].removesuffix("\r") + ending_of(lines[:1])]
    return lines


def _shown(state: PathState) -> str:
    return (state.content or b"").decode("utf-8", "backslashreplace")
