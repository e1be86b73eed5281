"""One persistent `sh` on a machine, as one user: batches of scripts in, replies out."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

from kubexm.errors import (
    ConnectError,
    DeadlineError,
    HostError,
    SessionLostError,
    UnreachableError,
    tail,
)
from kubexm.shell.escalation import (
    NO_ESCALATION,
    Become,
    Escalation,
    asked_without_password,
    asks,
    begun,
    refusal,
    silence,
    start_command,
    wrong_password,
)
from kubexm.shell.frame import (
    GRACE_S,
    BatchReply,
    Decoder,
    Frame,
    Guarded,
    Reply,
    Streamer,
    deadline_of,
    encode,
    libraries_of,
)
from kubexm.shell.script import Library, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from kubexm.shell.content import Content
    from kubexm.shell.process import Process

PRELUDE = Library.load("kubexm.shell", "prelude")
GUARD = Library.load("kubexm.shell", "guard")
"""What a `Guarded` needs."""

LOCK = Library.load("kubexm.shell", "lock")
"""The host lock; see `kubexm.runner.lock`."""
STATE = Library.load("kubexm.shell", "state")
"""Functions that tell what is at a path."""

FILE = Library.load("kubexm.shell", "file", STATE)
"""Functions that change files."""

TRANSFER = Library.load("kubexm.shell", "transfer", FILE)
"""Functions that put and get files."""

OutputListener = Streamer
"""Called with (frame number, "stdout" or "stderr", data) while output arrives."""

_SLACK_S = 15
_TURN_S = 60.0
_NO_BYTES = memoryview(b"")


class Session:
    """A shell that stays, so that a batch of any number of scripts costs one round trip.

    Open it with `Session.open`. A lock keeps batches apart; `kill` may come from any thread.
    A session that lost its link or passed a deadline is `broken` and takes no more batches.
    """

    def __init__(self, process: Process, *, user: str, nonce: str) -> None:
        self._process = process
        self._token = secrets.token_hex(16)
        self._nonce = nonce
        self._loaded: set[Library] = set()
        self._lock = threading.Lock()
        self._greeted = False
        self.user = user
        self.broken = False
        self.trips = 0

    def __repr__(self) -> str:
        state = "broken" if self.broken else "open"
        return f"<Session as {self.user}, {state}, {self.trips} trips>"

    @classmethod
    def open(
        cls,
        start: Callable[[str], Process],
        escalation: Escalation = NO_ESCALATION,
        *,
        timeout_s: float = 15,
        login: bool = False,
    ) -> Session:
        """Start the loop on a machine, as another user where asked, and wait until it is there.

        Args:
            start: A connector's `open`.
            escalation: Whom to become, and how.
            timeout_s: For the shell to start, sudo's conversation included.
            login: Keep the login environment and directory instead of settling in / with the
                C locale.

        Raises:
            EscalationError: sudo, su or doas refused, is absent, or said nothing in time.
            ConnectError: The login shell did not start ours.
        """
        nonce, prompt = secrets.token_hex(8), secrets.token_hex(16)
        process = start(start_command(escalation, nonce, prompt, login=login))
        try:
            converse(process, escalation, nonce=nonce, prompt=prompt, timeout_s=timeout_s)
        except BaseException:
            process.kill()
            raise
        user = "" if escalation.method is Become.NONE else escalation.user
        return cls(process, user=user, nonce=nonce)

    def run(
        self,
        frames: Sequence[Frame],
        *,
        deadline_s: float = 600,
        cap_bytes: int = 64 << 20,
        listener: OutputListener | None = None,
        grace_s: float = GRACE_S,
    ) -> BatchReply:
        """One round trip: every frame in order.

        Args:
            frames: Scripts and guarded operations.
            deadline_s: Enforced on the machine over the frames without a deadline of their
                own; 0 for none. A frame that has one starts the clock anew for those behind it.
            cap_bytes: Kept of each output; what is beyond is dropped and flagged.
            listener: Gets output while it arrives, but not that of secret frames.
            grace_s: What runs at the deadline has so long to end before it is killed.

        Returns:
            The replies; when the link broke or time ran out, those that came and the error.
        """
        if not frames:
            return BatchReply(replies=())
        with self._lock:
            if self.broken:
                return BatchReply(replies=(), ended_by=SessionLostError("the session is closed"))
            self.trips += 1
            try:
                return self._run(
                    frames,
                    Decoder(frames, self._token, cap_bytes=cap_bytes, listener=listener),
                    deadline_s=deadline_s,
                    grace_s=grace_s,
                )
            except BaseException:
                self.kill()
                raise

    def ask(self, script: Script, *, deadline_s: float = 600) -> Reply:
        """One script, one reply.

        Raises:
            SessionLostError: The link broke before the reply was whole.
            DeadlineError: Time ran out.
        """
        (reply,) = self.run((script,), deadline_s=deadline_s).whole()
        if not isinstance(reply, Reply):
            message = "a plain script gets a plain reply"
            raise TypeError(message)
        return reply

    def close(self) -> None:
        """End the loop in an orderly way; harmless when repeated."""
        if not self.broken:
            self.broken = True
            self._process.close_stdin()
        self._process.kill()

    def kill(self) -> None:
        """Drop the link at once. What runs on the machine ends its script and goes no further."""
        self.broken = True
        self._process.kill()

    def _run(
        self, frames: Sequence[Frame], decoder: Decoder, *, deadline_s: float, grace_s: float
    ) -> BatchReply:
        guard = (GUARD,) if any(isinstance(frame, Guarded) for frame in frames) else ()
        wanted = (PRELUDE, *guard, *libraries_of(frames))
        missing = [library for library in wanted if library not in self._loaded]
        program, payloads = encode(
            frames, self._token, deadline_s=deadline_s, libraries=missing, grace_s=grace_s
        )
        if not self._greeted:
            program = f"{self._token}\n".encode() + program
        self._greeted = True
        self._loaded.update(missing)
        longest = max((deadline_of(frame) or deadline_s or float("inf")) for frame in frames)
        patience_s = longest + grace_s + _SLACK_S
        try:
            fault = self._pump((program, *payloads), decoder, patience_s)
        except UnreachableError as error:
            fault = error
        if decoder.complete and fault is None:
            return BatchReply(replies=decoder.replies)
        self.kill()
        done = len(decoder.replies)
        if decoder.late:
            fault = DeadlineError(
                "the deadline passed; what was running has been ended, "
                "and whether it had taken effect is unknown",
                hint="look at the host, then run again, with a longer --timeout if need be",
            )
        else:
            cause = f": {fault}" if fault is not None else ""
            fault = SessionLostError(
                f"the connection was lost after {done} of {len(frames)} scripts{cause}",
                completed=done,
                hint="whether the script that was running took effect is unknown; run again",
            )
        return BatchReply(replies=decoder.replies, ended_by=fault)

    def _pump(
        self, chunks: Iterable[bytes | Content], decoder: Decoder, patience_s: float
    ) -> HostError | None:
        """Move bytes both ways until all replies are in, the process ends, or nothing moves."""
        pieces = _pieces(chunks)
        outgoing = next(pieces, _NO_BYTES)
        moved = time.monotonic()
        while not decoder.complete and not decoder.late:
            left = moved + patience_s - time.monotonic()
            turn_s = min(_TURN_S, max(left, 0.1))
            taken, stdout, stderr, ended = self._process.exchange(outgoing, turn_s)
            if taken:
                outgoing = outgoing[taken:] or next(pieces, _NO_BYTES)
            if stdout or stderr:
                decoder.feed(stdout, stderr)
            if ended:
                return None
            now = time.monotonic()
            if taken or stdout or stderr:
                moved = now
            elif now - moved > patience_s:
                # not a deadline: the machine enforces those, and it may go on unheard
                message = f"the host said nothing for {now - moved:.0f} s"
                return UnreachableError(message)
        return None


def _pieces(chunks: Iterable[bytes | Content]) -> Iterator[memoryview]:
    """What to write, in order; of content on disk only one piece is in memory."""
    for chunk in chunks:
        if not isinstance(chunk, bytes):
            yield from (memoryview(piece) for piece in chunk.chunks())
        elif chunk:
            yield memoryview(chunk)


def converse(
    process: Process, escalation: Escalation, *, nonce: str, prompt: str, timeout_s: float
) -> tuple[bytes, bytes]:
    """Wait for the loop to announce itself; answer the password prompt once, when it comes.

    Returns:
        All that was said until then, on stdout and on stderr.

    Raises:
        EscalationError: Whom we asked refused, is absent, or said nothing in time.
        ConnectError: The login shell did not start ours.
    """
    ready = f"{nonce} ready\n".encode()
    out, err = bytearray(), bytearray()
    heard = 0
    answered = False
    outgoing = _NO_BYTES
    limit = time.monotonic() + timeout_s
    while True:
        left = limit - time.monotonic()
        taken, stdout, stderr, ended = process.exchange(outgoing, max(0.0, min(left, _TURN_S)))
        outgoing = outgoing[taken:]
        out += stdout
        err += stderr
        if ready in out:
            return bytes(out), bytes(err)
        said = begun(err.decode("utf-8", "replace"), nonce)
        if said is None:
            if ended or left <= 0:
                raise _no_shell(bytes(err + out), timeout_s, ended=ended)
        elif ended:
            raise refusal(escalation, said + out.decode("utf-8", "replace"), answered=answered)
        elif asks(escalation, said[heard:], prompt):
            if answered:
                raise wrong_password(escalation)
            if escalation.password is None:
                raise asked_without_password(escalation)
            word = escalation.password.reveal().encode("utf-8", "surrogateescape")
            outgoing = memoryview(word + b"\n")
            answered = True
            heard = len(said)
        elif left <= 0:
            raise silence(escalation, said, prompt, timeout_s)


def _no_shell(said: bytes, timeout_s: float, *, ended: bool) -> ConnectError:
    words = tail(said.decode("utf-8", "replace"), lines=3) or "no output"
    if ended:
        return ConnectError(
            f"the login shell did not start sh: {words}",
            hint="the login user needs a shell that runs commands (not nologin or false)",
        )
    return UnreachableError(
        f"the shell on the host did not start within {timeout_s:g} s: {words}",
        hint="the host hangs, or its login files never end",
    )
