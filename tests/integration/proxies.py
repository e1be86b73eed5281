"""Small proxies for tests: SOCKS5 and HTTP CONNECT on the loopback, with or without a login."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = {"machine.example.org": "127.0.0.1"}
"""What only the proxy can resolve."""


@dataclass(kw_only=True)
class ProxyServer:
    """One proxy. `requests` are the targets that it was asked for, as host:port.

    Args:
        speaks: "socks5" or "http".
        login: The user and password that it wants; None lets everybody in.
        answer: Sent instead of every answer of its own after the login, when not empty.
    """

    speaks: str
    login: tuple[str, str] | None = None
    answer: bytes = b""
    requests: list[str] = field(default_factory=list)
    _listener: socket.socket = field(init=False, repr=False)
    _open: list[socket.socket] = field(default_factory=list, repr=False)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    @contextlib.contextmanager
    def running(self) -> Iterator[ProxyServer]:
        """While it runs; its connections end with it."""
        with socket.create_server(("127.0.0.1", 0)) as self._listener:
            accepting = threading.Thread(target=self._accept, daemon=True)
            accepting.start()
            yield self
            self._listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            target = self._socks5(client) if self.speaks == "socks5" else self._http(client)
            if target is None:
                return
            with target:
                self._open.append(target)
                back = threading.Thread(target=_copy, args=(target, client), daemon=True)
                back.start()
                _copy(client, target)
                back.join()

    def _connect(self, host: str, port: int) -> socket.socket:
        self.requests.append(f"{host}:{port}")
        return socket.create_connection((_NAMES.get(host, host), port), timeout=5)

    def _socks5(self, client: socket.socket) -> socket.socket | None:
        methods = _read(client, _read(client, 2)[1])
        wanted = 2 if self.login else 0
        if wanted not in methods:
            client.sendall(b"\x05\xff")
            return None
        client.sendall(bytes([5, wanted]))
        if self.login:
            user = _read(client, _read(client, 2)[1]).decode()
            password = _read(client, _read(client, 1)[0]).decode()
            client.sendall(bytes([1, (user, password) != self.login]))
        kind = _read(client, 4)[3]
        match kind:
            case 3:
                host = _read(client, _read(client, 1)[0]).decode()
            case 1:
                host = socket.inet_ntop(socket.AF_INET, _read(client, 4))
            case _:
                host = socket.inet_ntop(socket.AF_INET6, _read(client, 16))
        port = int.from_bytes(_read(client, 2), "big")
        if self.answer:
            client.sendall(self.answer)
            return None
        try:
            target = self._connect(host, port)
        except OSError:
            client.sendall(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")
            return None
        # A name for the bound address, as its length is the awkward one.
        client.sendall(b"\x05\x00\x00\x03\x04here\x00\x00")
        return target

    def _http(self, client: socket.socket) -> socket.socket | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += _read(client, 1)
        if self.answer:
            client.sendall(self.answer)
            return None
        if self.login:
            wanted = base64.b64encode(":".join(self.login).encode())
            if b"Proxy-Authorization: Basic " + wanted + b"\r\n" not in head:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return None
        host, _, port = head.split()[1].decode().rpartition(":")
        try:
            target = self._connect(host, int(port))
        except OSError:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return None
        client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        return target


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
