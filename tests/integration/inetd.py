"""One sshd behind many loopback addresses: a listener for each, and sshd -i for each connection."""

from __future__ import annotations

import contextlib
import selectors
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Self

from tests.integration.sshd import find_sshd

if TYPE_CHECKING:
    from types import TracebackType

    from tests.integration.sshd import SshServer


class Inetd:
    """Listens on addresses of 127.0.0.0/8 and nowhere else.

    Args:
        server: Whose configuration and keys each sshd has.
        addresses: Where to listen, all on the server's port.
    """

    def __init__(self, server: SshServer, addresses: list[str]) -> None:
        self._server = server
        self._addresses = addresses
        self._children: list[subprocess.Popen[bytes]] = []
        self._listeners: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._serve)
        self._waker, self._woken = socket.socketpair()

    def __enter__(self) -> Self:
        self._selector.register(self._woken, selectors.EVENT_READ)
        for address in self._addresses:
            assert address.startswith("127.")
            listener = socket.create_server((address, self._server.port), backlog=64)
            listener.setblocking(False)  # noqa: FBT003 - its own name for it
            self._listeners.append(listener)
            self._selector.register(listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._waker.send(b"\0")
        self._thread.join()
        self._selector.close()
        for listener in (*self._listeners, self._waker, self._woken):
            listener.close()
        for child in self._children:
            child.kill()
            child.wait()

    @property
    def running(self) -> int:
        """How many connections have an sshd."""
        return sum(child.poll() is None for child in self._children)

    def _serve(self) -> None:
        sshd = find_sshd()
        assert sshd is not None
        command = [sshd, "-i", "-e", "-f", str(self._server.directory / "sshd_config")]
        with (self._server.directory / "inetd.log").open("ab") as log:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is self._woken:
                        return
                    assert isinstance(key.fileobj, socket.socket)
                    with contextlib.suppress(BlockingIOError):
                        connection, _ = key.fileobj.accept()
                        with connection:
                            stream = connection.fileno()
                            child = subprocess.Popen(
                                command, stdin=stream, stdout=stream, stderr=log
                            )
                        self._children.append(child)
