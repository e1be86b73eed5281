"""Where a machine is and how to get in: what a connector is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeAlias, assert_never, runtime_checkable

if TYPE_CHECKING:
    from kubexm.connector.proxy import Proxy
    from kubexm.secret import Secret
    from kubexm.shell import Process


class HostKeyPolicy(StrEnum):
    """What to do about a machine's host key (compare StrictHostKeyChecking in ssh_config(5))."""

    STRICT = "strict"
    """It must be in known_hosts."""
    ACCEPT_NEW = "accept-new"
    """Trust on first use and record it; a changed key is an error."""
    PINNED = "pinned"
    """It must be one of those that the endpoint names; known_hosts is not asked."""
    INSECURE = "insecure"
    """Any key will do: whoever stands between can read and change everything."""

    def for_others(self) -> HostKeyPolicy:
        """What it comes to for a bastion of which nothing is said: trust is never handed on."""
        match self:
            case HostKeyPolicy.PINNED | HostKeyPolicy.STRICT:
                return HostKeyPolicy.STRICT
            case HostKeyPolicy.ACCEPT_NEW | HostKeyPolicy.INSECURE:
                return HostKeyPolicy.ACCEPT_NEW
            case _:
                assert_never(self)


DEFAULT_CONNECT_TIMEOUT_S = 15.0
"""What counts as nothing said about the time to connect, so that ssh_config may say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """Which part of a machine is meant, for transports that lead into one. Empty means unset.

    Args:
        container: Of docker, podman, systemd-nspawn, or of a pod.
        pod: Of Kubernetes.
        namespace: The pod's.
        context: A kubectl context.
        kubeconfig: Path of kubectl's configuration, where kubectl runs.
        root: Path of a directory tree.
        executable: The client to start instead of the transport's usual one.
    """

    container: str = ""
    pod: str = ""
    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""
    root: str = ""
    executable: str = ""


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
        private_key_content: The key itself, as the file would hold it; goes before `private_key`.
        passphrase: Of the private key.
        certificate: Path of the private key's OpenSSH certificate; empty means the file beside
            the key (`KEY-cert.pub`), when there is one.
        host_key_policy: See `HostKeyPolicy`. The default gives way to a stricter
            StrictHostKeyChecking of ssh_config.
        host_keys: For `HostKeyPolicy.PINNED`: public keys ("ssh-ed25519 AAAA…") or their
            fingerprints ("SHA256:…").
        known_hosts: Path of the known_hosts file; empty means what ssh_config says, else
            ~/.ssh/known_hosts.
        connect_timeout_s: For the TCP connection, the banner and the authentication, each. The
            default gives way to ssh_config's ConnectTimeout.
        connect_attempts: How often to try a machine that cannot be reached; 0 means what
            ssh_config says, else once.
        bastions: The machines to go through, the one that is dialled directly first, each with
            its own credentials and host key. Their own `bastions` are empty.
        proxy: What stands before the machine or, where there are bastions, is of no use.
        proxy_command: A command line whose standard input and output lead to the machine
            (ProxyCommand in ssh_config(5), with its tokens); instead of `proxy`.
        inside: Which container, pod or directory tree; see `Inside`.
        options: Further settings by name, for connectors of other distributions.
    """

    name: str
    address: str = ""
    port: int = 0
    user: str = ""
    password: Secret | None = None
    private_key: str = ""
    private_key_content: Secret | None = None
    passphrase: Secret | None = None
    certificate: str = ""
    host_key_policy: HostKeyPolicy = HostKeyPolicy.ACCEPT_NEW
    host_keys: tuple[str, ...] = ()
    known_hosts: str = ""
    connect_timeout_s: float = DEFAULT_CONNECT_TIMEOUT_S
    connect_attempts: int = 0
    bastions: tuple[Endpoint, ...] = ()
    proxy: Proxy | None = None
    proxy_command: str = ""
    inside: Inside = Inside()
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

        It is UTF-8; scripts, which need not be, go through a session.

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


@runtime_checkable
class Reusable(Protocol):
    """An optional ability of a connector: to be kept, connected, for whoever needs it next."""

    def answers(self, timeout_s: float) -> bool:
        """Whether the machine still answers on this connection; asks it, and never raises."""
        ...


@runtime_checkable
class Routed(Protocol):
    """An optional ability of a connector: to go through machines, and to let others through."""

    def route(self) -> Sequence[Endpoint]:
        """The machines that it will go through, the one that is dialled directly first.

        Raises:
            ConnectError: The way cannot be made out.
        """
        ...

    def beyond(self, endpoint: Endpoint) -> Connector:
        """An unconnected connector to a machine behind this one, whatever its own route says."""
        ...


@runtime_checkable
class Impatient(Protocol):
    """An optional ability of a connector: to leave it to its caller to try again."""

    def connect_once(self) -> None:
        """As `Connector.connect`, but a host that hangs up at once is not tried again.

        Raises:
            DroppedError: It did.
            ConnectError: As `Connector.connect`.
        """
        ...


@runtime_checkable
class Carried(Protocol):
    """An optional ability of a connector: to start its client on another machine than this one."""

    @property
    def wants_root(self) -> bool:
        """Whether its client works for root only, as chroot does."""
        ...

    def through(self, other: Connector) -> None:
        """Start it where a connected connector leads; that stays its owner's to close.

        Called before `connect`.
        """
        ...


ConnectorFactory: TypeAlias = Callable[[Endpoint], Connector]
"""What an entry point of `kubexm.connectors` names."""
