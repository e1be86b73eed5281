"""A wide-area link: a TCP relay that delays what it passes on, and counts it.

    python -m tests.benchmarks.relay PORT TARGET_PORT DELAY_MS HOSTS FILE

It listens on 127.2.a.b and passes on to 127.1.a.b, for so many hosts, and prints "ready". Ended by
TERM, it writes to FILE as JSON what `Counts` has.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_CHUNK = 1 << 16


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


class Link:
    """One connection through the relay."""

    def __init__(self, counts: Counts, delay_s: float) -> None:
        self._counts = counts
        self._delay_s = delay_s
        self._client_waits = True

    async def carry(
        self, target: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass bytes both ways until both sides have closed."""
        self._counts.connections += 1
        await asyncio.sleep(2 * self._delay_s)  # TCP's handshake
        far_reader, far_writer = await asyncio.open_connection(target, port)
        await asyncio.gather(
            self._pass(reader, far_writer, self._up), self._pass(far_reader, writer, self._down)
        )

    def _up(self, size: int) -> None:
        self._counts.up_bytes += size
        self._counts.turns += self._client_waits
        self._client_waits = False

    def _down(self, size: int) -> None:
        self._counts.down_bytes += size
        self._client_waits = True

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        count: Callable[[int], None],
    ) -> None:
        """One direction: in order, each piece the delay after it came."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)

        async def take() -> None:
            data = b"-"
            while data:
                try:
                    data = await reader.read(_CHUNK)
                except OSError:
                    data = b""
                count(len(data))
                await queue.put((loop.time() + self._delay_s, data))

        taking = asyncio.ensure_future(take())
        try:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            taking.cancel()
        writer.close()


def _handler(
    target: str, port: int, counts: Counts, delay_s: float
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # at the end it is cancelled, which asyncio would report as a fault
        with suppress(asyncio.CancelledError):
            await Link(counts, delay_s).carry(target, port, reader, writer)

    return handle


async def serve(port: int, target_port: int, delay_s: float, hosts: int) -> Counts:
    """Relay until TERM."""
    counts = Counts()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    for number in range(1, hosts + 1):
        await asyncio.start_server(
            _handler(address(1, number), target_port, counts, delay_s), address(2, number), port
        )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await ended.wait()
    return counts


if __name__ == "__main__":
    listen, forward, delay, many, where = sys.argv[1:]
    found = asyncio.run(serve(int(listen), int(forward), float(delay) / 1000, int(many)))
    Path(where).write_text(json.dumps(asdict(found)), "utf-8")
