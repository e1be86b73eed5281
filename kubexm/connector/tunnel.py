"""A byte stream through a bastion: a channel with the manners of the socket that paramiko wants."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from kubexm.connector.turn import send_last, turn

if TYPE_CHECKING:
    from paramiko import Channel

_PAUSE_S = 0.05


class Tunnel:
    """The outer end of a direct-tcpip channel; a transport to the machine behind runs on it."""

    def __init__(self, channel: Channel) -> None:
        from kubexm.connector.packets import send_content

        self._send = send_content
        self._channel = channel
        self.heard_at = time.monotonic()

    def __repr__(self) -> str:
        return f"<Tunnel, {'closed' if self._channel.closed else 'open'}>"

    @property
    def _closed(self) -> bool:
        """`paramiko.Transport.stop_thread` asks its socket for this."""
        return self._channel.closed

    def settimeout(self, timeout: float | None) -> None:
        """As for a socket."""
        self._channel.settimeout(timeout)

    def recv(self, size: int) -> bytes:
        """As for a socket."""
        data = self._channel.recv(size)
        self.heard_at = time.monotonic()
        return data

    def round_trip_s(self) -> float:
        """See `Line.round_trip_s`: unknown."""
        return 0.0

    def has_room(self) -> bool:
        """Whether a few bytes can be sent without waiting."""
        return self._channel.send_ready()

    def send(self, data: bytes | memoryview) -> int:
        """As for a socket: raises TimeoutError when there is no room in time."""
        channel = self._channel
        transport = channel.get_transport()
        timeout_s = channel.gettimeout()
        limit = None if timeout_s is None else time.monotonic() + timeout_s
        while not channel.closed:
            with turn(transport) as is_ours:
                if is_ours and channel.send_ready():
                    return self._send(channel, memoryview(data))
            if limit is not None and time.monotonic() >= limit:
                raise TimeoutError
            with channel.out_buffer_cv:  # notified of room and of the end
                channel.out_buffer_cv.wait(_PAUSE_S)
        raise BrokenPipeError

    def shutdown(self, how: int) -> None:
        """Stop reading and writing, which wakes whoever reads."""
        del how
        self.close()

    def close(self) -> None:
        """As for a socket."""
        with contextlib.suppress(Exception):  # the bastion may be gone
            send_last(self._channel, self._channel.close)
