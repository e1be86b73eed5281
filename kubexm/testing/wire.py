"""The far end of the wire, in Python: what prelude.sh and guard.sh do with a batch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.shell.frame import Reply, digest

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = r"""[A-Za-z0-9_@%+:,./-]+|'[^']*'|"[^"$`\\]*"|\\[^\n]"""
_WORD = re.compile(f"(?:{_PIECE})+", re.ASCII)
_PIECES = re.compile(_PIECE, re.ASCII)
_LINE = re.compile(r"^kx_", re.ASCII | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Said:
    """Bytes for both output streams."""

    stdout: bytes = b""
    stderr: bytes = b""

    def __bool__(self) -> bool:
        return bool(self.stdout or self.stderr)

    def __add__(self, other: Said) -> Said:
        return Said(self.stdout + other.stdout, self.stderr + other.stderr)


@dataclass(frozen=True, slots=True)
class Call:
    """One frame as it arrives: `kx_run`, `kx_stay`, `kx_guard` or `kx_swap` and its arguments."""

    words: tuple[str, ...]

    @property
    def number(self) -> str:
        """Its place in the batch."""
        return self.words[1]

    @property
    def payload_bytes(self) -> int | None:
        """How much of stdin behind the program belongs to it; `None` when nothing does."""
        return int(self._stdin) if self._stdin.isdecimal() else None

    @property
    def payload(self) -> bytes | None:
        """What its script reads, when that stands in the program."""
        word = self._stdin
        return word[1:].encode("utf-8", "surrogateescape") if word.startswith(("=", ":")) else None

    @property
    def _stdin(self) -> str:
        match self.words:
            case ("kx_run", _, _, stdin, *_) | ("kx_guard" | "kx_swap", _, _, _, _, stdin, _):
                return stdin
            case _:
                return "-"


class Batch:
    """The frames of one program, and the mode that they share.

    Args:
        run: Runs a script with a payload.
        token: The session's.
    """

    def __init__(self, run: Callable[[str, bytes | None], Reply], token: str) -> None:
        self._run = run
        self._token = token
        self._mode = "apply"

    def frame(self, call: Call, payload: bytes | None) -> Said:
        """Run one frame: all that it says."""
        if call.words[0] in ("kx_run", "kx_stay"):
            reply = self._run(call.words[2], payload)
            said, status = _output(reply), reply.exit_status
        else:
            said, status = self._guard(call.words, payload)
        return self._marked(f"b {call.number}") + said + self._marked(f"e {call.number} {status}")

    def late(self, call: Call) -> Said:
        """What a frame says when the deadline has passed."""
        return self._marked(f"b {call.number}") + self._marked(f"e {call.number} late")

    def _guard(self, words: tuple[str, ...], payload: bytes | None) -> tuple[Said, int]:
        kind, _, expected, probe, change, _, unmet = words
        if self._mode == "apply":
            seen = self._run(probe, None)
            if expected not in (_as_text(seen), digest(seen.stdout, seen.exit_status)):
                self._mode = "stale"
        if self._mode == "stop":
            return self._marked("s skipped"), 0
        if self._mode == "stale":
            reading = self._run(probe, None)
            return self._marked("s stale") + _output(reading), reading.exit_status
        if unmet == "1":
            self._mode = "stop"
            return self._marked("s unmet"), 0
        if not change:
            return self._marked("s same"), 0
        reply = self._run(change, payload)
        said = self._marked("s change") + _output(reply)
        said += self._marked(f"s after {reply.exit_status}")
        if reply.exit_status != 0:
            self._mode = "stop"
        if reply.exit_status != 0 or kind == "kx_swap":
            return said, 0
        reading = self._run(probe, None)
        return said + _output(reading), reading.exit_status

    def _marked(self, words: str) -> Said:
        line = f"{self._token} {words}\n".encode()
        return Said(line, line)


def calls(program: str, token: str) -> tuple[Call, ...]:
    """The frames of a program. Before them stand libraries: whatever does not parse as frames.

    Raises:
        ValueError: It is not a batch.
    """
    for line in _LINE.finditer(program):
        found = _parse(program, line.start(), f"#{token}")
        if found:
            return found
    message = "the program is not a batch"
    raise ValueError(message)


def _parse(program: str, at: int, end: str) -> tuple[Call, ...] | None:
    """Simple commands of quoted words, one a line, up to the end; `None` for anything else."""
    found: list[Call] = []
    words: list[str] = []
    while words or not program.startswith(end, at):
        word = _WORD.match(program, at)
        if word is None or not program.startswith((" ", "\n"), word.end()):
            return None
        words.append("".join(_unquoted(piece) for piece in _PIECES.findall(word[0])))
        at = word.end() + 1
        if program[word.end()] == " ":
            continue
        match words:
            case (
                ["kx_run", _, _, _, *_]
                | ["kx_stay", _, _]
                | ["kx_guard" | "kx_swap", _, _, _, _, _, _]
            ):
                found.append(Call(tuple(words)))
            case ["kx_batch" | "kx_arm" | "kx_see" | "kx_flush", *_]:
                pass
            case _:
                return None
        words = []
    return tuple(found)


def _unquoted(piece: str) -> str:
    match piece[0]:
        case "'" | '"':
            return piece[1:-1]
        case "\\":
            return piece[1:]
        case _:
            return piece


def _as_text(reading: Reply) -> str:
    return f"={reading.text}{reading.exit_status}"


def _output(reply: Reply) -> Said:
    return Said(reply.stdout, reply.stderr)
