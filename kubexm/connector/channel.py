"""A command on an ssh channel as a `Process`: event-driven, non-blocking, safe to kill.

paramiko's own thread fills two buffers; both set one shared event, on which `exchange` sleeps.
Nothing polls while the machine is silent.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, cast

from kubexm.connector.dial import lost
from kubexm.connector.turn import send_last, turn
from kubexm.shell import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko import Channel

    from kubexm.connector.dial import Line
    from kubexm.connector.tunnel import Tunnel

_TURN = 1 << 20
_WHOLE_BUFFER = 1 << 30
"""More than a channel's window: a partial read of paramiko's buffer moves all that remains."""
_SHORT_WAY_S = 0.005
_SHORT_WAY_BYTES = 1 << 20
"""At least 200 MB/s, then."""
_SETTLE_S = 1.0
_POLITE_S = 1.0


class SshProcess:
    """A running command. One thread drives it; any thread may `kill` it.

    Args:
        channel: A session channel on which the command was started or is about to be.
        host: The name for errors.
    """

    def __init__(self, channel: Channel, *, host: str) -> None:
        from paramiko import SSHException

        from kubexm.connector.packets import send_content

        self._send = send_content
        self._channel = channel
        self._transport = channel.get_transport()
        self._host = host
        self._moved = threading.Event()
        self._is_writable = True
        self._killed = threading.Event()
        self._is_settled = False
        self._drained_at: float | None = None
        self._faults = (SSHException, EOFError, OSError)
        channel.settimeout(0.0)
        channel.in_buffer.set_event(self._moved)
        channel.in_stderr_buffer.set_event(self._moved)
        self._room = channel.out_buffer_cv = _Room(channel, self._moved)

    def __repr__(self) -> str:
        state = "ended" if self._is_drained() else "running"
        return f"<SshProcess on {self._host}, {'killed' if self._killed.is_set() else state}>"

    def exchange(self, outgoing: memoryview, timeout_s: float) -> Exchange:
        """See `Process.exchange`."""
        limit = time.monotonic() + timeout_s
        taken, stdout, stderr = self._move(outgoing)
        if not taken and not stdout and not stderr and not self._is_drained():
            self._wait(limit, writing=bool(outgoing))
            taken, stdout, stderr = self._move(outgoing)
        if taken or stdout or stderr:
            return Exchange(taken, stdout, stderr, ended=False)
        return Exchange(0, b"", b"", self._is_drained() and self._has_ended(limit))

    def close_stdin(self) -> None:
        """See `Process.close_stdin`."""
        self._is_writable = False
        self._politely(self._channel.shutdown_write)

    def exit_status(self) -> int | None:
        """See `Process.exit_status`. A command that a signal ended tells none (RFC 4254, 6.10)."""
        if not self._channel.status_event.is_set():
            return None
        status = self._channel.exit_status
        return status if status >= 0 else None

    def kill(self) -> None:
        """Close the channel; sshd then closes the command's pipes."""
        self._killed.set()
        self._is_writable = False
        self._moved.set()
        if not self._channel.closed:
            self._politely(self._channel.close)

    def _move(self, outgoing: memoryview) -> tuple[int, bytes, bytes]:
        if self._killed.is_set():
            return 0, b"", b""
        channel = self._channel
        stdout = stderr = b""
        try:
            if channel.recv_ready():
                stdout = channel.recv(_WHOLE_BUFFER)
            if channel.recv_stderr_ready():
                stderr = channel.recv_stderr(_WHOLE_BUFFER)
        except self._faults as error:  # reading makes room, and tells the host so
            raise lost(self._host, error) from error
        return self._write(outgoing), stdout, stderr

    def _write(self, outgoing: memoryview) -> int:
        taken = 0
        while self._is_writable and taken < min(len(outgoing), _TURN):
            with turn(self._transport) as is_ours:
                if not is_ours:
                    break
                try:
                    sent = self._send(self._channel, outgoing[taken:], reserve=self._room.reserve)
                except TimeoutError:  # the window is full
                    break
                except self._faults:  # closed or lost: the reading side finds out which
                    sent = 0
            self._is_writable = sent > 0
            taken += sent
        return taken

    def _wait(self, limit: float, *, writing: bool) -> None:
        """Sleep until something can move.

        paramiko clears the event whenever it empties one buffer, whatever the other holds, and
        it sets it before it adds the data: so look again after clearing, before sleeping. Only
        while stdin waits for room do we look often: little room is not announced.
        """
        pause = 0.001
        while True:
            self._moved.clear()
            writing = writing and self._is_writable
            if self._is_ready(writing=writing):
                return
            left = limit - time.monotonic()
            if left <= 0:
                return
            self._moved.wait(min(left, pause) if writing else left)
            pause = min(2 * pause, 0.02)

    def _is_ready(self, *, writing: bool) -> bool:
        channel = self._channel
        return (
            channel.recv_ready()
            or channel.recv_stderr_ready()
            or self._is_drained()
            or (writing and self._room.is_there() and self._transport.clear_to_send.is_set())
        )

    def _is_drained(self) -> bool:
        """No more output will come, and none is left."""
        channel = self._channel
        if self._killed.is_set():
            return True
        if not (channel.eof_received or channel.closed):
            return False
        return not channel.recv_ready() and not channel.recv_stderr_ready()

    def _has_ended(self, limit: float) -> bool:
        """Whether to call a drained command ended: its exit status follows a moment later.

        Raises:
            UnreachableError: It was not the command that ended but the link.
        """
        channel = self._channel
        if self._is_settled or self._killed.is_set():
            return True
        self._drained_at = self._drained_at or time.monotonic()
        while True:
            self._moved.clear()
            if channel.closed or self._killed.is_set():
                break
            left = min(limit, self._drained_at + _SETTLE_S) - time.monotonic()
            if left <= 0:
                return time.monotonic() >= self._drained_at + _SETTLE_S
            self._moved.wait(left)
        if not channel.eof_received and channel.exit_status < 0:
            # The transport's thread closes the channels just before it ends itself.
            self._transport.join(_SETTLE_S)
            if not self._transport.is_active() and not self._killed.is_set():
                raise lost(self._host, self._transport.saved_exception)
        self._is_settled = True
        return True

    def _politely(self, send: Callable[[], object]) -> None:
        """Send a last word, without waiting long for a peer that has stopped reading."""

        def attempt() -> None:
            with contextlib.suppress(Exception):
                send_last(self._channel, send)

        thread = threading.Thread(target=attempt, name="kubexm-ssh-close", daemon=True)
        thread.start()
        thread.join(_POLITE_S)


