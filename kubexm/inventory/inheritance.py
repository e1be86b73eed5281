"""Groups and hosts as written → as they are after inheritance."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kubexm.inventory import bastion, hierarchy, variable
from kubexm.inventory.model import Group, Host, Inventory, control_node
from kubexm.inventory.name import ALL, UNGROUPED
from kubexm.inventory.settings import Settings
from kubexm.inventory.warning import warnings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from kubexm.inventory.draft import Draft, GroupDraft, HostDraft
    from kubexm.inventory.problem import Problems
    from kubexm.inventory.variable import Variable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inherited:
    """What the hosts of one and the same set of groups have in common."""

    groups: tuple[str, ...]
    everywhere: frozenset[str]
    variables: Mapping[str, Variable]
    settings: Mapping[str, Any]


class Inheritance:
    """Inheritance: `all`, then groups by depth, priority and name, then the host, then extra."""

    def __init__(
        self,
        draft: Draft,
        parents: Mapping[str, Iterable[str]],
        depths: Mapping[str, int],
        priorities: Mapping[str, int],
        extra: Mapping[str, Variable],
    ) -> None:
        self._draft = draft
        self._parents = parents
        self._depths = depths
        self._priorities = priorities
        self._ancestors = hierarchy.ancestors_of(parents, depths)
        self._extra = extra
        self._extra_settings = variable.combined(extra)
        self._inherited: dict[tuple[str, ...], _Inherited] = {}
        self._hops: dict[str, tuple[bastion.Hop, ...]] = {}

    def build(self, path: Path, problems: Problems) -> Inventory:
        """The inventory of the file at `path`, finished.

        Args:
            path: The file.
            problems: Gets what is wrong with the bastions of a host.
        """
        direct = self._direct_groups()
        hosts = []
        members: dict[str, list[str]] = {name: [] for name in self._draft.groups}
        for name, host in self._draft.hosts.items():
            inherited = self._inherit(tuple(direct[name]))
            for group in inherited.everywhere:
                members[group].append(name)
            hosts.append(self._host(name, host, inherited))
        hosts = self._through_bastions(hosts, problems)
        groups = {
            name: self._group(name, group, members[name])
            for name, group in self._draft.groups.items()
        }
        return Inventory(
            path=path,
            hosts=tuple(hosts),
            groups=MappingProxyType(groups),
            warnings=warnings_of(path, self._draft, hosts, groups),
            control=control_node(_values(self._extra)),
        )

    def _through_bastions(self, hosts: Sequence[Host], problems: Problems) -> list[Host]:
        through, faults = bastion.with_bastions(hosts, self._hops)
        by_name = {host.name: host for host in hosts}
        for fault in faults:
            origin = by_name[fault.host].origins[bastion.VARIABLE]
            problems.add(
                f"host {fault.host!r}: {fault}", origin.line, origin.column, key=bastion.VARIABLE
            )
        return list(through)

    def _direct_groups(self) -> dict[str, list[str]]:
        """The groups that each host is written in; `ungrouped` when they come to none."""
        direct: dict[str, list[str]] = {name: [] for name in self._draft.hosts}
        for name, group in self._draft.groups.items():
            if name not in {ALL, UNGROUPED}:
                for host in group.hosts:
                    direct[host].append(name)
        for found in direct.values():
            if not found:
                found.append(UNGROUPED)
        return direct

    def _inherit(self, direct: tuple[str, ...]) -> _Inherited:
        if direct in self._inherited:
            return self._inherited[direct]
        everywhere = frozenset().union(*(self._ancestors[name] for name in direct))
        variables: dict[str, Variable] = {}
        merged: dict[str, Any] = {}
        for name in sorted(everywhere, key=self._precedence):
            found = self._draft.groups[name].variables
            variables.update(found)
            merged.update(variable.combined(found))
        roles = sorted(everywhere - {ALL, UNGROUPED}, key=lambda name: (self._depths[name], name))
        inherited = _Inherited(
            groups=tuple(roles), everywhere=everywhere, variables=variables, settings=merged
        )
        self._inherited[direct] = inherited
        return inherited

    def _precedence(self, group: str) -> tuple[int, int, str]:
        return self._depths[group], self._priorities[group], group

    def _host(self, name: str, draft: HostDraft, inherited: _Inherited) -> Host:
        variables = {**inherited.variables, **draft.variables, **self._extra}
        found = Settings(
            **{
                **inherited.settings,
                **variable.combined(draft.variables),
                **self._extra_settings,
            }
        )
        address = found.address or name
        self._hops[name] = found.bastions
        return Host(
            name=name,
            address=address,
            internal_address=found.internal_address or address,
            groups=inherited.groups,
            variables=_values(variables),
            origins=MappingProxyType({key: item.origin for key, item in variables.items()}),
            labels=found.labels,
            connection=found.connection,
            endpoint=found.endpoint(name),
            become=found.become,
            escalation=found.escalation(),
            mode=found.mode,
            family=found.family,
        )

    def _group(self, name: str, draft: GroupDraft, members: Sequence[str]) -> Group:
        written = (
            members if name == UNGROUPED else [host for host in members if host in draft.hosts]
        )
        topmost = [group for group in self._draft.groups if ALL in self._parents[group]]
        return Group(
            name=name,
            hosts=tuple(written),
            children=tuple(topmost if name == ALL else draft.children),
            members=tuple(members),
            depth=self._depths[name],
            variables=_values(draft.variables),
        )


def _values(variables: Mapping[str, Variable]) -> Mapping[str, object]:
    return MappingProxyType({name: item.value for name, item in variables.items()})
