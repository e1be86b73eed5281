"""A machine in memory that speaks the wire: `Session` and `converge` run on it unmodified.

You say what each script answers; the fake does what the loop on a real machine would do with
those answers: frames, guards, payloads, and the faults that you ask for.

    machine = FakeMachine(answer, {"x": "1"})
    host = Host("fake", machine.session(), catalogue, Facts())
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from kubexm.shell import Exchange, Reply, Session
from kubexm.testing.wire import Batch, Said, calls

StateT = TypeVar("StateT")

Answer: TypeAlias = Callable[[str, bytes | None, StateT], Reply]
"""What a script does: its text, its payload and the machine's state, which it may alter."""

_NONCE = re.compile(r"[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A batch that breaks off. Made by `lost` and `late`.

    Args:
        trip: The batch, counted from 1 as `Session.trips` does.
        frame: Of that batch, counted from 0: the first one whose reply never comes.
        runs: How many frames, from that one on, the machine runs all the same.
        is_late: The deadline passed, instead of a link that was lost.
    """

    trip: int
    frame: int
    runs: int
    is_late: bool

    @classmethod
    def lost(cls, *, trip: int, frame: int, runs: int = 0) -> Fault:
        """The link is lost; the machine may run some frames before it notices."""
        return cls(trip=trip, frame=frame, runs=runs, is_late=False)

    @classmethod
    def late(cls, *, trip: int, frame: int, applied: bool = False) -> Fault:
        """The deadline passes while a frame is at work; perhaps it has taken effect."""
        return cls(trip=trip, frame=frame, runs=int(applied), is_late=True)


class FakeMachine(Generic[StateT]):
    """A machine whose scripts are answered by a function.

    Args:
        answer: Called for every script that runs, guards' probes included.
        state: What `answer` works on; yours to look at.
        faults: At most one for each batch.
        before_trip: Called with the batch's number and the state before its first frame: what
            somebody else does to the machine meanwhile.
        flaps: Of the scripts for which it is true, each reply is another one.
        piece_bytes: What the pipes hold: the most that one `exchange` moves each way.
    """

    def __init__(
        self,
        answer: Answer[StateT],
        state: StateT,
        *,
        faults: Iterable[Fault] = (),
        before_trip: Callable[[int, StateT], None] | None = None,
        flaps: Callable[[str], bool] | None = None,
        piece_bytes: int = 1 << 16,
    ) -> None:
        self._answer = answer
        self._faults = {fault.trip: fault for fault in faults}
        self._before_trip = before_trip
        self._flaps = flaps
        self._flapped = 0
        self._piece_bytes = piece_bytes
        self.state = state
        self.ran: list[str] = []
        """The text of every script that was run, in order."""

    def __repr__(self) -> str:
        return f"<FakeMachine: {len(self.ran)} scripts run>"

    def open(self, command: str) -> FakeProcess:
        """Start a session's loop; what `Connector.open` does. The login user is root.

        Raises:
            ValueError: The command line does not start a session.
        """
        found = _NONCE.search(command)
        if found is None:
            message = f"not the command line of a session: {command!r}"
            raise ValueError(message)
        return FakeProcess(self._loop(f"{found[0]} ready\n".encode()), self._piece_bytes)

    def session(self) -> Session:
        """A new session on the machine."""
        return Session.open(self.open)

    def run(self, text: str, payload: bytes | None = None) -> Reply:
        """Run one script, as the loop does."""
        self.ran.append(text)
        reply = self._answer(text, payload, self.state)
        if self._flaps is None or not self._flaps(text):
            return reply
        self._flapped += 1
        stdout = reply.stdout + f"{self._flapped}\n".encode()
        return Reply(exit_status=reply.exit_status, stdout=stdout, stderr=reply.stderr)

    def _loop(self, greeting: bytes) -> Generator[Said, _Inbox, None]:
        """The remote loop; it says something, or nothing while it waits for more input."""
        inbox = yield Said(greeting)
        token = (yield from inbox.line()).decode()
        trip = 0
        while True:
            size = int((yield from inbox.line()))
            program = (yield from inbox.take(size)).decode("utf-8", "surrogateescape")
            trip += 1
            if self._before_trip is not None:
                self._before_trip(trip, self.state)
            fault = self._faults.get(trip)
            batch = Batch(self.run, token)
            unheard = 0
            for number, call in enumerate(calls(program, token)):
                payload = call.payload
                if call.payload_bytes is not None:
                    payload = yield from inbox.take(call.payload_bytes)
                    if (yield from inbox.line()).decode() != token:
                        return
                if fault is None or number < fault.frame:
                    yield batch.frame(call, payload)
                    continue
                unheard += 1
                if unheard <= fault.runs:
                    batch.frame(call, payload)
                if fault.is_late:
                    yield batch.late(call)
                if fault.is_late or unheard > fault.runs:
                    return
            if unheard:
                return


class _Inbox:
    """What has arrived on stdin and was not read yet."""

    def __init__(self) -> None:
        self.held = bytearray()

    def take(self, size: int) -> Generator[Said, object, bytes]:
        """Exactly so many bytes."""
        while len(self.held) < size:
            yield Said()
        taken = bytes(self.held[:size])
        del self.held[:size]
        return taken

    def line(self) -> Generator[Said, object, bytes]:
        """Up to the next newline, without it."""
        while (end := self.held.find(b"\n")) < 0:
            yield Said()
        return (yield from self.take(end + 1))[:-1]


class FakeProcess:
    """The three pipes to a fake machine's loop; see `Process`."""

    def __init__(self, loop: Generator[Said, _Inbox, None], piece_bytes: int) -> None:
        self._loop = loop
        self._piece_bytes = piece_bytes
        self._inbox = _Inbox()
        self._out = bytearray()
        self._err = bytearray()
        self._ended = False
        self._hear(next(loop))

    def exchange(self, outgoing: memoryview, timeout_s: float) -> Exchange:
        """See `Process.exchange`; it never waits, because nothing happens by itself here.

        Raises:
            AssertionError: The caller waits for something that can never come.
        """
        taken = 0
        if not self._ended:
            taken = min(len(outgoing), self._piece_bytes)
            self._inbox.held += outgoing[:taken]
            self._advance()
        stdout, stderr = self._drain(self._out), self._drain(self._err)
        ended = self._ended and not self._out and not self._err
        if not (taken or stdout or stderr or ended):
            message = f"the fake machine waits for input; {timeout_s:g} s will not bring any"
            raise AssertionError(message)
        return Exchange(taken, stdout, stderr, ended)

    def close_stdin(self) -> None:
        """See `Process.close_stdin`."""
        self._ended = True

    def exit_status(self) -> int | None:
        """See `Process.exit_status`."""
        return 0 if self._ended else None

    def kill(self) -> None:
        """See `Process.kill`."""
        self._ended = True
        self._out.clear()
        self._err.clear()
        self._loop.close()

    def _advance(self) -> None:
        """Let the loop go on until it waits for input."""
        while not self._ended:
            try:
                said = self._loop.send(self._inbox)
            except StopIteration:
                self._ended = True
                return
            if not said:
                return
            self._hear(said)

    def _hear(self, said: Said) -> None:
        self._out += said.stdout
        self._err += said.stderr

    def _drain(self, held: bytearray) -> bytes:
        piece = bytes(held[: self._piece_bytes])
        del held[: self._piece_bytes]
        return piece
