"""What the command line says about access, over what the inventory says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from kubexm.inventory.model import BecomeMode, Host, Inventory
    from kubexm.secret import Secret

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOverrides:
    """Command-line access flags. None leaves a host as it is.

    Args:
        user: `--user`.
        private_key: `--private-key`, a path; `~` is expanded.
        password: What `--ask-pass` was answered.
        become: `--become`.
        become_password: What `--ask-become-pass` was answered.
        connect_timeout_s: More than 0.
    """

    user: str | None = None
    private_key: str | None = None
    password: Secret | None = None
    become: BecomeMode | None = None
    become_password: Secret | None = None
    connect_timeout_s: float | None = None


def override(inventory: Inventory, overrides: AccessOverrides) -> Inventory:
    """The inventory with the overrides on every host, the control node too."""
    if overrides == AccessOverrides():
        return inventory
    return replace(
        inventory,
        hosts=tuple(_over(host, overrides) for host in inventory.hosts),
        control=_over(inventory.control, overrides),
    )


def _over(host: Host, overrides: AccessOverrides) -> Host:
    endpoint, escalation = host.endpoint, host.escalation
    key = overrides.private_key
    return replace(
        host,
        endpoint=replace(
            endpoint,
            user=_either(overrides.user, endpoint.user),
            private_key=endpoint.private_key if key is None else str(Path(key).expanduser()),
            private_key_content=endpoint.private_key_content if key is None else None,
            certificate=endpoint.certificate if key is None else "",
            password=_either(overrides.password, endpoint.password),
            connect_timeout_s=_either(overrides.connect_timeout_s, endpoint.connect_timeout_s),
        ),
        become=_either(overrides.become, host.become),
        escalation=replace(
            escalation, password=_either(overrides.become_password, escalation.password)
        ),
    )


def _either(override: T | None, present: T) -> T:
    return present if override is None else override
