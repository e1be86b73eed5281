"""Where an endpoint leads once ssh_config has had its say, as Fabric reads it."""

from __future__ import annotations

import functools
import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubexm.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fabric import Config, Connection

    from kubexm.connector.endpoint import Endpoint

_configuring = threading.Lock()


class Target:
    """Where an endpoint leads once ssh_config has had its say.

    Args:
        endpoint: What it leaves empty, ssh_config and then ssh's defaults fill in.

    Raises:
        ConnectError: ssh_config cannot be read, or asks for what is not done here.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.connection = _configured(endpoint)
        self.settings: Mapping[str, Any] = self.connection.ssh_config
        self.address: str = self.connection.host
        self.port: int = self.connection.port
        self.user: str = self.connection.user
        if self.settings.get("proxycommand"):
            message = f"ssh_config has a ProxyCommand for {self.address}, which is not supported"
            raise ConnectError(
                message,
                host=endpoint.name,
                hint="use ProxyJump in ssh_config, or the connector 'openssh'",
            )

    def __str__(self) -> str:
        return f"{self.user}@{self.address} port {self.port}"

    def jumps(self) -> Iterator[Endpoint]:
        """The hosts to go through (ProxyJump), the one that is dialled directly first.

        Raises:
            ConnectError: ProxyJump is not a list of `user@host:port`.
        """
        from fabric.connection import derive_shorthand

        jumps = str(self.settings.get("proxyjump") or "none")
        for jump in () if jumps.lower() == "none" else jumps.split(","):
            try:
                where = derive_shorthand(jump.strip().removeprefix("ssh://").rstrip("/"))
            except ValueError as error:
                message = f"ssh_config has the ProxyJump {jumps!r} for {self.address}: {error}"
                raise ConnectError(message, host=self.endpoint.name) from error
            yield replace(
                self.endpoint,
                name=where["host"],
                address=where["host"],
                port=where["port"] or 0,
                user=where["user"] or "",
                # Credentials are for the host that they were given for.
                password=None,
                private_key="",
                passphrase=None,
            )


def _configured(endpoint: Endpoint) -> Connection:
    from fabric import Connection

    # Without a handler its tracebacks would reach the terminal (logging.lastResort). What the
    # user's own logging configuration wants of it stays as it is.
    logger = logging.getLogger("paramiko")
    try:
        with _configuring:
            if not logger.handlers:
                logger.addHandler(logging.NullHandler())
            config = _config(Path.home())
        return Connection(
            endpoint.address or endpoint.name,
            user=endpoint.user or None,
            port=endpoint.port or None,
            config=config,
            gateway=False,
            forward_agent=False,
            connect_timeout=1,
            connect_kwargs={"sock": None},
        )
    except Exception as error:  # Fabric and paramiko raise whatever their parser stumbles on
        message = (
            f"the ssh configuration for {endpoint.address or endpoint.name} is of no use: {error}"
        )
        raise ConnectError(
            message,
            host=endpoint.name,
            hint="check the address, ~/.ssh/config and /etc/ssh/ssh_config",
        ) from error


@functools.lru_cache(maxsize=4)
def _config(home: Path) -> Config:
    """Fabric's configuration with ssh_config in it, read once for a home directory."""
    from fabric import Config

    del home
    config = Config(lazy=True)
    config.load_ssh_config()
    return config
