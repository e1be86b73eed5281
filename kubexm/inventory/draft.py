"""From nodes to groups and hosts as they are written; nothing is inherited yet."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kubexm.inventory import variable
from kubexm.inventory.name import ALL, CONTROL_NODE, UNGROUPED, expand, fault, split_port
from kubexm.inventory.node import Entry, MappingNode, Node, ScalarNode, describe, mapping

if TYPE_CHECKING:
    from kubexm.inventory.problem import FileProblems
    from kubexm.inventory.source import Document
    from kubexm.inventory.variable import Variable

_PORT = "ansible_port"
_SECTIONS = ("hosts", "children", "vars")
_RANGES = "write a range as [1:10], [01:10], [a:f] or [0:10:2]"
_HINTS = {
    "hosts": "write each host's name as a key: 'web1:'",
    "children": "write each group's name as a key: 'web:'",
    "vars": "write each variable as 'name: value'",
}


class Place(NamedTuple):
    """Where something is mentioned first; lines and columns from 1."""

    file: FileProblems
    line: int
    column: int

    @property
    def written(self) -> tuple[int, int, int]:
        """Places compare by it: the later one was read later."""
        return self.file.part, self.line, self.column

    def __str__(self) -> str:
        place = (self.file.path or self.file.says, self.line, self.column)
        return ":".join(str(part) for part in place if part)


@dataclass(slots=True, kw_only=True)
class GroupDraft:
    """A group, gathered from every place that mentions it; children with their first place."""

    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, Place] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    priority: int = 1


@dataclass(slots=True, kw_only=True)
class HostDraft:
    """A host, gathered from every place that mentions it."""

    place: Place
    variables: dict[str, Variable] = field(default_factory=dict)


class Draft:
    """What the sources say, by name and in their order; only `load` fills it."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupDraft] = {ALL: GroupDraft(), UNGROUPED: GroupDraft()}
        self.hosts: dict[str, HostDraft] = {}
        self.repeated: list[tuple[str, Variable, Variable, Place]] = []

    def read(self, document: Document) -> None:
        """Take in a document; what it says again, it says last."""
        self._document = document
        root = document.root
        if root.value is None:
            return
        if not isinstance(root, MappingNode):
            self._add(
                f"an inventory must be a mapping of groups, not {describe(root)}",
                root,
                hint="begin with 'all:'",
            )
            return
        for key, node in root.entries:
            if key.value in _SECTIONS:
                self._add(f"{key.text!r} belongs in a group", key, hint="put it below 'all:'")
            else:
                self._group(key, node)

    def _add(self, message: str, node: Node, *, hint: str) -> None:
        key = node.text if isinstance(node, ScalarNode) else ""
        self._document.problems.add(message, node.line, node.column, key=key, hint=hint)

    def _group(self, key: ScalarNode, node: Node) -> str | None:
        """Take in one mention of a group; its name, unless that is at fault."""
        if not self._is_name(key, "group", taken=(CONTROL_NODE, *_SECTIONS)):
            return None
        name = key.text
        group = self.groups.setdefault(name, GroupDraft())
        if node.value is None:
            return name
        if not isinstance(node, MappingNode):
            self._add(
                f"group {name!r} must be a mapping, not {describe(node)}",
                node,
                hint="a group has hosts, children and vars",
            )
            return name
        for section, content in node.entries:
            if section.value not in _SECTIONS:
                self._unknown_section(section, name)
            elif isinstance(content, MappingNode):
                self._section(section, content, name, group)
            elif content.value is not None:
                self._add(
                    f"{section.text} of group {name!r} must be a mapping, not {describe(content)}",
                    content,
                    hint=_HINTS[section.text],
                )
        return name

    def _section(
        self, section: ScalarNode, content: MappingNode, name: str, group: GroupDraft
    ) -> None:
        match section.text:
            case "vars":
                found = variable.read(content, f"group {name}", self._document)
                if (rank := found.pop(variable.PRIORITY, None)) is not None:
                    group.priority = variable.priority(rank, self._document)
                self._update(group.variables, found)
            case "children":
                self._children(section, content, name, group)
            case _:
                for key, node in content.entries:
                    self._host(key, node, group)

    def _children(
        self, section: ScalarNode, content: MappingNode, name: str, group: GroupDraft
    ) -> None:
        if name == UNGROUPED:
            self._add(
                "group 'ungrouped' cannot have children",
                section,
                hint="it is the hosts that are in no group",
            )
            return
        for key, node in content.entries:
            child = self._group(key, node)
            if child == UNGROUPED and name != ALL:
                self._add(
                    f"group 'ungrouped' cannot be in group {name!r}",
                    key,
                    hint="it is the hosts that are in no group",
                )
            elif child is not None:
                group.children.setdefault(child, self._place(key))

    def _place(self, node: Node) -> Place:
        return Place(self._document.problems, node.line, node.column)

    def _unknown_section(self, section: ScalarNode, group: str) -> None:
        near = difflib.get_close_matches(section.text.lower(), _SECTIONS, n=1, cutoff=0.6)
        self._add(
            f"unknown key {section.text!r} in group {group!r}",
            section,
            hint=f"did you mean {near[0]!r}?"
            if near
            else "a group has hosts, children and vars; put names of hosts below hosts, of groups "
            "below children, and variables below vars",
        )

    def _host(self, key: ScalarNode, node: Node, group: GroupDraft) -> None:
        """Take in one mention of a host, or of a range of hosts."""
        pattern, port = split_port(key.text) if isinstance(key.value, str) else (key.text, "")
        if port:
            key = ScalarNode(pattern, pattern, key.line, key.column)
        names = self._host_names(key)
        found: dict[str, Variable] = {}
        if port:
            behind = ScalarNode(int(port), port, key.line, key.column)
            named = Entry(ScalarNode(_PORT, _PORT, key.line, key.column), behind)
            at_name = mapping((named,), key.line, key.column)
            found = variable.read(at_name, f"host {pattern}", self._document)
        if isinstance(node, MappingNode):
            found |= variable.read(node, f"host {key.text}", self._document)
        elif node.value is not None:
            self._add(
                f"host {key.text!r} must be a mapping of variables or nothing, "
                f"not {describe(node)}",
                node,
                hint="write 'name: value' on a line of its own",
            )
        for name in names:
            group.hosts[name] = None
            host = self.hosts.get(name)
            if host is None:
                host = self.hosts[name] = HostDraft(place=self._place(key))
            if found:
                self._update(host.variables, found)

    def _host_names(self, key: ScalarNode) -> tuple[str, ...]:
        names: tuple[str, ...] = (key.text,)
        if "[" in key.text:
            try:
                names = expand(key.text)
            except ValueError as error:
                self._add(
                    f"the host name {key.text!r} {error}",
                    key,
                    hint=_RANGES,
                )
                return ()
        taken = (ALL, UNGROUPED, CONTROL_NODE)
        ranged = len(names) > 1
        return tuple(
            name
            for name in names
            if self._is_name(key._replace(text=name) if ranged else key, "host", taken=taken)
        )

    def _is_name(self, key: ScalarNode, kind: str, *, taken: tuple[str, ...]) -> bool:
        if not isinstance(key.value, str):
            self._add(
                f"the name of a {kind} must be a string, not {describe(key)}", key, hint="quote it"
            )
            return False
        if key.text in taken:
            self._add(
                f"{key.text!r} cannot be the name of a {kind}",
                key,
                hint="choose another; it has a meaning of its own",
            )
            return False
        if reason := fault(key.text):
            hint = "choose another name"
            if kind == "host" and "':'" in reason:
                hint = "set the port with kubexm_port"
            elif kind == "host" and "'['" in reason:
                hint = _RANGES
            self._add(f"the {kind} name {key.text!r} {reason}", key, hint=hint)
            return False
        return True

    def _update(self, present: dict[str, Variable], found: dict[str, Variable]) -> None:
        """A later mention has the say, as with Ansible; `repeated` notes where it differs."""
        for name, new in found.items():
            old = present.get(name)
            if old is not None:
                if old.value != new.value and old.origin.path == new.origin.path:
                    place = Place(self._document.problems, new.origin.line, new.origin.column)
                    self.repeated.append((name, old, new, place))
                present[name] = new._replace(beaten=old)
            else:
                present[name] = new
