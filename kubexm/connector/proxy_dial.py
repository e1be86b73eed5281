"""A TCP link through a proxy: SOCKS5 (RFC 1928, 1929) or HTTP CONNECT (RFC 9110).

The machine's name goes to the proxy as it is: often only the proxy can resolve it.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import time
from typing import TYPE_CHECKING, assert_never

from kubexm.connector.dial import Hold, Line, dial, let_be
from kubexm.connector.proxy import Proxy, ProxyScheme
from kubexm.errors import (
    AuthenticationError,
    ConnectError,
    DialRefusedError,
    DialTimeoutError,
    NotPermittedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION = 5
_ANONYMOUS, _BY_PASSWORD, _NO_METHOD = 0, 2, 255
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_LONGEST = 255
_LONGEST_HEAD = 1 << 14
_OK, _FORBIDDEN, _WANTS_LOGIN = 200, 403, 407
_REPLIES: dict[int, tuple[str, type[ConnectError]]] = {
    1: ("it failed", UnreachableError),
    2: ("its rules do not allow it", NotPermittedError),
    3: ("it has no route to that network", UnreachableError),
    4: ("it has no route to that host", UnreachableError),
    5: ("the connection was refused", DialRefusedError),
    6: ("it timed out", DialTimeoutError),
    7: ("it does not know CONNECT", UnreachableError),
    8: ("it does not take this kind of address", UnreachableError),
}
_CHECK_LOGIN = "check the user in kubexm_proxy, and kubexm_proxy_password"
_CHECK_PROXY = "check kubexm_proxy"


def dial_through(
    proxy: Proxy,
    address: str,
    port: int,
    *,
    timeout_s: float,
    host: str = "",
    hold: Hold = let_be,
) -> Line:
    """A link to a machine that a proxy connects for us.

    Args:
        proxy: What is dialled.
        address: The machine's host name or IP address, as the proxy knows it.
        port: Its TCP port.
        timeout_s: For all of it.
        host: The name for errors.
        hold: See `dial`.

    Raises:
        UnreachableError: The proxy cannot be reached, or cannot reach the machine.
        AuthenticationError: It wants another user or password.
        NotPermittedError: It does not allow this connection.
    """
    limit = time.monotonic() + timeout_s
    try:
        line = dial(proxy.address, proxy.port, timeout_s=timeout_s, host=host, hold=hold)
    except UnreachableError as error:
        message = f"the proxy {proxy}: {error.message}"
        raise type(error)(message, host=host, hint=error.hint) from error
    talk = _Talk(line, limit, f"the proxy {proxy}", f"{address} port {port}")
    try:
        match proxy.scheme:
            case ProxyScheme.SOCKS5:
                _socks5(talk, proxy, address, port)
            case ProxyScheme.HTTP:
                _http(talk, proxy, address, port)
            case _:
                assert_never(proxy.scheme)
    except ConnectError as error:
        line.close()
        raise error.on(host) from error.__cause__
    except BaseException:
        line.close()
        raise
    return line


class _Talk:
    """The words with a proxy before the link is the machine's, within a time limit."""

    def __init__(self, line: Line, limit: float, proxy: str, target: str) -> None:
        self._line = line
        self._limit = limit
        self.proxy = proxy
        self.target = target

    def send(self, data: bytes) -> None:
        with self._in_time():
            self._line.sendall(data)

    def receive(self, size: int) -> bytes:
        """Exactly so many bytes: what follows them is for ssh."""
        data = b""
        while len(data) < size:
            with self._in_time():
                more = self._line.recv(size - len(data))
            if not more:
                message = f"{self.proxy} closed the connection to {self.target}"
                raise UnreachableError(message, hint=_CHECK_PROXY)
            data += more
        return data

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        # A socket takes a timeout of 0 for "do not wait" and raises BlockingIOError.
        self._line.settimeout(max(0.0, self._limit - time.monotonic()))
        try:
            yield
        except (TimeoutError, BlockingIOError) as error:
            message = f"{self.proxy} did not connect to {self.target} in time"
            raise DialTimeoutError(message, hint=_CHECK_PROXY) from error
        except OSError as error:
            message = f"{self.proxy} broke the connection to {self.target}: {error.strerror}"
            raise UnreachableError(message, hint=_CHECK_PROXY) from error


