"""Where an endpoint leads once ssh_config has had its say, as Fabric reads it."""

from __future__ import annotations

import contextlib
import functools
import getpass
import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.connector.dial import Hold, Line, dial, let_be
from kubexm.connector.endpoint import Endpoint
from kubexm.connector.proxy_command import CommandLine, expand
from kubexm.connector.proxy_dial import dial_through
from kubexm.connector.ssh_settings import SshSettings
from kubexm.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabric import Connection
    from paramiko import SSHConfig

_SSH_PORT = 22
_reading = threading.Lock()


class Target:
    """Where an endpoint leads once ssh_config has had its say.

    Args:
        endpoint: What it leaves empty, ssh_config and then ssh's defaults fill in.

    Raises:
        ConnectError: ssh_config cannot be read, or has a value that is none.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        name = endpoint.address or endpoint.name
        with _telling(endpoint):
            found = _ssh_config().lookup(name)
            self.settings = SshSettings.of(endpoint, found)
            self.address = str(found["hostname"])
            self.port = endpoint.port or int(found.get("port", _SSH_PORT))
            self.user = endpoint.user or found.get("user") or getpass.getuser()
        self.endpoint = replace(
            endpoint,
            host_key_policy=self.settings.host_key_policy,
            connect_timeout_s=self.settings.connect_timeout_s,
            connect_attempts=self.settings.connect_attempts,
        )

    @functools.cached_property
    def connection(self) -> Connection:
        """Fabric's view of it, not yet opened.

        Raises:
            ConnectError: Fabric does not take the address.
        """
        from fabric import Config, Connection

        with _telling(self.endpoint):
            return Connection(
                self.address,
                user=self.user,
                port=self.port,
                # One for each connection, which writes into it: another would see it half merged.
                config=Config(lazy=True, ssh_config=_ssh_config()),
                gateway=False,
                forward_agent=False,
                connect_timeout=1,
                connect_kwargs={"sock": None},
            )

    def __str__(self) -> str:
        return f"{self.user}@{self.address} port {self.port}"

    def dial(self, address: str, port: int, hold: Hold = let_be) -> Line:
        """A link to the machine from here: through its proxy, when it has one; `hold` as in `dial`.

        Raises:
            ConnectError: See `dial`, `dial_through` and `CommandLine`.
        """
        endpoint = self.endpoint
        timeout_s, host = endpoint.connect_timeout_s, endpoint.name
        command = endpoint.proxy_command
        if not command and endpoint.proxy is None:
            command = self.settings.proxy_command
        if command:
            tokens = {"h": address, "p": str(port), "r": self.user}
            tokens["n"] = endpoint.address or endpoint.name
            try:
                return CommandLine.start(expand(command, tokens))
            except ConnectError as error:
                raise error.on(host) from error.__cause__
        if endpoint.proxy is not None:
            proxy = endpoint.proxy
            return dial_through(proxy, address, port, timeout_s=timeout_s, host=host, hold=hold)
        return dial(address, port, timeout_s=timeout_s, host=host, hold=hold)

    def jumps(self) -> Iterator[Endpoint]:
        """The hosts to go through (ProxyJump), the one that is dialled directly first.

        Raises:
            ConnectError: ProxyJump is not a list of `user@host:port`.
        """
        from fabric.connection import derive_shorthand

        jumps = self.settings.proxy_jump
        for jump in jumps.split(",") if jumps else ():
            try:
                where = derive_shorthand(jump.strip().removeprefix("ssh://").rstrip("/"))
            except ValueError as error:
                message = f"ssh_config has the ProxyJump {jumps!r} for {self.address}: {error}"
                raise ConnectError(message, host=self.endpoint.name) from error
            # Credentials, and a key that is pinned, are for the host that they were given for.
            yield Endpoint(
                name=where["host"],
                address=where["host"],
                port=where["port"] or 0,
                user=where["user"] or "",
                host_key_policy=self.endpoint.host_key_policy.for_others(),
                known_hosts=self.endpoint.known_hosts,
                connect_timeout_s=self.endpoint.connect_timeout_s,
                connect_attempts=self.endpoint.connect_attempts,
            )


def route(endpoint: Endpoint) -> tuple[Endpoint, ...]:
    """The bastions on the way to a machine, the one that is dialled directly first.

    They are the endpoint's own or, when it names neither bastion nor proxy, those of ssh_config.
    Each is dialled through the one before it: whoever connects them passes
    `SshConnector(hop, bastion=the one before, follows_jumps=False)`.

    Raises:
        ConnectError: ssh_config cannot be read, or sends us in a circle.
    """
    return _route(endpoint, ())


def _route(endpoint: Endpoint, behind: tuple[tuple[str, int], ...]) -> tuple[Endpoint, ...]:
    if not endpoint.bastions and (endpoint.proxy or endpoint.proxy_command):
        return ()
    target = Target(endpoint)
    place = (target.address, target.port)
    if place in behind:
        circle = " → ".join(address for address, _ in (*behind[behind.index(place) :], place))
        message = f"ssh_config leads in a circle with ProxyJump: {circle}"
        raise ConnectError(message, host=endpoint.name)
    hops = endpoint.bastions or _before(place, tuple(target.jumps()))
    return (*_route(hops[0], (*behind, place)), *hops) if hops else ()


def _before(place: tuple[str, int], hops: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """The hops up to the machine itself, which `Host *` may name as a hop to itself."""
    for number, hop in enumerate(hops):
        target = Target(hop)
        if (target.address, target.port) == place:
            return hops[:number]
    return hops


@contextlib.contextmanager
def _telling(endpoint: Endpoint) -> Iterator[None]:
    """Make one error of ours of whatever the parsers of Fabric and paramiko stumble on."""
    try:
        yield
    except Exception as error:
        message = (
            f"the ssh configuration for {endpoint.address or endpoint.name} is of no use: {error}"
        )
        raise ConnectError(
            message,
            host=endpoint.name,
            hint="check the address, ~/.ssh/config and /etc/ssh/ssh_config",
        ) from error


def _ssh_config() -> SSHConfig:
    """The configuration of the home directory; looking up in it changes nothing."""
    # Without a handler its tracebacks would reach the terminal (logging.lastResort). What the
    # user's own logging configuration wants of it stays as it is.
    logger = logging.getLogger("paramiko")
    with _reading:
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        return _read(Path.home())


@functools.lru_cache(maxsize=4)
def _read(home: Path) -> SSHConfig:
    from kubexm.connector.ssh_config import read_ssh_config

    return read_ssh_config(home)
