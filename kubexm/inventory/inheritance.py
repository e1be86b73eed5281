"""Groups and hosts as written → as they are after inheritance.

The levels, each over those before it, in Ansible's order: the inventory's variables of `all` and
then of the groups, by depth, priority and name; beside each source `group_vars/all` and then those
of the other groups; the inventory's variables of the host; its `host_vars`; the arguments of the
task; the extra variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kubexm.errors import InventoryError
from kubexm.inventory import adjacent, bastion, hierarchy, level, ssh_args
from kubexm.inventory.model import Assignment, Group, Host, Inventory, control_node
from kubexm.inventory.name import ALL, CONTROL_NODE, UNGROUPED
from kubexm.inventory.settings import Settings
from kubexm.inventory.ssh_args import spread
from kubexm.inventory.variable import Pending, SettingError
from kubexm.inventory.variables import Scope, Variables
from kubexm.inventory.warning import warnings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from kubexm.inventory.adjacent import Adjacent
    from kubexm.inventory.draft import Draft, GroupDraft, HostDraft
    from kubexm.inventory.level import Stack
    from kubexm.inventory.model import Origin
    from kubexm.inventory.problem import Problems
    from kubexm.inventory.variable import Variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Above:
    """What goes over the variables of every host.

    Args:
        arguments: Of the task.
        extra: Of the command line.
        merge: Mappings of several levels are merged, instead of the last one replacing the others.
    """

    arguments: Mapping[str, Variable]
    extra: Mapping[str, Variable]
    merge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inherited:
    """What the hosts of one and the same set of groups have in common."""

    groups: tuple[str, ...]
    everywhere: frozenset[str]
    levels: tuple[Mapping[str, Variable], ...]
    stack: Stack


class Inheritance:
    """Builds the inventory of a draft whose groups have no cycles.

    Args:
        draft: What the sources say.
        parents: Of every group.
        depths: Of every group.
        beside: `group_vars` and `host_vars`, in the order of the sources.
        above: What goes over everything.
        problems: Gets what is wrong with the bastions of a host.
    """

    def __init__(
        self,
        draft: Draft,
        *,
        parents: Mapping[str, Iterable[str]],
        depths: Mapping[str, int],
        beside: Sequence[Adjacent],
        above: Above,
        problems: Problems,
    ) -> None:
        self._draft = draft
        self._parents = parents
        self._depths = depths
        self._ancestors = hierarchy.ancestors_of(parents, depths)
        self._beside = tuple(beside)
        self._beside_groups = [
            {name: each.variables(adjacent.GROUPS, name) for name in draft.groups}
            for each in self._beside
        ]
        self._above = above
        self._problems = problems
        self._inherited: dict[tuple[str, ...], _Inherited] = {}
        self._direct = self._direct_groups()
        self._hops: dict[str, tuple[bastion.Hop, ...]] = {}
        self._host_levels: dict[str, tuple[Mapping[str, Variable], ...]] = {}

    def build(self, path: Path, sources: Sequence[str]) -> Inventory:
        """The inventory, finished; what is wrong with it is noted where it stands.

        Args:
            path: The first source.
            sources: All of them.
        """
        scope = Scope({"inventory_file": str(path), "inventory_dir": str(path.parent)})
        hosts = {
            name: self._variables(name, draft, scope) for name, draft in self._draft.hosts.items()
        }
        members: dict[str, list[str]] = {name: [] for name in self._draft.groups}
        for name in hosts:
            for group in self._inherit(name).everywhere:
                members[group].append(name)
        scope.groups.update(members)
        scope.hosts.update({name: variables for name, (variables, _) in hosts.items()})
        built = self._through_bastions([self._host(name, *found) for name, found in hosts.items()])
        groups = {
            name: self._group(name, group, members[name])
            for name, group in self._draft.groups.items()
        }
        above = level.NOTHING.under([self._above.arguments, self._above.extra], merge=False)
        control = Variables(
            CONTROL_NODE,
            _values(above.variables),
            _origins(above.variables),
            (CONTROL_NODE,),
            scope,
        )
        return Inventory(
            path=path,
            hosts=tuple(built),
            groups=MappingProxyType(groups),
            warnings=warnings_of(self._draft, built, groups, self._beside, self._problems),
            control=control_node(control),
            sources=tuple(sources),
            history=self._assignments,
        )

    def _assignments(self, host: str, variable: str) -> tuple[Assignment, ...]:
        own: tuple[Mapping[str, Variable], ...] = ()
        if host in self._draft.hosts:
            own = (*self._inherit(host).levels, *self._host_levels[host])
        levels = (*own, self._above.arguments, self._above.extra)
        return level.assignments(levels, variable)

    def _direct_groups(self) -> Mapping[str, tuple[str, ...]]:
        """The groups that each host is written in; `ungrouped` when they come to none."""
        direct: dict[str, list[str]] = {name: [] for name in self._draft.hosts}
        for name, group in self._draft.groups.items():
            if name not in {ALL, UNGROUPED}:
                for host in group.hosts:
                    direct[host].append(name)
        return {host: tuple(found) or (UNGROUPED,) for host, found in direct.items()}

    def _inherit(self, host: str) -> _Inherited:
        direct = self._direct[host]
        if direct in self._inherited:
            return self._inherited[direct]
        everywhere = frozenset().union(*(self._ancestors[name] for name in direct))
        ordered = sorted(everywhere, key=self._precedence)
        levels: list[Mapping[str, Variable]] = []
        levels += [self._draft.groups[name].variables for name in ordered]
        levels += [beside[ALL] for beside in self._beside_groups]
        levels += [
            beside[name] for beside in self._beside_groups for name in ordered if name != ALL
        ]
        levels = [level for level in levels if level]
        roles = sorted(everywhere - {ALL, UNGROUPED}, key=lambda name: (self._depths[name], name))
        inherited = _Inherited(
            groups=tuple(roles),
            everywhere=everywhere,
            levels=tuple(levels),
            stack=level.NOTHING.under(levels, merge=self._above.merge),
        )
        self._inherited[direct] = inherited
        return inherited

    def _precedence(self, group: str) -> tuple[int, int, str]:
        return self._depths[group], self._draft.groups[group].priority, group

    def _variables(
        self, name: str, draft: HostDraft, scope: Scope
    ) -> tuple[Variables, Mapping[str, object]]:
        """Everything that is set for a host, and the settings that it comes to."""
        inherited = self._inherit(name)
        own: list[Mapping[str, Variable]] = [draft.variables]
        own += [each.variables(adjacent.HOSTS, name) for each in self._beside]
        own = [level for level in own if level]
        self._host_levels[name] = tuple(own)
        stack = inherited.stack.under(
            (*own, self._above.arguments, self._above.extra), merge=self._above.merge
        )
        variables = Variables(
            name, _values(stack.variables), _origins(stack.variables), inherited.groups, scope
        )
        return variables, stack.settings

    def _host(self, name: str, variables: Variables, settings: Mapping[str, object]) -> Host:
        found = Settings(**spread(self._settled(variables, settings)))
        address = found.address or name
        self._hops[name] = found.bastions
        return Host(
            name=name,
            address=address,
            internal_address=found.internal_address or address,
            groups=self._inherit(name).groups,
            variables=variables,
            origins=variables.origins,
            labels=found.labels,
            connection=found.connection,
            endpoint=found.endpoint(name),
            via=found.via,
            become=found.become,
            escalation=found.escalation(),
            mode=found.mode,
            family=found.family,
        )

    def _through_bastions(self, hosts: Sequence[Host]) -> list[Host]:
        through, faults = bastion.with_bastions(hosts, self._hops)
        by_name = {host.name: host for host in hosts}
        for fault in faults:
            origins = by_name[fault.host].origins
            name = next(name for name in (bastion.VARIABLE, *ssh_args.NAMES) if name in origins)
            origin = origins[name]
            self._problems.of(origin.path).add(
                f"host {fault.host!r}: {fault}", origin.line, origin.column, key=name
            )
        return list(through)

    def _settled(self, variables: Variables, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings with those that were templates evaluated for this host."""
        if not any(isinstance(setting, Pending) for setting in settings.values()):
            return settings
        found = dict(settings)
        for lands, setting in settings.items():
            if not isinstance(setting, Pending):
                continue
            problems = setting.document.problems
            del found[lands]
            try:
                found[lands] = setting.settle(variables[setting.name])
            except InventoryError as error:
                problems.note(error)
            except SettingError as wrong:
                message = f"{wrong.message} (for host {variables.host})"
                problems.add(
                    message, wrong.node.line, wrong.node.column, key=setting.name, hint=wrong.hint
                )
        return found

    def _group(self, name: str, draft: GroupDraft, members: Sequence[str]) -> Group:
        written = (
            members if name == UNGROUPED else [host for host in members if host in draft.hosts]
        )
        topmost = [group for group in self._draft.groups if ALL in self._parents[group]]
        beside = [groups[name] for groups in self._beside_groups]
        stack = level.NOTHING.under([draft.variables, *beside], merge=self._above.merge)
        return Group(
            name=name,
            hosts=tuple(written),
            children=tuple(topmost if name == ALL else draft.children),
            members=tuple(members),
            depth=self._depths[name],
            variables=_values(stack.variables),
        )


def _values(variables: Mapping[str, Variable]) -> Mapping[str, object]:
    return MappingProxyType({name: item.value for name, item in variables.items()})


def _origins(variables: Mapping[str, Variable]) -> Mapping[str, Origin]:
    return MappingProxyType({name: item.origin for name, item in variables.items()})
