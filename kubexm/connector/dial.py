"""A TCP link to a machine: made, and what it means when it cannot be made or breaks."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Protocol, TypeAlias

from kubexm.connector.errand import Errand
from kubexm.errors import DialRefusedError, DialTimeoutError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

_OPTIONS = (
    # Nagle's algorithm meets the delayed ACK: 40 ms on every small request.
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
    # A peer that vanishes is noticed in about a minute, whether we are idle or writing (tcp(7)).
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 20),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 10),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 4),
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", 60_000),
)
_ROUND_TRIP = struct.Struct("=68xI")
"""tcpi_rtt of struct tcp_info, in microseconds (linux/tcp.h)."""
_Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
_Target: TypeAlias = tuple[socket.AddressFamily, _Address]
_Targets: TypeAlias = list[_Target]
_NO_ROUTE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL})


class Line(socket.socket):
    """A socket that tells a connection that died of silence from a read that took too long.

    The kernel reports the first with ETIMEDOUT, once, and Python raises TimeoutError for both;
    paramiko takes that for the second, reads again, and finds a connection that seems closed.

    `heard_at` is when something last came from the other end (`time.monotonic`).
    """

    heard_at = 0.0
    _death: ConnectionAbortedError | None = None

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As `socket.recv`; ConnectionAbortedError for a connection that died of silence."""
        try:
            data = super().recv(size, flags)
        except TimeoutError as error:
            self._note(error)
            raise
        if not data and self._death is not None:
            raise self._death
        self.heard_at = time.monotonic()
        return data

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """As `socket.send`; see `recv`."""
        try:
            return super().send(data, flags)
        except TimeoutError as error:
            self._note(error)
            raise

    def round_trip_s(self) -> float:
        """How long the kernel finds the way there and back; 0 when it does not say (tcp(7))."""
        try:
            told = self.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ROUND_TRIP.size)
        except (AttributeError, OSError):  # another system, or no TCP
            return 0.0
        return float(_ROUND_TRIP.unpack(told)[0]) / 1e6

    def has_room(self) -> bool:
        """Whether a few bytes can be sent without waiting."""
        poll = select.poll()
        poll.register(self, select.POLLOUT)
        return bool(poll.poll(0))

    def _note(self, error: TimeoutError) -> None:
        if error.errno == errno.ETIMEDOUT:
            self._death = ConnectionAbortedError(error.errno, error.strerror)
            raise self._death from error


class Stoppable(Protocol):
    """Something that is waited for."""

    def shutdown(self, how: int, /) -> None:
        """End the wait for it."""
        ...


Hold: TypeAlias = "Callable[[Stoppable], None]"
"""Told of what is about to be waited for; shutting it down ends the wait."""


def let_be(waited_for: Stoppable) -> None:
    """A `Hold` of somebody who will not end the wait."""
    del waited_for


def dial(address: str, port: int, *, timeout_s: float, host: str = "", hold: Hold = let_be) -> Line:
    """A connected socket that sends small packets at once and notices a dead peer.

    Args:
        address: Host name or IP address. Its addresses are tried in the resolver's order.
        port: TCP port.
        timeout_s: For all addresses together; each gets an equal share of what is left.
        host: The name for errors.
        hold: Gets each socket before it connects, and the look-up of a name: whoever shuts that
            down ends the wait.

    Raises:
        UnreachableError: Unknown name, refused, no route, or silence.
    """
    targets = _resolve(address, port, host, hold)
    limit = time.monotonic() + timeout_s
    failure: OSError = TimeoutError()
    for number, (family, target) in enumerate(targets):
        share = (limit - time.monotonic()) / (len(targets) - number)
        try:
            return _connect(family, target, share, hold)
        except OSError as error:
            failure = error
    raise _unreachable(failure, f"{address} port {port}", timeout_s, host) from failure


def lost(host: str, error: BaseException | None) -> UnreachableError:
    """The link broke: what paramiko's thread died of, as an error of ours."""
    match error:
        case None | EOFError():
            reason = "the host closed it"
        case TimeoutError() | ConnectionAbortedError():
            reason = "the host no longer answers"
        case OSError():
            reason = error.strerror or str(error)
        case _:
            reason = str(error) or type(error).__name__
    return UnreachableError(f"the ssh connection was lost: {reason}", host=host)


def _resolve(address: str, port: int, host: str, hold: Hold) -> _Targets:
    try:
        return _looked_up(address, port, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError, OverflowError):
        errand = Errand(lambda: _looked_up(address, port))
    hold(errand)
    try:
        return errand.result()
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"the name {address!r} is unknown: {reason}"
        raise UnreachableError(
            message,
            host=host,
            hint="check the address in the inventory, and this machine's resolver",
        ) from error


def _looked_up(address: str, port: int, flags: int = 0) -> _Targets:
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, target) for family, _, _, _, target in found]


def _connect(family: socket.AddressFamily, target: _Address, timeout_s: float, hold: Hold) -> Line:
    connection = Line(family, socket.SOCK_STREAM)
    try:
        for level, option, value in _OPTIONS:
            if hasattr(socket, option):
                connection.setsockopt(getattr(socket, level), getattr(socket, option), value)
        connection.settimeout(max(timeout_s, 0.1))
        hold(connection)
        connection.connect(target)
    except BaseException:
        connection.close()
        raise
    return connection


def _unreachable(error: OSError, place: str, timeout_s: float, host: str) -> UnreachableError:
    if isinstance(error, ConnectionRefusedError):
        return DialRefusedError(
            f"{place} refused the connection",
            host=host,
            hint="is sshd running there, and is this its port?",
        )
    if isinstance(error, TimeoutError):
        return DialTimeoutError(
            f"{place} did not answer within {timeout_s:g} s (timed out)",
            host=host,
            hint="is the machine up, and does a firewall drop the packets?",
        )
    if error.errno in _NO_ROUTE:
        return UnreachableError(
            f"no route to {place}: {error.strerror}",
            host=host,
            hint="check the address, and this machine's network and VPN",
        )
    return UnreachableError(f"cannot connect to {place}: {error.strerror or error}", host=host)
