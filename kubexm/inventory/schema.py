"""A JSON Schema for inventories, made from the definitions that `load` checks them with.

It is for editors, which then complete and check while one types. It says less than `load` does:
what depends on more than one place (a cycle of groups, a name that is nearly one of Ansible's)
is beyond it. It refuses nothing that `load` takes, values with a tag (`!secret`) apart.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from kubexm.inventory import reach, value
from kubexm.inventory.definition import DEFINITIONS, Definition
from kubexm.inventory.name import ALL, CONTROL_NODE, OURS, UNGROUPED
from kubexm.inventory.ssh_args import ssh_args
from kubexm.inventory.variable import PRIORITY
from kubexm.shell import Become

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Shape: TypeAlias = "Mapping[str, object]"

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LABEL = r"[^\s@/:.]+"
_IPV6 = r"(?=.*:.*:)[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4})*((\.[0-9]+)*|%\S+)"
_ADDRESSES = (
    rf"^{_OCTET}(\.{_OCTET}){{3}}$",
    rf"^{_IPV6}$",
    # no host name ends in a number, so that would be an address
    rf"^(?![\[-])(?!.*\.[0-9]+\.?$){_LABEL}(\.{_LABEL})*\.?$",
    # the directory tree of a chroot
    r"^/\S*$",
)
_METHODS = "|".join(each for each in Become if each is not Become.NONE)
_BECOMES = "|".join(
    "".join(f"[{letter}{letter.upper()}]" for letter in word)
    for word in ("auto", "true", "yes", "on", "false", "no", "off")
)
_NONE: Shape = {"enum": ["none", False]}


def _one_or_more(shape: Shape) -> Shape:
    return {"anyOf": [shape, {"type": "array", "minItems": 1, "items": shape}]}


_TEMPLATE: Shape = {"type": "string", "pattern": r"\{[{%]"}
_SHAPES: Mapping[value.Reader, Shape] = MappingProxyType(
    {
        value.text: {"type": "string", "minLength": 1},
        value.word: {"type": "string", "pattern": r"^[^\s-]\S*$"},
        value.become_user: {"type": "string", "pattern": r"""^[^\s'"!\\-][^\s'"!\\]*$"""},
        value.address: {"type": "string", "anyOf": [{"pattern": each} for each in _ADDRESSES]},
        value.path: {"type": "string", "minLength": 1, "not": {"pattern": "PRIVATE KEY|[\r\n]"}},
        value.secret: {"type": "string", "minLength": 1},
        value.port: {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65_535},
                {"type": "string", "pattern": "^[0-9]{1,5}$"},
            ]
        },
        value.seconds: {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 3600},
                {
                    "type": "string",
                    "pattern": r"^(?!0+(\.0+)?[smh]?$)[0-9]{1,9}(\.[0-9]{1,9})?[smh]?$",
                },
            ]
        },
        value.become: {
            "anyOf": [
                {"type": "boolean"},
                {"type": "string", "pattern": f"^({_BECOMES})$"},
            ]
        },
        value.become_method: {
            "type": "string",
            "pattern": rf"^(.*\.)?({_METHODS})$",
        },
        value.plugin_name: {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$"},
        value.connection: {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$"},
        value.strings: {"type": "object", "additionalProperties": {"type": "string"}},
        ssh_args: {"type": "string"},
        reach.attempts: {"type": "integer", "minimum": 1, "maximum": 20},
        reach.proxies: {
            "anyOf": [
                _NONE,
                {"type": "string", "pattern": r"^([sS][oO][cC][kK][sS]5[hH]?|[hH][tT][tT][pP])://"},
            ]
        },
        reach.proxy_command: {"anyOf": [_NONE, {"type": "string", "minLength": 1}]},
        reach.bastions: {
            "anyOf": [_NONE, _one_or_more({"type": "string", "pattern": r"^[^\s-]\S*$"})]
        },
        reach.host_keys: _one_or_more({"type": "string", "pattern": r"^\s*(SHA256:\S+|\S+\s+\S)"}),
    }
)
"""What the readers of `value` take, as far as JSON Schema can say it."""

