"""Framing: a batch of scripts as bytes, and a reply stream as replies.

One batch is one length-prefixed program for the session's loop, followed by the payloads in
order. Each script is a quoted word of that program, so that no script can unbalance another.
Lines that start with the session's token frame what comes back, on stdout and on stderr.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from kubexm.shell.script import Library, Script, quote

if TYPE_CHECKING:
    from kubexm.errors import HostError
    from kubexm.shell.content import Content

GRACE_S = 10
"""Seconds between TERM and KILL when a deadline has passed: dpkg wants to finish its step."""

_INLINE_BYTES = 16_384
"""A payload of up to so many bytes is a word of the program: a pipe holds it, and it takes two
processes where others take five."""

_SHOWN_BYTES = 512
"""A reading of up to so many bytes is compared as it is, which saves the processes of a digest."""

Streamer: TypeAlias = Callable[[int, str, bytes], None]


def digest(stdout: bytes, exit_status: int) -> str:
    """SHA-256 over a probe's stdout and its status line."""
    return hashlib.sha256(stdout + f"{exit_status}\n".encode()).hexdigest()


def expectation(reading: Reply) -> str:
    """What `kx_guard` compares: a short reading with its status after `=`, a long one's digest.

    A shell loses NULs, so that a reading with one is never compared as text.
    """
    stdout = reading.stdout
    if reading.secret or len(stdout) > _SHOWN_BYTES or b"\0" in stdout:
        return digest(stdout, reading.exit_status)
    return f"={reading.text}{reading.exit_status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one script answered. `truncated` says that output beyond the cap was dropped."""

    exit_status: int
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    secret: bool = False

    def __repr__(self) -> str:
        if self.secret:
            return f"Reply(exit_status={self.exit_status}, ***)"
        cut = ", truncated" if self.truncated else ""
        return f"Reply(exit_status={self.exit_status}, {self.stdout!r}, {self.stderr!r}{cut})"

    @property
    def text(self) -> str:
        """Stdout as UTF-8; bytes that are not are kept by surrogate escapes."""
        return self.stdout.decode("utf-8", "surrogateescape")


class Verdict(StrEnum):
    """What a guarded operation came to on the machine."""

    SAME = "same"
    CHANGED = "changed"
    FAILED = "failed"
    STALE = "stale"
    UNMET = "unmet"
    SKIPPED = "skipped"


