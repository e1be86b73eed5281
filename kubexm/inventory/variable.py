"""Reading the variables of one level: names and values checked, passwords made secret."""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from kubexm.inventory import value
from kubexm.inventory.definition import DEFINITIONS, Definition
from kubexm.inventory.model import Origin
from kubexm.inventory.node import MappingNode, Node, ScalarNode, describe
from kubexm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kubexm.inventory.problem import Problems

OURS = "kubexm_"
ANSIBLES = "ansible_"
PRIORITY = "ansible_group_priority"

_RANKS: Mapping[str, tuple[Definition, int]] = {
    name: (definition, rank)
    for definition in DEFINITIONS
    for rank, name in enumerate((definition.name, *definition.aliases))
}
_ALSO_ANSIBLES = frozenset(
    ANSIBLES + stem
    for stem in (
        "become_ask_pass",
        "become_exe",
        "become_flags",
        "ksu_pass",
        "libssh_password",
        "paramiko_private_key_file",
        "ssh_args",
        "su_pass",
        "su_user",
    )
)
"""Variables of Ansible's that mean nothing here and are near enough to one that does."""

_SECRET_ENDS = ("_pass", "_password", "_passphrase", "_private_key")


class Variable(NamedTuple):
    """One variable as set in one place.

    `setting` is the typed value when it is a connection variable that has one.
    """

    value: object
    origin: Origin
    setting: object = None


def read(mapping: MappingNode, source: str, base: Path, problems: Problems) -> dict[str, Variable]:
    """The variables of one mapping, checked.

    Args:
        mapping: `vars` of a group, or what is below a host's name.
        source: Whose they are, as in `Origin`.
        base: The directory that relative paths start from.
        problems: Gets every fault.
    """
    found: dict[str, Variable] = {}
    for key, node in mapping.entries:
        name = key.value
        if not isinstance(name, str) or not name:
            problems.add(
                f"the name of a variable must be a string, not {describe(key)}",
                key.line,
                key.column,
                hint="quote it",
            )
            continue
        origin = Origin(source, key.line, key.column)
        if not name.startswith((OURS, ANSIBLES)):
            found[name] = Variable(node.value, origin)
        elif name in _RANKS:
            found[name] = _setting(_RANKS[name][0], key, node, base, problems, source=source)
        else:
            _check_name(name, key, problems)
            found[name] = Variable(_hidden(name, node), origin)
    return found


def combined(variables: Mapping[str, Variable]) -> dict[str, Any]:
    """The settings of one level, by attribute of `Settings`: ours before Ansible's."""
    ranked: dict[str, tuple[int, Any]] = {}
    for name, variable in variables.items():
        if variable.setting is not None:
            definition, rank = _RANKS[name]
            if definition.lands not in ranked or rank < ranked[definition.lands][0]:
                ranked[definition.lands] = (rank, variable.setting)
    return {lands: setting for lands, (_, setting) in ranked.items()}


def priority(variables: Mapping[str, Variable], problems: Problems) -> int:
    """A group's rank among those of its depth (Ansible's `ansible_group_priority`), usually 1."""
    variable = variables.get(PRIORITY)
    if variable is None:
        return 1
    try:
        return int(str(variable.value))
    except ValueError:
        problems.add(
            f"{PRIORITY} must be a whole number",
            variable.origin.line,
            variable.origin.column,
            key=PRIORITY,
        )
        return 1


def _setting(
    definition: Definition,
    key: ScalarNode,
    node: Node,
    base: Path,
    problems: Problems,
    *,
    source: str,
) -> Variable:
    origin = Origin(source, key.line, key.column)
    if node.value is None:
        problems.add(
            f"{key.text} has no value",
            key.line,
            key.column,
            key=key.text,
            hint="give one, or remove the line",
        )
        return Variable(None, origin)
    try:
        setting = definition.read(node, base)
    except value.RefusedError as refused:
        at = refused.node or node
        shown = "" if definition.is_secret else f", not {describe(node)}"
        problems.add(
            f"{key.text} {refused.reason or f'must be {definition.accepts}{shown}'}",
            at.line,
            at.column,
            key=key.text,
            hint=refused.hint,
        )
        return Variable(None, origin)
    return Variable(setting if definition.is_secret else node.value, origin, setting)


def _hidden(name: str, node: Node) -> object:
    """A value as it may be shown: passwords of Ansible's that are not ours stay secret too."""
    if name.endswith(_SECRET_ENDS) and isinstance(node, ScalarNode):
        return node.value if isinstance(node.value, Secret) else Secret(node.text)
    return node.value


def _check_name(name: str, key: ScalarNode, problems: Problems) -> None:
    suggestion = _suggestion(name)
    if suggestion:
        problems.add(
            f"unknown variable {name!r}",
            key.line,
            key.column,
            key=name,
            hint=f"did you mean {suggestion}?",
        )
    elif name.startswith(OURS):
        names = ", ".join(definition.name for definition in DEFINITIONS)
        problems.add(
            f"unknown variable {name!r}",
            key.line,
            key.column,
            key=name,
            hint=f"kubexm_ is reserved for: {names}",
        )


@lru_cache(maxsize=256)
def _suggestion(name: str) -> str:
    """The variable that a name is probably a slip of; empty when there is none.

    Ansible has many variables that are none of ours, so only a slip of the pen counts there.
    """
    if name.startswith(ANSIBLES):
        stems = [known.removeprefix(ANSIBLES) for known in _RANKS if known.startswith(ANSIBLES)]
        near = difflib.get_close_matches(name.removeprefix(ANSIBLES), stems, n=1, cutoff=0.75)
        return ANSIBLES + near[0] if near and name not in _ALSO_ANSIBLES else ""
    stems_of = {
        stem: definition.name
        for definition in DEFINITIONS
        for stem in (definition.name.removeprefix(OURS), *definition.mistaken)
    }
    near = difflib.get_close_matches(name.removeprefix(OURS), stems_of, n=1, cutoff=0.6)
    return stems_of[near[0]] if near else ""
