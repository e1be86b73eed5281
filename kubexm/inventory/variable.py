"""Reading the variables of one level: names and values checked, passwords made secret.

What holds a template is checked when the template is evaluated, for each host (`Pending`).
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from kubexm.errors import InventoryError
from kubexm.inventory import value
from kubexm.inventory.definition import DEFINITIONS, Definition
from kubexm.inventory.model import Origin
from kubexm.inventory.name import ANSIBLES, OURS, is_secret_name
from kubexm.inventory.node import MappingNode, Node, ScalarNode, describe, is_hidden, node_from
from kubexm.inventory.sealed import Sealed
from kubexm.inventory.ssh_args import SshArgs
from kubexm.inventory.template import has_template
from kubexm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubexm.inventory.source import Document

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
        "su_pass",
        "su_user",
    )
)
"""Variables of Ansible's that mean nothing here and are near enough to one that does."""


class Variable(NamedTuple):
    """One variable as set in one place.

    `setting` is the typed value when it is a connection variable that has one; `beaten` is what
    an earlier place of the same level said.
    """

    value: object
    origin: Origin
    setting: object = None
    beaten: Variable | None = None


class Pending(NamedTuple):
    """A connection variable whose value is a template; only a host can say what it comes to."""

    definition: Definition
    name: str
    origin: Origin
    line: int
    column: int
    document: Document

    def settle(self, value: object) -> object:
        """The typed setting, of what the template came to.

        Raises:
            SettingError: The variable does not accept it.
        """
        node = node_from(value, self.line, self.column)
        return _typed(self.definition, self.name, node, self.document)


class SettingError(Exception):
    """A value that a connection variable does not accept, and what to say of it."""

    def __init__(self, message: str, node: Node, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.node = node
        self.hint = hint


def read(mapping: MappingNode, source: str, document: Document) -> dict[str, Variable]:
    """The variables of one mapping, checked.

    Args:
        mapping: `vars` of a group, or what is below a host's name.
        source: Whose they are, as in `Origin`.
        document: Where they stand; its problems get every fault.
    """
    problems, path = document.problems, document.path
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
        origin = Origin(source, key.line, key.column, path)
        if not name.startswith((OURS, ANSIBLES)):
            found[name] = Variable(node.value, origin)
        elif name in _RANKS:
            found[name] = _setting(_RANKS[name][0], key, node, document, origin)
        else:
            _check_name(name, key, document)
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


def priority(variable: Variable, document: Document) -> int:
    """A group's rank among those of its depth (Ansible's `ansible_group_priority`), usually 1."""
    try:
        return int(str(variable.value))
    except ValueError:
        document.problems.add(
            f"{PRIORITY} must be a whole number",
            variable.origin.line,
            variable.origin.column,
            key=PRIORITY,
        )
        return 1


def _setting(
    definition: Definition, key: ScalarNode, node: Node, document: Document, origin: Origin
) -> Variable:
    value = node.value
    if value is None:
        document.problems.add(
            f"{key.text} has no value",
            key.line,
            key.column,
            key=key.text,
            hint="give one, or remove the line",
        )
        return Variable(None, origin)
    if has_template(value):
        pending = Pending(definition, key.text, origin, node.line, node.column, document)
        return Variable(value, origin, pending)
    try:
        if isinstance(value, Sealed):
            value = value.open()
            node = ScalarNode(value, "", node.line, node.column)
        setting = _typed(definition, key.text, node, document)
    except InventoryError as error:
        document.problems.note(error)
        return Variable(None, origin)
    except SettingError as wrong:
        document.problems.add(
            wrong.message, wrong.node.line, wrong.node.column, key=key.text, hint=wrong.hint
        )
        return Variable(None, origin)
    return Variable(setting if definition.is_secret else value, origin, setting)


def _typed(definition: Definition, name: str, node: Node, document: Document) -> object:
    """The setting that a value comes to.

    A secret may be anything, such as the user of an encrypted file: it is used as what it says
    and not shown. A loose format may have a number where text is meant.
    """
    is_shown = not definition.is_secret and not is_hidden(node.value)
    if is_hidden(node.value) and not definition.is_secret:
        said = node.value.reveal() if isinstance(node.value, Secret) else ""
        node = ScalarNode(said, said, node.line, node.column)
    setting = _checked(definition, name, node, document, is_shown=is_shown)
    if isinstance(setting, SshArgs) and setting.unused:
        unused = ", ".join(dict.fromkeys(setting.unused))
        document.problems.warn(f"{name}: nothing is done about {unused}", node.line, node.column)
    return setting


def _checked(
    definition: Definition, name: str, node: Node, document: Document, *, is_shown: bool
) -> object:
    try:
        try:
            return definition.read(node, document.base)
        except value.RefusedError:
            if not document.is_loose or not _is_number(node):
                raise
            said = node.text if isinstance(node, ScalarNode) else ""
            return definition.read(ScalarNode(said, said, *node[-2:]), document.base)
    except value.RefusedError as refused:
        shown = f", not {describe(node)}" if is_shown else ""
        reason = refused.reason or f"must be {definition.accepts}{shown}"
        message = f"{name} {reason}"
        raise SettingError(message, refused.node or node, refused.hint) from None


def _is_number(node: Node) -> bool:
    return isinstance(node, ScalarNode) and isinstance(node.value, int | float)


def _hidden(name: str, node: Node) -> object:
    """A value as it may be shown: passwords of Ansible's that are not ours stay secret too."""
    if not is_secret_name(name) or not isinstance(node, ScalarNode):
        return node.value
    if is_hidden(node.value) or has_template(node.value):
        return node.value
    return Secret(node.text)


def _check_name(name: str, key: ScalarNode, document: Document) -> None:
    problems = document.problems
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
    stem = name.removeprefix(OURS)
    near = difflib.get_close_matches(stem, stems_of, n=3, cutoff=0.6)
    # difflib ranks "root" over "port" for "prot", and swapped letters are the commoner slip
    near.sort(key=lambda known: sorted(known) != sorted(stem))
    return stems_of[near[0]] if near else ""
