"""One established ssh connection: Fabric and paramiko, configured, opened once, taken down whole.

Everything that either of them raises becomes an error of ours here.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, cast

from kubexm.connector.authentication import Authentication
from kubexm.connector.dial import lost
from kubexm.connector.host_key import HostKeyCheck
from kubexm.connector.keepalive import KeepAlive
from kubexm.connector.refusal import Refusals
from kubexm.connector.turn import prepare
from kubexm.errors import (
    ConnectError,
    DialTimeoutError,
    DroppedError,
    KubexmError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric import Connection
    from paramiko import Transport

    from kubexm.connector.dial import Line
    from kubexm.connector.ssh_target import Target
    from kubexm.connector.tunnel import Tunnel

_IDLE_TICK_S = 5.0
"""How often a silent transport looks around; closing wakes it at once. paramiko's own is 0.1 s."""
_JOIN_S = 2.0
_NOT_SSHD = "is this sshd's port, and is the machine healthy?"


class Link:
    """An authenticated connection. `close` may come from any thread, and more than once."""

    def __init__(self, connection: Connection, transport: Transport, refusals: Refusals) -> None:
        self._connection = connection
        self.transport = transport
        self.refusals = refusals

    @classmethod
    def open(
        cls,
        target: Target,
        dial: Callable[[str, int], Line | Tunnel],
        notice: Callable[[str], None],
        hold: Callable[[Line | Tunnel], None],
    ) -> Link:
        """Dial, check the host key, log in.

        Args:
            target: Where to.
            dial: Gives the byte stream to address and port.
            notice: Told of a new host key.
            hold: Gets the byte stream before it is waited for: whoever shuts it down ends that.

        Raises:
            DroppedError: The host hung up before it said anything.
            ConnectError: Anything else that went wrong; see its kinds.
        """
        endpoint, connection = target.endpoint, target.connection
        settings = target.settings
        login = Authentication(
            endpoint,
            user=target.user,
            place=str(target),
            settings=settings,
        )
        try:
            alias = settings.host_key_alias
            check = HostKeyCheck(
                endpoint,
                address=alias or target.address,
                port=0 if alias else target.port,
                files=settings.known_hosts,
                system_files=settings.system_known_hosts,
            )
            stream = dial(target.address, target.port)
            try:
                hold(stream)
                refusals = _open(connection, stream, check, login, endpoint.connect_timeout_s)
            except BaseException as error:
                fault = _meaning(error, target)
                _take_down(connection)
                stream.close()
                if fault is error:
                    raise
                raise fault from error
        finally:
            login.close()
        for sentence in check.notices:
            notice(sentence)
        transport: Transport = connection.transport
        stream.settimeout(_watch(transport, stream, settings.keepalive_s, settings.keepalive_count))
        return cls(connection, transport, refusals)

    @property
    def is_alive(self) -> bool:
        """Whether the connection stands, as far as is known here."""
        return self.transport.is_active() and self.transport.is_authenticated()

    def close(self) -> None:
        """Close the connection and wait a moment for its thread to end."""
        _take_down(self._connection)


def _open(
    connection: Connection,
    stream: Line | Tunnel,
    check: HostKeyCheck,
    login: Authentication,
    timeout_s: float,
) -> Refusals:
    from paramiko import Transport

    from kubexm.connector.packets import Packets

    refusals: list[Refusals] = []

    def make_transport(stream: Line | Tunnel, **options: Any) -> Transport:  # noqa: ANN401 - paramiko's own
        transport = Transport(cast("socket.socket", stream), packetizer_class=Packets, **options)
        prepare(transport)
        refusals.append(Refusals(transport))
        security = transport.get_security_options()
        security.key_types = check.preferred(security.key_types)
        security.ciphers = sorted(security.ciphers, key=_has_own_code)
        transport.handshake_timeout = timeout_s
        return transport

    connection.client.set_missing_host_key_policy(check)
    connection.connect_timeout = None
    connection.connect_kwargs = {
        "sock": stream,
        "timeout": 2 * timeout_s,  # for the banner and the key exchange together
        "banner_timeout": timeout_s,
        "auth_timeout": timeout_s,
        "channel_timeout": timeout_s,
        "transport_factory": make_transport,
        "auth_strategy": login,
    }
    connection.open()
    return refusals[-1]


