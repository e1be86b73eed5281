"""What tests of ssh connections share: exchanges, what is left open, and mute listeners."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.shell import Process


NOTHING = memoryview(b"")


def finish(process: Process, stdin: bytes = b"", *, within_s: float = 60) -> tuple[bytes, bytes]:
    """Feed a process and read it to its end."""
    limit = time.monotonic() + within_s
    out, err = bytearray(), bytearray()
    outgoing = memoryview(stdin)
    if not stdin:
        process.close_stdin()
    while time.monotonic() < limit:
        taken, stdout, stderr, ended = process.exchange(outgoing, 10)
        out += stdout
        err += stderr
        if taken and taken == len(outgoing):
            process.close_stdin()
        outgoing = outgoing[taken:]
        if ended:
            return bytes(out), bytes(err)
    message = f"not ended after {within_s} s: {process}"
    raise TimeoutError(message)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def assert_no_more(threads: set[threading.Thread], open_descriptors: int) -> None:
    """What has been told to end may take a moment."""
    limit = time.monotonic() + 2
    while time.monotonic() < limit and not set(threading.enumerate()) <= threads:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= threads
    assert descriptors() <= open_descriptors


@contextlib.contextmanager
def listening(*, answer: bytes | None) -> Iterator[int]:
    """A port that accepts connections, and then says something and hangs up, or says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    kept.append(connection)
                    if answer is not None:
                        connection.sendall(answer)
                        connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port that does not answer: so many wait to be accepted that the kernel drops the rest."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(server.getsockname())
        time.sleep(0.1)
        yield server.getsockname()[1]