def may_read_later(probe: Script, change: Script | None) -> bool:
    """Whether one process can take the reading again and make the change: see `kx_swap`.

    That takes a probe with an `answer`, no deadlines, and a change that reads nothing from stdin.
    """
    if change is None or not probe.answer or probe.deadline_s or change.deadline_s:
        return False
    if change.payload is not None:
        return change.in_variable and _is_inline(change.payload)
    return change.content is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """One operation of trip 2.

    Args:
        probe: Read again before anything is changed.
        expected: The `expectation` of the reading on which `change` was decided.
        change: What to do when the reading is still the same; `None` for nothing.
        unmet: That reading lacked a prerequisite; when it still does, the batch stops here.
        read_later: Leave the reading after the change to a script behind it in the batch; see
            `may_read_later`.
    """

    probe: Script
    expected: str
    change: Script | None
    unmet: bool = False
    read_later: bool = False

    def __post_init__(self) -> None:
        if self.read_later and (self.unmet or not may_read_later(self.probe, self.change)):
            message = "this reading cannot be left to later"
            raise ValueError(message)

    @property
    def secret(self) -> bool:
        """Whether anything of it is."""
        return self.probe.secret or (self.change is not None and self.change.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedReply:
    """What became of a `Guarded`.

    `change` is the change's own reply (CHANGED, FAILED); `reading` is the fresh reading: after
    the change (CHANGED, unless that is left to later), or instead of it (STALE).
    """

    verdict: Verdict
    change: Reply | None = None
    reading: Reply | None = None


Frame: TypeAlias = Script | Guarded
FrameReply: TypeAlias = Reply | GuardedReply


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReply:
    """The replies of a batch as far as they came, in order, and what ended it early."""

    replies: tuple[FrameReply, ...]
    ended_by: HostError | None = None

    def whole(self) -> tuple[FrameReply, ...]:
        """All replies.

        Raises:
            SessionLostError: The link broke in mid-batch.
            DeadlineError: Time ran out in mid-batch.
        """
        if self.ended_by is not None:
            raise self.ended_by
        return self.replies


def libraries_of(frames: Iterable[Frame]) -> tuple[Library, ...]:
    """Every library that the frames call, each once, behind those that it needs."""
    found: dict[Library, None] = {}

    def add(libraries: tuple[Library, ...]) -> None:
        for library in libraries:
            if library not in found:
                add(library.needs)
                found[library] = None

    for frame in frames:
        scripts = (frame,) if isinstance(frame, Script) else (frame.probe, frame.change)
        for script in scripts:
            if script is not None:
                add(script.libraries)
    return tuple(found)


def deadline_of(frame: Frame) -> float:
    """The frame's own deadline in seconds; 0 when the batch's covers it."""
    if isinstance(frame, Script):
        return frame.deadline_s
    own = frame.change.deadline_s if frame.change is not None else 0
    return max(own, frame.probe.deadline_s)


def encode(
    frames: Sequence[Frame],
    token: str,
    *,
    deadline_s: float,
    libraries: Iterable[Library] = (),
    grace_s: float = GRACE_S,
) -> tuple[bytes, tuple[bytes | Content, ...]]:
    """A batch as what to write: length line and program, and then the payloads.

    Args:
        frames: The scripts and guarded operations, in order.
        token: The session's token; it ends the program, and follows each payload, so that a
            cut one is noticed.
        deadline_s: For each run of frames without a deadline of their own; 0 for none.
        libraries: Those that the session does not hold yet.
        grace_s: Between TERM and KILL.
    """
    lines = [library.text for library in libraries]
    lines.append("kx_batch")
    payloads: list[bytes | Content] = []
    shared = False
    looks = _looks(frames)
    for number, frame in enumerate(frames):
        change: Script | None
        if isinstance(frame, Script):
            own, tied, change = frame.deadline_s, frame.tied, frame
        else:
            own, tied, change = deadline_of(frame), False, frame.change
        if own or tied or not shared:
            seconds = f"{math.ceil(own or deadline_s)} {math.ceil(grace_s)}"
            lines.append(f"kx_arm {seconds} 1" if tied else f"kx_arm {seconds}")
            shared = not own and not tied
        if number in looks:
            lines += looks[number]
        stdin = "-"
        if change is not None and (payload := change.stdin) is not None:
            stdin = _inline(change)
            if not stdin:
                payloads += (payload, f"{token}\n".encode())
                is_direct = not isinstance(payload, bytes) and payload.direct
                stdin = f"+{len(payload)}" if is_direct else str(len(payload))
        if isinstance(frame, Script):
            words = f"{number} {quote(frame.text)}"
            if frame.stays:
                lines.append(f"kx_stay {words}")
            elif frame.answer:
                lines.append(f"kx_run {words} {stdin} {frame.answer}")
            else:
                lines.append(f"kx_run {words} {stdin}")
        else:
            text = "" if change is None else change.text
            is_swap = frame.read_later
            lines.append(
                f"{'kx_swap' if is_swap else 'kx_guard'} {number} {quote(frame.expected)} "
                f"{quote(frame.probe.text)} {quote(text)} {stdin} "
                f"{frame.probe.answer if is_swap else int(frame.unmet)}"
            )
    lines += (*looks.get(len(frames), ()), "kx_flush", "kx_arm 0")
    program = ("\n".join(lines) + f"\n#{token}").encode("utf-8", "surrogateescape")
    return f"{len(program)}\n".encode() + program, tuple(payloads)


def _inline(script: Script) -> str:
    """The payload as a word of the program; empty when it stands behind it."""
    if script.payload is None or not _is_inline(script.payload):
        return ""
    kind = ":" if script.in_variable else "="
    return quote(kind + script.payload.decode("utf-8", "surrogateescape"))


def _is_inline(payload: bytes) -> bool:
    return len(payload) <= _INLINE_BYTES and b"\0" not in payload


def _looks(frames: Sequence[Frame]) -> dict[int, list[str]]:
    """What goes before the frame of a number: see `Script.looks`.

    Changes see nothing of it, and what has a deadline of its own neither pays for it nor gains.
    """
    lines: dict[int, list[str]] = {}
    words: dict[str, dict[str, None]] = {}
    first = 0
    for number, frame in enumerate((*frames, None)):
        if isinstance(frame, Script) and not (frame.stays or frame.tied or frame.deadline_s):
            for function, word in frame.looks:
                words.setdefault(function, {})[word] = None
            continue
        for function, some in words.items():
            lines.setdefault(first, []).append(f"kx_see {function} {' '.join(some)}")
            lines.setdefault(number, []).append(f"kx_see {function}")
        words = {}
        first = number + 1
    return lines


@dataclass(slots=True)
class _Part:
    """Output between two marker lines."""

    words: tuple[str, ...]
    data: bytearray = field(default_factory=bytearray)
    truncated: bool = False


@dataclass(slots=True)
class _Frame:
    parts: list[_Part]
    status: str = ""


class Stream:
    """Splits one output stream into frames; what is outside frames is discarded.

    Args:
        token: The session's token. Random, so output cannot contain it by chance.
        cap_bytes: Kept of a part; the rest is dropped and the part is marked.
        listener: Gets `(frame number, data)` as it arrives.

    `frames` holds those that are complete, until somebody takes them.
    """

    def __init__(
        self, token: str, *, cap_bytes: int, listener: Callable[[int, bytes], None] | None = None
    ) -> None:
        self._token = token.encode()
        self._cap = cap_bytes
        self._listener = listener
        self._held = bytearray()
        self._open: _Frame | None = None
        self._number = 0
        self.frames: deque[_Frame] = deque()

    def feed(self, data: bytes) -> None:
        """Take what arrived; costs time linear in its size."""
        self._held += data
        while True:
            start = self._held.find(self._token)
            if start < 0:
                self._emit(len(self._held) - self._undecided())
                return
            self._emit(start)
            end = self._held.find(b"\n")
            if end < 0:
                return
            words = tuple(self._held[:end].decode("ascii", "replace").split()[1:])
            del self._held[: end + 1]
            self._mark(words)

    def _undecided(self) -> int:
        """How many bytes at the end may be the beginning of the token."""
        last = bytes(self._held[1 - len(self._token) :])
        start = last.find(self._token[:1])
        while start >= 0 and not self._token.startswith(last[start:]):
            start = last.find(self._token[:1], start + 1)
        return len(last) - start if start >= 0 else 0

    def _emit(self, count: int) -> None:
        if count and self._open is not None:
            part = self._open.parts[-1]
            chunk = bytes(self._held[:count])
            room = self._cap - len(part.data)
            part.data += chunk[: max(0, room)]
            part.truncated = part.truncated or count > room
            if self._listener is not None:
                self._listener(self._number, chunk)
        del self._held[:count]

    def _mark(self, words: tuple[str, ...]) -> None:
        match words:
            case ("b", _):
                self._open = _Frame([_Part(words)])
            case ("s", *rest) if self._open is not None:
                self._open.parts.append(_Part(tuple(rest)))
            case ("e", _, status) if self._open is not None:
                self._open.status = status
                self.frames.append(self._open)
                self._number += 1
                self._open = None
            case _:
                pass


class Decoder:
    """Both streams of a batch, and the replies that are complete on both."""

    def __init__(
        self,
        frames: Sequence[Frame],
        token: str,
        *,
        cap_bytes: int,
        listener: Streamer | None = None,
    ) -> None:
        self._frames = frames

        def to(name: str) -> Callable[[int, bytes], None] | None:
            if listener is None:
                return None

            def hear(number: int, data: bytes) -> None:
                if not frames[number].secret:
                    listener(number, name, data)

            return hear

        self._stdout = Stream(token, cap_bytes=cap_bytes, listener=to("stdout"))
        self._stderr = Stream(token, cap_bytes=cap_bytes, listener=to("stderr"))
        self._replies: list[FrameReply] = []
        self.late = False

    def feed(self, stdout: bytes, stderr: bytes) -> None:
        """Take what arrived and complete what can be completed."""
        self._stdout.feed(stdout)
        self._stderr.feed(stderr)
        while self._stdout.frames and self._stderr.frames and not self.late:
            out, err = self._stdout.frames.popleft(), self._stderr.frames.popleft()
            if out.status == "late":
                self.late = True
                return
            self._replies.append(_reply(self._frames[len(self._replies)], out, err))

    @property
    def replies(self) -> tuple[FrameReply, ...]:
        """Those that are complete so far."""
        return tuple(self._replies)

    @property
    def complete(self) -> bool:
        """Whether every frame of the batch has its reply."""
        return len(self._replies) == len(self._frames)


def _plain(out: _Part, err: _Part, status: int, *, secret: bool) -> Reply:
    return Reply(
        exit_status=status,
        stdout=bytes(out.data),
        stderr=bytes(err.data),
        truncated=out.truncated or err.truncated,
        secret=secret,
    )


def _reply(frame: Frame, out: _Frame, err: _Frame) -> FrameReply:
    secret = frame.secret
    status = int(out.status)
    if isinstance(frame, Script):
        return _plain(out.parts[0], err.parts[0], status, secret=secret)
    kinds = [part.words[0] for part in out.parts[1:]]
    match kinds:
        case ["stale"]:
            reading = _plain(out.parts[1], err.parts[1], status, secret=secret)
            return GuardedReply(verdict=Verdict.STALE, reading=reading)
        case ["after"] | ["change", "after"]:
            code = int(out.parts[-1].words[1])
            change = _plain(out.parts[-2], err.parts[-2], code, secret=secret)
            was_begun = "change" in kinds
            if code != 0 or not was_begun:
                return GuardedReply(verdict=Verdict.FAILED, change=change)
            if frame.read_later:
                return GuardedReply(verdict=Verdict.CHANGED, change=change)
            reading = _plain(out.parts[2], err.parts[2], status, secret=secret)
            return GuardedReply(verdict=Verdict.CHANGED, change=change, reading=reading)
        case [kind]:
            return GuardedReply(verdict=Verdict(kind))
        case _:
            message = f"the remote loop framed a guarded reply as {kinds}"
            raise AssertionError(message)