def _socks5(talk: _Talk, proxy: Proxy, address: str, port: int) -> None:
    methods = bytes([_ANONYMOUS, _BY_PASSWORD] if proxy.user else [_ANONYMOUS])
    talk.send(bytes([_VERSION, len(methods)]) + methods)
    version, method = talk.receive(2)
    if version != _VERSION:
        message = f"{talk.proxy} does not speak SOCKS5"
        raise UnreachableError(message, hint=_CHECK_PROXY)
    if method == _NO_METHOD:
        wants = "refuses the login by password" if proxy.user else "wants a user and a password"
        message = f"{talk.proxy} {wants}"
        raise AuthenticationError(message, hint=_CHECK_LOGIN)
    if method == _BY_PASSWORD:
        user = _short(proxy.user.encode(), talk)
        password = _short(_password(proxy), talk)
        talk.send(bytes([1, len(user)]) + user + bytes([len(password)]) + password)
        if talk.receive(2)[1] != 0:
            message = f"{talk.proxy} refused the user or the password"
            raise AuthenticationError(message, hint=_CHECK_LOGIN)
    talk.send(
        bytes([_VERSION, _CONNECT, 0]) + _destination(address, talk) + port.to_bytes(2, "big")
    )
    _, reply, _, kind = talk.receive(4)
    if reply:
        reason, error = _REPLIES.get(reply, (f"it answered {reply}", UnreachableError))
        message = f"{talk.proxy} does not connect to {talk.target}: {reason}"
        raise error(message, hint="is the address right as seen from the proxy?")
    size = {_IPV4: 4, _IPV6: 16}.get(kind) or talk.receive(1)[0]
    talk.receive(size + 2)


def _destination(address: str, talk: _Talk) -> bytes:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        name = _short(address.encode(), talk)
        return bytes([_NAME, len(name)]) + name
    return bytes([_IPV4 if ip.version == 4 else _IPV6]) + ip.packed  # noqa: PLR2004 - IPv4


def _short(data: bytes, talk: _Talk) -> bytes:
    if len(data) > _LONGEST:
        message = f"{talk.proxy} takes no name, user or password of more than {_LONGEST} bytes"
        raise ConnectError(message)
    return data


def _http(talk: _Talk, proxy: Proxy, address: str, port: int) -> None:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    head = f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n".encode()
    if proxy.user:
        login = base64.b64encode(proxy.user.encode() + b":" + _password(proxy))
        head += b"Proxy-Authorization: Basic " + login + b"\r\n"
    talk.send(head + b"\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += talk.receive(1)
        if len(answer) > _LONGEST_HEAD or not answer.startswith(b"HTTP/"[: len(answer)]):
            message = f"{talk.proxy} does not speak HTTP"
            raise UnreachableError(message, hint=_CHECK_PROXY)
    status = answer.partition(b"\r\n")[0].decode("ascii", "replace")
    match status.split()[1:2]:
        case [code] if code.isdigit() and _OK <= int(code) < _OK + 100:
            return
        case [code] if code == str(_WANTS_LOGIN):
            said = "refused the user or the password" if proxy.user else "wants a user"
            message = f"{talk.proxy} {said} ({status})"
            raise AuthenticationError(message, hint=_CHECK_LOGIN)
        case [code] if code == str(_FORBIDDEN):
            message = f"{talk.proxy} does not permit connections to {talk.target} ({status})"
            raise NotPermittedError(message, hint="many proxies permit port 443 only")
        case _:
            message = f"{talk.proxy} does not connect to {talk.target}: {status}"
            raise UnreachableError(message, hint="is the address right as seen from the proxy?")


def _password(proxy: Proxy) -> bytes:
    return proxy.password.reveal().encode() if proxy.password is not None else b""
