"""An inventory as frozen values: hosts, groups, and where each variable was set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from kubexm.connector import Endpoint
from kubexm.errors import UsageError
from kubexm.inventory.name import CONTROL_NODE
from kubexm.inventory.select import closest, matching
from kubexm.inventory.variables import Variables
from kubexm.shell import Become, Escalation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NOTHING: Mapping[str, object] = MappingProxyType({})
_SUDO = Escalation(method=Become.SUDO)


def _empty() -> Mapping[str, Any]:
    return MappingProxyType({})


class BecomeMode(StrEnum):
    """When to become another user."""

    AUTO = "auto"
    """Where the work needs root and the login user is not root."""
    TRUE = "true"
    """Always."""
    FALSE = "false"
    """Never."""


class MachineMode(StrEnum):
    """What kind of machine is at the address."""

    LIVE = "live"
    """One that is booted."""
    IMAGE = "image"
    """One that is baked and not booted: a chroot, a mounted disk."""


class Origin(NamedTuple):
    """Where a variable's value was set; line and column are 0 where there is no file.

    `source` reads "group web", "host web1", "task arguments" or "extra variables"; `path` is the
    file, or what else the inventory was read from.
    """

    source: str
    line: int
    column: int
    path: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part)
        return f"{place} ({self.source})" if place else self.source


class Assignment(NamedTuple):
    """One place that sets a variable, and the value there: as it is written, secrets hidden."""

    value: object
    origin: Origin


History: TypeAlias = Callable[[str, str], tuple[Assignment, ...]]
"""From a host's and a variable's name to every place that sets it, the last of which counts."""


def _no_history(_host: str, _variable: str) -> tuple[Assignment, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the inventory says about one machine. Nothing here is connected.

    Args:
        name: The inventory's name for it.
        address: Where it is reached; its name unless the inventory says otherwise.
        internal_address: How other hosts reach it; its address unless set.
        groups: All its groups but `all` and `ungrouped`, by depth and then by name: its roles.
        variables: Everything set for it, after precedence; passwords are `Secret`. Templates are
            evaluated when a variable is read, which raises `InventoryError` where one cannot be.
        origins: Where each of the variables was set.
        labels: Free words for selectors and reports.
        connection: The name of a connector plugin.
        endpoint: What the connector is made from.
        via: The host on which the connection's client runs; empty for this machine.
        become: When to use `escalation`.
        escalation: Whom to become and how; it is complete even when `become` is false.
        mode: See `MachineMode`.
        family: The OS family to take it for; empty lets the facts decide.
    """

    name: str
    address: str
    internal_address: str
    endpoint: Endpoint = field(hash=False)
    groups: tuple[str, ...] = ()
    variables: Mapping[str, object] = field(default_factory=_empty, hash=False, repr=False)
    origins: Mapping[str, Origin] = field(
        default_factory=_empty, hash=False, repr=False, compare=False
    )
    labels: Mapping[str, str] = field(default_factory=_empty, hash=False)
    connection: str = "ssh"
    via: str = ""
    become: BecomeMode = BecomeMode.AUTO
    escalation: Escalation = _SUDO
    mode: MachineMode = MachineMode.LIVE
    family: str = ""

    @property
    def written(self) -> Mapping[str, object]:
        """The variables as they are written: templates as text, secrets `Secret` or `Sealed`."""
        return self.variables.raw if isinstance(self.variables, Variables) else self.variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of hosts.

    Args:
        name: Its name.
        hosts: Those written in it, in inventory order.
        children: The groups right below it, in the order of the file; of `all` also those that
            are in no other.
        members: Its hosts and those of its children at any depth, in inventory order.
        depth: Steps down from `all` on the longest way.
        variables: Set for the group itself, as they are written: only a host can evaluate a
            template. Passwords are `Secret`; a secret that is not fetched yet is `Sealed`.
    """

    name: str
    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    depth: int = 0
    variables: Mapping[str, object] = field(default_factory=_empty, hash=False, repr=False)


def control_node(variables: Mapping[str, object] = _NOTHING) -> Host:
    """The machine that kubexm runs on, as a host in a group of its own.

    Args:
        variables: Its variables.
    """
    return Host(
        name=CONTROL_NODE,
        address="localhost",
        internal_address="localhost",
        groups=(CONTROL_NODE,),
        variables=variables,
        connection="local",
        endpoint=Endpoint(name=CONTROL_NODE),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Hosts and groups, read from one source or several.

    Args:
        path: The first source: a file, a directory, or what else was named.
        hosts: In the order in which the file first names them.
        groups: By name, with `all` and `ungrouped`, in the order of the file.
        warnings: What is allowed and probably not meant, in whole sentences.
        control: The control node, which no group but its own and no glob includes.
        sources: Everything that was read, as it was named.
        history: See `assignments`.
    """

    path: Path
    hosts: tuple[Host, ...]
    groups: Mapping[str, Group]
    warnings: tuple[str, ...] = ()
    control: Host = field(default_factory=control_node)
    sources: tuple[str, ...] = ()
    history: History = field(default=_no_history, repr=False, compare=False, hash=False)
    _by_name: Mapping[str, Host] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        by_name = {host.name: host for host in (*self.hosts, self.control)}
        object.__setattr__(self, "_by_name", MappingProxyType(by_name))

    def __repr__(self) -> str:
        return f"<Inventory {self.path}: {len(self.hosts)} hosts, {len(self.groups)} groups>"

    def host(self, name: str) -> Host:
        """The host of that name, the control node too.

        Raises:
            UsageError: There is none; the hint names the closest.
        """
        if name in self._by_name:
            return self._by_name[name]
        message = f"no host {name!r} in {self.path}"
        raise UsageError(message, hint=closest(name, tuple(self._by_name)))

    def assignments(self, host: str, variable: str) -> tuple[Assignment, ...]:
        """Every place that sets a variable for a host, by rising precedence: the last one counts.

        Raises:
            UsageError: There is no such host.
        """
        return self.history(self.host(host).name, variable)

    def select(self, limit: str | None) -> tuple[Host, ...]:
        """The hosts that a limit leaves, in inventory order; all of them when it is None.

        Args:
            limit: See `kubexm.inventory.select.matching`.

        Raises:
            UsageError: A term matches nothing, or nothing is left.
        """
        if limit is None:
            return self.hosts
        names = matching(
            limit,
            tuple(host.name for host in self.hosts),
            {name: group.members for name, group in self.groups.items()},
            labels={host.name: host.labels for host in self.hosts if host.labels},
            apart=(self.control.name,),
        )
        return tuple(self._by_name[name] for name in names)