class _Room(threading.Condition):
    """paramiko's word that a channel has room, or has come to its end; it sets an event, too.

    sshd makes room with every packet or two. Woken for each, a sender would send as little; so
    there is no word before there is room for a burst. And OpenSSH (9.2) holds what the command
    has not read yet in a buffer that it copies whole for each packet by which it grows: on a
    short way, where little is on its way at a time, only a part of its window is used. Others
    may wait for more than that before they make room again (RFC 4254, 5.2).

    Attributes:
        reserve: So many bytes of the window stay free.
    """

    def __init__(self, channel: Channel, moved: threading.Event) -> None:
        super().__init__(channel.lock)
        self._channel = channel
        self._moved = moved
        transport = channel.get_transport()
        stream = cast("Line | Tunnel", transport.sock)
        is_short = 0 < stream.round_trip_s() < _SHORT_WAY_S
        spares = is_short and "OpenSSH" in transport.remote_version
        self._most = _SHORT_WAY_BYTES if spares else 1 << 32
        self._window = 0
        self.reserve = 0
        self._learn()

    def is_there(self) -> bool:
        """Whether anything may be sent, or nothing will be any more."""
        channel = self._channel
        return bool(channel.closed or channel.eof_sent or channel.out_window_size > self.reserve)

    def notify_all(self) -> None:
        """See `threading.Condition`."""
        super().notify_all()
        self._learn()
        if self._channel.closed or self._channel.out_window_size >= self._enough:
            self._moved.set()

    def _learn(self) -> None:
        """Take the widest window for all of it; sshd opens none before the command starts."""
        self._window = max(self._window, self._channel.out_window_size)
        self.reserve = max(0, self._window - self._most)
        self._enough = self.reserve + (self._window - self.reserve) // 2