_NAME = r"(?![-~@])(?!\.{1,2}$)"
_RANGE = r"\[([0-9]*:[0-9]+|[a-zA-Z]:[a-zA-Z])(:[1-9][0-9]*)?\]"
_HOST_NAME = rf"^({_NAME}([^\s,:!&*?\[\]{{}}/\\]|{_RANGE})+(:[0-9]+)?|{_IPV6}|\[{_IPV6}\]:[0-9]+)$"
_GROUP_NAME = rf"^({_NAME}[^\s,:!&*?\[\]{{}}/\\]+|{_IPV6})$"
_NO_GROUPS = (CONTROL_NODE, "hosts", "children", "vars")
_NO_HOSTS = (ALL, UNGROUPED, CONTROL_NODE)


def schema() -> dict[str, object]:
    """The schema, in the draft of 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An inventory of kubexm, in Ansible's YAML format",
        "type": "object",
        "minProperties": 1,
        "propertyNames": _name(_GROUP_NAME, _NO_GROUPS),
        "properties": {UNGROUPED: {"$ref": "#/$defs/ungrouped"}},
        "additionalProperties": {"$ref": "#/$defs/group"},
        "$defs": {
            "group": _group(children={"$ref": "#/$defs/groups"}),
            "ungrouped": _group(children={"type": "null"}),
            "groups": {
                "type": ["object", "null"],
                "propertyNames": _name(_GROUP_NAME, _NO_GROUPS),
                "additionalProperties": {"$ref": "#/$defs/group"},
            },
            "hosts": {
                "type": ["object", "null"],
                "propertyNames": _name(_HOST_NAME, _NO_HOSTS),
                "additionalProperties": {"$ref": "#/$defs/variables"},
            },
            "variables": _variables(),
        },
    }


def _name(pattern: str, taken: Iterable[str]) -> Shape:
    return {"type": "string", "pattern": pattern, "maxLength": 253, "not": {"enum": list(taken)}}


def _group(children: Shape) -> Shape:
    return {
        "description": "hosts, groups below this one, and variables for all of them",
        "type": ["object", "null"],
        "properties": {
            "hosts": {"$ref": "#/$defs/hosts"},
            "children": children,
            "vars": {"$ref": "#/$defs/variables"},
        },
        "additionalProperties": False,
    }


def _variables() -> Shape:
    settings: dict[str, Shape] = {
        name: _setting(definition, name)
        for definition in DEFINITIONS
        for name in (definition.name, *definition.aliases)
    }
    settings[PRIORITY] = {
        "description": "a group's rank among those of its depth; by default 1",
        "anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[+-]?[0-9]+$"}],
    }
    ours = "|".join(re.escape(definition.name.removeprefix(OURS)) for definition in DEFINITIONS)
    return {
        "description": "kubexm_ and ansible_ settings of connections, and any variables of yours",
        "type": ["object", "null"],
        "propertyNames": {"type": "string", "minLength": 1},
        "properties": settings,
        "patternProperties": {f"^{OURS}(?!({ours})$)": False},
    }


def _setting(definition: Definition, name: str) -> Shape:
    """What one name takes: its values, or a template that comes to one."""
    meaning = definition.description
    if name != definition.name:
        meaning = f"{definition.name}: {meaning}"
    shape = _shape(definition.read)
    return {"description": f"{meaning} ({definition.accepts})", "anyOf": [shape, _TEMPLATE]}


def _shape(reader: value.Reader) -> Shape:
    """What a reader takes; anything, where only the reader itself can tell."""
    if isinstance(reader, value.Choice):
        return {"enum": [member.value for member in reader.kind]}
    return _SHAPES.get(reader, {})
