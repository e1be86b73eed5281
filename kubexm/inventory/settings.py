"""What the connection variables of one host came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.connector import Endpoint, HostKeyPolicy
from kubexm.inventory.model import BecomeMode, MachineMode
from kubexm.shell import Become, Escalation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubexm.secret import Secret


def _empty() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the connection variables of a host came to, after precedence."""

    address: str = ""
    internal_address: str = ""
    port: int = 0
    user: str = ""
    password: Secret | None = None
    private_key: str = ""
    passphrase: Secret | None = None
    host_key_policy: HostKeyPolicy = HostKeyPolicy.ACCEPT_NEW
    known_hosts: str = ""
    connect_timeout_s: float = 15
    options: Mapping[str, str] = field(default_factory=_empty)
    connection: str = "ssh"
    become: BecomeMode = BecomeMode.AUTO
    become_method: Become = Become.SUDO
    become_user: str = "root"
    become_password: Secret | None = None
    mode: MachineMode = MachineMode.LIVE
    family: str = ""
    labels: Mapping[str, str] = field(default_factory=_empty)

    def endpoint(self, name: str) -> Endpoint:
        """What a connector is made from; a host that is not local is reached by its name."""
        return Endpoint(
            name=name,
            address=self.address or ("" if self.connection == "local" else name),
            port=self.port,
            user=self.user,
            password=self.password,
            private_key=self.private_key,
            passphrase=self.passphrase,
            host_key_policy=self.host_key_policy,
            known_hosts=self.known_hosts,
            connect_timeout_s=self.connect_timeout_s,
            options=self.options,
        )

    def escalation(self) -> Escalation:
        """Whom to become and how, whether or not `become` asks for it."""
        return Escalation(
            method=self.become_method, user=self.become_user, password=self.become_password
        )
