"""What the connection variables of one host came to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.connector import DEFAULT_CONNECT_TIMEOUT_S, Endpoint, HostKeyPolicy, Inside, Proxy
from kubexm.inventory.model import BecomeMode, MachineMode
from kubexm.shell import Become, Escalation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubexm.inventory.bastion import Hop
    from kubexm.secret import Secret


def _empty() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the connection variables of a host came to, after precedence.

    `proxies` holds one at most: `None` would mean that nothing was said.
    """

    address: str = ""
    internal_address: str = ""
    port: int = 0
    user: str = ""
    password: Secret | None = None
    private_key: str = ""
    private_key_content: Secret | None = None
    passphrase: Secret | None = None
    certificate: str = ""
    host_key_policy: HostKeyPolicy | None = None
    host_keys: tuple[str, ...] = ()
    known_hosts: str = ""
    bastions: tuple[Hop, ...] = ()
    proxies: tuple[Proxy, ...] = ()
    proxy_password: Secret | None = None
    proxy_command: str = ""
    connect_timeout_s: float = DEFAULT_CONNECT_TIMEOUT_S
    connect_attempts: int = 0
    options: Mapping[str, str] = field(default_factory=_empty)
    connection: str = "ssh"
    via: str = ""
    container: str = ""
    pod: str = ""
    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""
    root: str = ""
    executable: str = ""
    become: BecomeMode = BecomeMode.AUTO
    become_method: Become = Become.SUDO
    become_user: str = "root"
    become_password: Secret | None = None
    mode: MachineMode = MachineMode.LIVE
    family: str = ""
    labels: Mapping[str, str] = field(default_factory=_empty)

    def endpoint(self, name: str) -> Endpoint:
        """What a connector is made from; a host that is not local is reached by its name.

        Its bastions are found among the hosts later (`kubexm.inventory.bastion`).
        """
        proxy = next(iter(self.proxies), None)
        if proxy is not None:
            proxy = replace(proxy, password=self.proxy_password)
        return Endpoint(
            name=name,
            address=self.address or ("" if self.connection == "local" else name),
            port=self.port,
            user=self.user,
            password=self.password,
            private_key=self.private_key,
            private_key_content=self.private_key_content,
            passphrase=self.passphrase,
            certificate=self.certificate,
            host_key_policy=self._host_key_policy(),
            host_keys=self.host_keys,
            known_hosts=self.known_hosts,
            proxy=proxy,
            proxy_command=self.proxy_command,
            connect_timeout_s=self.connect_timeout_s,
            connect_attempts=self.connect_attempts,
            inside=Inside(
                container=self.container,
                pod=self.pod,
                namespace=self.namespace,
                context=self.context,
                kubeconfig=self.kubeconfig,
                root=self.root,
                executable=self.executable,
            ),
            options=self.options,
        )

    def _host_key_policy(self) -> HostKeyPolicy:
        if self.host_key_policy is not None:
            return self.host_key_policy
        return HostKeyPolicy.PINNED if self.host_keys else HostKeyPolicy.ACCEPT_NEW

    def escalation(self) -> Escalation:
        """Whom to become and how, whether or not `become` asks for it."""
        return Escalation(
            method=self.become_method, user=self.become_user, password=self.become_password
        )
