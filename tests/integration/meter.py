"""A TCP relay in a thread that counts what goes through it, without delaying it."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import TYPE_CHECKING

from tests.benchmarks.relay import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 18


@contextlib.contextmanager
def meter(port: int) -> Iterator[tuple[int, Counts]]:
    """A port of the loopback that leads to another one, and what went through it.

    One connection at a time; the counts are whole when the block has ended.
    """
    counts = Counts()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):  # the server is shut down: that was all
                while True:
                    client, _ = server.accept()
                    with client, socket.create_connection(("127.0.0.1", port)) as host:
                        counts.connections += 1
                        _carry(client, host, counts)

        thread = threading.Thread(target=serve, name="meter")
        thread.start()
        try:
            yield int(server.getsockname()[1]), counts
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _carry(client: socket.socket, host: socket.socket, counts: Counts) -> None:
    """Pass bytes both ways until either side has closed."""
    client_waits = True
    with contextlib.suppress(ConnectionError):  # a side that closes in mid-word
        while True:
            for side in select.select((client, host), (), ())[0]:
                data = side.recv(_CHUNK)
                if not data:
                    return
                if side is client:
                    counts.turns += client_waits
                    counts.up_bytes += len(data)
                    host.sendall(data)
                else:
                    counts.down_bytes += len(data)
                    client.sendall(data)
                client_waits = side is host
