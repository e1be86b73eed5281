"""A wide-area link: a TCP relay that delays what it passes on, and counts it.

    python -m tests.benchmarks.relay PORT TARGET_PORT DELAY_MS HOSTS FILE

It listens on 127.2.a.b and passes on to 127.1.a.b, for so many hosts, and prints "ready". Ended by
TERM, it writes to FILE as JSON what `Counts` has.
"""

from __future__ import annotations

import asyncio
import functools
import json
import signal
import sys
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_HELD_BYTES = 1 << 22


@dataclass(slots=True)
class Counts:
    """What went over all links.

    Attributes:
        connections: Made by clients.
        up_bytes: From clients to hosts.
        down_bytes: From hosts to clients.
        turns: How often a client sent after it had been answered; a round trip is one.
    """

    connections: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    turns: int = 0


def address(network: int, number: int) -> str:
    """The loopback address of host `number`, counted from 1, in 127.`network`.0.0/16."""
    return f"127.{network}.{number >> 8}.{number & 255}"


class _Side(asyncio.Protocol):
    """One of the two connections of a link; what it hears, the other one says, after the delay.

    Args:
        delay_s: One way.
        count: Told how many bytes it heard.
    """

    def __init__(self, delay_s: float, count: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._delay_s = delay_s
        self._count = count
        self._heard: deque[bytes] = deque()
        self._held_bytes = 0
        self._transport: asyncio.Transport | None = None
        self.other: _Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        assert self._transport is not None
        self._count(len(data))
        self._heard.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _MOST_HELD_BYTES:
            self._transport.pause_reading()
        self._loop.call_later(self._delay_s, self._pass)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`: the other one closes, when it has said all."""
        del exc
        if self.other is not None:
            self._loop.call_later(self._delay_s, self.other.close)

    def say(self, data: bytes) -> None:
        """Write it, unless the connection is gone."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close when all is written."""
        if self._transport is not None:
            self._transport.close()

    def _pass(self) -> None:
        assert self._transport is not None
        data = self._heard.popleft()
        self._held_bytes -= len(data)
        if self.other is not None:
            self.other.say(data)
        if self._held_bytes <= _MOST_HELD_BYTES and not self._transport.is_closing():
            self._transport.resume_reading()


class _Near(_Side):
    """The client's side; it connects to the host when TCP's handshake would have been over."""

    def __init__(self, target: str, port: int, counts: Counts, delay_s: float) -> None:
        super().__init__(delay_s, self._up)
        self._target = (target, port)
        self._counts = counts
        self._client_waits = True
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        self._counts.connections += 1
        self._connecting = self._loop.create_task(self._connect(transport))

    async def _connect(self, transport: asyncio.Transport) -> None:
        await asyncio.sleep(2 * self._delay_s)
        far = _Side(self._delay_s, self._down)
        far.other = self
        try:
            await self._loop.create_connection(lambda: far, *self._target)
        except OSError:
            transport.close()
            return
        self.other = far
        if transport.is_closing():
            far.close()
        else:
            transport.resume_reading()

    def _up(self, size: int) -> None:
        self._counts.up_bytes += size
        self._counts.turns += self._client_waits
        self._client_waits = False

    def _down(self, size: int) -> None:
        self._counts.down_bytes += size
        self._client_waits = True


async def serve(port: int, target_port: int, delay_s: float, hosts: int) -> Counts:
    """Relay until TERM."""
    counts = Counts()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    for number in range(1, hosts + 1):
        near = functools.partial(_Near, address(1, number), target_port, counts, delay_s)
        await loop.create_server(near, address(2, number), port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await ended.wait()
    return counts


if __name__ == "__main__":
    listen, forward, delay, many, where = sys.argv[1:]
    found = asyncio.run(serve(int(listen), int(forward), float(delay) / 1000, int(many)))
    Path(where).write_text(json.dumps(asdict(found)), "utf-8")