def _has_own_code(cipher: str) -> bool:
    """Whether each packet needs a message authentication code beside it; sorts the others first.

    AES-GCM has it built in. For the rest paramiko computes it and compares it byte by byte in
    Python, which is a third of what receiving costs.
    """
    return "-gcm@" not in cipher


def _watch(transport: Transport, stream: Line | Tunnel, interval_s: float, count: int) -> float:
    """Look for signs of life whenever the transport looks around; returns how often it should."""
    if not interval_s:
        return _IDLE_TICK_S
    tick_s = min(_IDLE_TICK_S, interval_s)
    alive = KeepAlive(transport, stream, interval_s=interval_s, count=count)
    transport.packetizer.set_keepalive(tick_s / 2, alive.check)
    return tick_s


def _take_down(connection: Connection) -> None:
    transport: Transport | None = connection.client.get_transport()
    if transport is not None:
        # Stops the timer of a key exchange that never began; its thread would hold the process.
        transport.packetizer.complete_handshake()
        with contextlib.suppress(Exception):  # wakes the thread that reads
            transport.sock.shutdown(socket.SHUT_RDWR)
    # Fabric leaves the client alone when it thinks that it is not connected.
    for close in (connection.close, connection.client.close):
        with contextlib.suppress(Exception):
            close()
    if transport is not None and transport.is_alive():
        transport.join(_JOIN_S)


def _meaning(error: BaseException, target: Target) -> BaseException:
    """What paramiko raised while connecting, as one of our errors; ours pass as they are."""
    if isinstance(error, KubexmError) or not isinstance(error, Exception):
        return error
    transport: Transport | None = target.connection.client.get_transport()
    place = f"{target.address} port {target.port}"
    if transport is None:
        fault = ConnectError(f"{place}: {type(error).__name__}: {error}")
    elif transport.remote_version:
        fault = _after_banner(error, transport, place)
    else:
        fault = _before_banner(error, place, target.endpoint.connect_timeout_s)
    return fault.on(target.endpoint.name)


def _before_banner(error: Exception, place: str, timeout_s: float) -> ConnectError:
    match error.__context__:
        case EOFError() | ConnectionError():
            return DroppedError(
                f"{place} accepts connections but closes them before the ssh banner",
                hint="sshd drops bursts (MaxStartups) and hosts that failed before "
                "(PerSourcePenalties, fail2ban); or it is not sshd",
            )
        case TimeoutError():
            return DialTimeoutError(
                f"{place} accepts connections but does not speak ssh: "
                f"no banner within {timeout_s:g} s",
                hint=_NOT_SSHD,
            )
        case ConnectError() as fault:
            return fault
    return UnreachableError(
        f"{place} accepts connections but does not speak ssh: {error}", hint=_NOT_SSHD
    )


def _after_banner(error: Exception, transport: Transport, place: str) -> ConnectError:
    from paramiko import SSHException
    from paramiko.ssh_exception import IncompatiblePeer

    if isinstance(error, IncompatiblePeer):
        return ConnectError(
            f"{place} shares no algorithm with us: {error}",
            hint="its sshd is too old, or is set to what paramiko does not do",
        )
    if transport.is_active() and not transport.initial_kex_done:
        return DialTimeoutError(f"{place} did not finish the ssh key exchange in time")
    if isinstance(error, (SSHException, EOFError, OSError)):
        return lost("", error)
    return ConnectError(f"{place}: {type(error).__name__}: {error}")
