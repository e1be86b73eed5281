"""The ssh transport: a Fabric `Connection` behind the Connector interface.

Fabric reads ssh_config and drives paramiko; dialling, host keys, credentials and the streams are
this package's own. Neither is imported before the first `connect`: they cost a third of a second.
"""

from __future__ import annotations

import contextlib
import functools
import random
import socket
import threading
import time
from typing import TYPE_CHECKING

from kubexm.connector.channel import SshProcess
from kubexm.connector.dial import let_be, lost
from kubexm.connector.errand import Errand
from kubexm.connector.refusal import PROHIBITED, Refusal
from kubexm.connector.ssh_link import Link
from kubexm.connector.ssh_session import Sessions
from kubexm.connector.ssh_target import Target, route
from kubexm.connector.tunnel import Tunnel
from kubexm.errors import (
    ConnectError,
    DialRefusedError,
    DialTimeoutError,
    DroppedError,
    NotPermittedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from paramiko import Channel

    from kubexm.connector.dial import Hold, Stoppable
    from kubexm.connector.endpoint import Endpoint

_BACK_OFF_S = 0.25
_LONGEST_S = 8.0
_LONGEST_DROP_S = 1.0
"""sshd's slots are free again within a second or so: whoever waits longer lets others pass."""


class SshConnector:
    """The Connector for one machine and one login user over ssh.

    Args:
        endpoint: Where, who, and with what.
        bastion: A connected connector to go through. It stays its owner's to close.
        follows_jumps: When no bastion is given, go through those of the endpoint or of
            ssh_config (`route`); those connections are this connector's own.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        bastion: SshConnector | None = None,
        follows_jumps: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self._bastion = bastion
        self._follows_jumps = follows_jumps and bastion is None
        self._notices: list[str] = []
        self._connecting = threading.Lock()
        self._lock = threading.Lock()  # guards what follows
        self._link: Link | None = None
        self._hops: tuple[SshConnector, ...] = ()
        self._waited_for: Stoppable | None = None  # by whoever connects
        self._hops_on_the_way: list[SshConnector] = []
        self._closings = 0
        self._sessions = Sessions(endpoint)
        self._closing = threading.Event()  # wakes who pauses between two attempts

    def __repr__(self) -> str:
        endpoint = self._endpoint
        user = f"{endpoint.user}@" if endpoint.user else ""
        port = f":{endpoint.port}" if endpoint.port else ""
        state = "connected" if self.is_connected() else "not connected"
        return f"<SshConnector {user}{endpoint.address or endpoint.name}{port}, {state}>"

    @property
    def notices(self) -> Sequence[str]:
        """What the operator should know: each new host key that was accepted on the way."""
        before = self._bastion.notices if self._bastion is not None else ()
        return (*before, *self._notices)

    def route(self) -> Sequence[Endpoint]:
        """See `Routed.route`: the endpoint's bastions, or those of ssh_config."""
        return route(self._endpoint) if self._follows_jumps else ()

    def beyond(self, endpoint: Endpoint) -> SshConnector:
        """See `Routed.beyond`."""
        return SshConnector(endpoint, bastion=self)

    def connect(self) -> None:
        """See `Connector.connect`. What may help is tried again, a little later (`back_off`)."""
        self._connect(tries_drops=True)

    def connect_once(self) -> None:
        """See `Impatient.connect_once`."""
        self._connect(tries_drops=False)

    def _connect(self, *, tries_drops: bool) -> None:
        with self._connecting:
            if self.is_connected():
                return
            self.close()
            with self._lock:
                closings = self._closings
                self._closing.clear()
                hops = self._hops_on_the_way = []
            try:
                link = self._establish(hops, tries_drops=tries_drops)
            except BaseException:
                _close_all(hops)
                raise
            finally:
                with self._lock:
                    self._waited_for, self._hops_on_the_way = None, []
            with self._lock:
                if self._closings == closings:
                    self._link, self._hops = link, tuple(hops)
                    return
            link.close()
            _close_all(hops)
            raise self._closed()

    def close(self) -> None:
        """See `Connector.close`. Channels that are open end; whoever waits on one wakes.

        So does whoever connects: that has failed then.
        """
        with self._lock:
            stream, on_the_way = self._waited_for, tuple(self._hops_on_the_way)
            link, self._link = self._link, None
            hops, self._hops = self._hops, ()
            self._closings += 1
            self._closing.set()
        if stream is not None:
            _shut_down(stream)
        if link is not None:
            link.close()
        _close_all(on_the_way)
        _close_all(hops)

    def is_connected(self) -> bool:
        """Whether the connection stands, as far as is known here."""
        link = self._link
        return link is not None and link.is_alive

    def answers(self, timeout_s: float) -> bool:
        """See `Reusable.answers`: sshd opens a session, in which nothing is started."""
        link = self._link
        if link is None or not link.is_alive:
            return False
        from paramiko import ChannelException, SSHException

        try:
            link.transport.open_session(timeout=timeout_s).close()
        except ChannelException:  # "no" is an answer
            return True
        except (SSHException, EOFError, OSError):
            return False
        return True

    def open(self, command: str) -> SshProcess:
        """See `Connector.open`. With many commands at work it waits for one of them to end."""
        transport = self._live_link().transport
        from paramiko import SSHException

        timeout_s = self._endpoint.connect_timeout_s
        channel = self._sessions.open(transport)
        process = SshProcess(channel, host=self._endpoint.name)
        # paramiko waits for the answer to the request on this event, and without a limit.
        channel.event = _Patience(timeout_s)
        try:
            channel.exec_command(command.encode("utf-8", "surrogateescape"))
        except TimeoutError as error:
            process.kill()
            message = f"the host did not start the command within {timeout_s:g} s"
            raise UnreachableError(message, host=self._endpoint.name) from error
        except (SSHException, EOFError, OSError) as error:
            process.kill()
            if not transport.is_active():
                raise lost(self._endpoint.name, error) from error
            message = "the host refuses to run commands"
            raise NotPermittedError(
                message,
                host=self._endpoint.name,
                hint="the account may be for file transfer only (ForceCommand, internal-sftp)",
            ) from error
        return process

    def forward(self, address: str, port: int, hold: Hold = let_be) -> Tunnel:
        """A byte stream to another machine, as seen from this one (direct-tcpip).

        Args:
            address: Of the other machine, as this one knows it.
            port: Its TCP port.
            hold: See `dial`.

        Raises:
            UnreachableError: The other machine cannot be reached from here, or the link is gone.
            NotPermittedError: This one does not forward.
        """
        link = self._live_link()
        errand = Errand(
            lambda: self._forwarded(link, address, port), late=lambda channel: channel.close()
        )
        hold(errand)
        try:
            return Tunnel(errand.result())
        except ConnectionAbortedError as error:
            raise lost(self._endpoint.name, error) from error

    def _forwarded(self, link: Link, address: str, port: int) -> Channel:
        """The channel; the bastion tells the thread that asks why there is none."""
        from paramiko import SSHException

        try:
            return link.transport.open_channel(
                "direct-tcpip", (address, port), ("", 0), timeout=self._endpoint.connect_timeout_s
            )
        except (SSHException, EOFError, OSError) as error:
            if not link.transport.is_active():
                raise lost(self._endpoint.name, error) from error
            refusal = link.refusals.last() or Refusal(0, "")
            raise self._not_forwarded(error, refusal, f"{address} port {port}") from error

    def _establish(self, hops: list[SshConnector], *, tries_drops: bool) -> Link:
        """Connect; again, a little later, where that may help."""
        began = time.monotonic()
        attempts = 0
        while True:
            attempts += 1
            target = Target(self._endpoint)
            if self._follows_jumps and not hops:
                self._connect_hops(route(self._endpoint), hops)
            through = hops[-1] if hops else self._bastion
            way = target.dial if through is None else through.forward
            dialler = functools.partial(way, hold=self._wait_for)
            try:
                return Link.open(target, dialler, self._notices.append, self._wait_for)
            except ConnectError as error:
                if self._closing.is_set():
                    raise self._closed() from error
                if not isinstance(error, UnreachableError):
                    raise
                elapsed_s = time.monotonic() - began
                pause = back_off(error, attempts, elapsed_s, target.endpoint)
                is_final = isinstance(error, DroppedError) and not tries_drops
                if pause is None or is_final:
                    raise _after(attempts, error) from error
            if self._closing.wait(pause):
                raise self._closed()

    def _closed(self) -> UnreachableError:
        message = "closed while connecting"
        return UnreachableError(message, host=self._endpoint.name)

    def _wait_for(self, waited_for: Stoppable) -> None:
        """See `Hold`."""
        with self._lock:
            self._waited_for = waited_for
            is_closing = self._closing.is_set()
        if is_closing:
            raise self._closed()

    def _connect_hops(self, jumps: Iterable[Endpoint], hops: list[SshConnector]) -> None:
        """Connect to each, the first directly, each next through the one before."""
        for endpoint in jumps:
            hop = SshConnector(endpoint, bastion=hops[-1] if hops else None, follows_jumps=False)
            hops.append(hop)
            if self._closing.is_set():
                raise self._closed()
            hop.connect()
        self._notices += hops[-1].notices if hops else ()

    def _live_link(self) -> Link:
        link = self._link
        if link is None:
            message = "not connected"
            raise UnreachableError(message, host=self._endpoint.name)
        if not link.is_alive:
            raise lost(self._endpoint.name, link.transport.saved_exception)
        return link

    def _not_forwarded(self, error: Exception, refusal: Refusal, place: str) -> ConnectError:
        """What a bastion's answer to `forward` means."""
        bastion = f"the bastion {self._endpoint.name}"
        if refusal.code == PROHIBITED:
            return NotPermittedError(
                f"{bastion} does not permit connections to {place}",
                hint="permit them on the bastion (AllowTcpForwarding, PermitOpen in sshd_config)",
            )
        reason = refusal.words or str(error)
        kind = UnreachableError
        if "refused" in reason.lower():
            kind = DialRefusedError
        elif "time" in reason.lower():  # "Connection timed out", or paramiko's own "Timeout …"
            kind = DialTimeoutError
        return kind(
            f"{bastion} does not reach {place}: {reason}",
            hint="is the address right as seen from the bastion, and is the machine up?",
        )


def back_off(
    error: UnreachableError, attempts: int, elapsed_s: float, endpoint: Endpoint
) -> float | None:
    """How long to wait before the next attempt, with jitter; `None` to give up.

    A host that hangs up before its banner drops a burst of connections (MaxStartups): it is tried
    again within the time for one connection. Whatever else is out of reach is tried as often as
    the endpoint says.
    """
    dropped = isinstance(error, DroppedError)
    longest_s = min(_LONGEST_DROP_S if dropped else _LONGEST_S, _BACK_OFF_S * 2.0**attempts)
    pause_s = longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
    in_time = elapsed_s + pause_s <= endpoint.connect_timeout_s
    return pause_s if attempts < endpoint.connect_attempts or (dropped and in_time) else None


def _after(attempts: int, error: UnreachableError) -> UnreachableError:
    """The error of the last attempt, which says how many there were."""
    if attempts == 1:
        return error
    message = f"{error.message} ({attempts} attempts)"
    return type(error)(message, host=error.host, hint=error.hint)


class _Patience(threading.Event):
    """An event for which nobody waits longer than `timeout_s`."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s

    def wait(self, timeout: float | None = None) -> bool:
        if not super().wait(self._timeout_s if timeout is None else timeout):
            raise TimeoutError
        return True


def _shut_down(waited_for: Stoppable) -> None:
    """Wake whoever waits for it; it stays theirs to close."""
    with contextlib.suppress(OSError, EOFError):
        waited_for.shutdown(socket.SHUT_RDWR)


def _close_all(hops: Sequence[SshConnector]) -> None:
    for hop in reversed(hops):
        hop.close()


def plugin(endpoint: Endpoint) -> SshConnector:
    """The entry point `ssh`."""
    return SshConnector(endpoint)
