"""Where a machine is and how to get in: what a connector is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from kubexm.secret import Secret
    from kubexm.shell import Process


class HostKeyPolicy(StrEnum):
    """What to do about a machine's host key (compare StrictHostKeyChecking in ssh_config(5))."""

    STRICT = "strict"
    """It must be in known_hosts."""
    ACCEPT_NEW = "accept-new"
    """Trust on first use and record it; a changed key is an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One machine as a connector sees it. Every default is safe.

    Args:
        name: The inventory's name for it; messages use it.
        address: Host name or IP address; empty for a connector that needs none.
        port: 0 means the connector's default (22 for ssh).
        user: Empty means the connector's default (ssh_config, else the local user).
        password: For password and keyboard-interactive authentication.
        private_key: Path of a private key; empty leaves it to the agent and the default keys.
        passphrase: Of the private key.
        host_key_policy: See `HostKeyPolicy`.
        known_hosts: Path of the known_hosts file; empty means ~/.ssh/known_hosts.
        connect_timeout_s: For the TCP connection, the banner and the authentication, each.
        options: Further settings by name, for connectors of other distributions.
    """

    name: str
    address: str = ""
    port: int = 0
    user: str = ""
    password: Secret | None = None
    private_key: str = ""
    passphrase: Secret | None = None
    host_key_policy: HostKeyPolicy = HostKeyPolicy.ACCEPT_NEW
    known_hosts: str = ""
    connect_timeout_s: float = 15
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class Connector(Protocol):
    """Bytes to and from one machine. This is all that a new transport writes."""

    def connect(self) -> None:
        """Reach the machine and get in, within the endpoint's timeout.

        Raises:
            UnreachableError: No usable answer.
            AuthenticationError: No credential was accepted.
            HostKeyError: The host key is unknown or changed.
        """
        ...

    def close(self) -> None:
        """Let go of everything; harmless when repeated."""
        ...

    def is_connected(self) -> bool:
        """Whether `open` can be expected to work."""
        ...

    def open(self, command: str) -> Process:
        """Start a command line under the login user's shell, with three pipes.

        Raises:
            UnreachableError: The link is gone.
            ConnectError: The machine refuses another channel.
        """
        ...


@runtime_checkable
class Notices(Protocol):
    """An optional ability of a connector: to tell what the operator should know."""

    @property
    def notices(self) -> Sequence[str]:
        """Sentences, such as that a new host key was accepted, with its fingerprint."""
        ...


@runtime_checkable
class Bootless(Protocol):
    """An optional ability of a connector: to know that it leads to an image.

    Nothing has booted there, whether or not the inventory says so (`kubexm_mode`).
    """

    @property
    def is_image(self) -> bool:
        """Whether services can only be enabled, and settings only be written down."""
        ...


ConnectorFactory: TypeAlias = Callable[[Endpoint], Connector]
"""What an entry point of `kubexm.connectors` names."""
