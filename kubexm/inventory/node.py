"""A YAML document as values that know where they were written.

These are named tuples rather than frozen dataclasses: an inventory has tens of thousands of
them, and a named tuple is made three times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias, final

from kubexm.inventory.sealed import Sealed
from kubexm.secret import Secret


@final
class Verbatim(str):
    """Text that is no template, whatever it holds (`!unsafe`)."""

    __slots__ = ()


class ScalarNode(NamedTuple):
    """One value: text, a number, a boolean or nothing.

    `text` is what was written, without quotes. Lines and columns count from 1; 0 means that
    the value was not in a file.
    """

    value: object
    text: str
    line: int
    column: int


class SequenceNode(NamedTuple):
    """A list; `value` is the whole of it as plain, immutable data."""

    value: tuple[object, ...]
    items: tuple[Node, ...]
    line: int
    column: int


class Entry(NamedTuple):
    """One key and its value."""

    key: ScalarNode
    value: Node


class MappingNode(NamedTuple):
    """A mapping in the order of the file; `value` is the whole of it as plain, immutable data."""

    value: Mapping[object, object]
    entries: tuple[Entry, ...]
    line: int
    column: int


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


def sequence(items: Sequence[Node], line: int, column: int) -> SequenceNode:
    """A list of nodes."""
    return SequenceNode(tuple([item.value for item in items]), tuple(items), line, column)


def mapping(entries: Sequence[Entry], line: int, column: int) -> MappingNode:
    """A mapping of entries whose keys differ."""
    value = {entry.key.value: entry.value.value for entry in entries}
    return MappingNode(MappingProxyType(value), tuple(entries), line, column)


def mapping_from(data: Mapping[str, object], line: int = 0, column: int = 0) -> MappingNode:
    """A node for data that is not YAML, such as extra variables; all of it at one place."""
    entries = [
        Entry(ScalarNode(key, str(key), line, column), node_from(value, line, column))
        for key, value in data.items()
    ]
    return mapping(entries, line, column)


def node_from(value: object, line: int = 0, column: int = 0) -> Node:
    """A node for a value that is not YAML."""
    match value:
        case Mapping():
            return mapping_from(value, line, column)
        case list() | tuple():
            return sequence([node_from(item, line, column) for item in value], line, column)
        case _:
            return ScalarNode(value, "" if is_hidden(value) else str(value), line, column)


def is_hidden(value: object) -> bool:
    """Whether a value is a secret, fetched or not."""
    return isinstance(value, Secret | Sealed)


def describe(node: Node) -> str:  # noqa: PLR0911 - one for each kind
    """What a message says was found: a short value as YAML has it, else its kind."""
    match node:
        case SequenceNode():
            return "a list"
        case MappingNode():
            return "a mapping"
        case ScalarNode(value=None):
            return "nothing"
        case ScalarNode(value=Secret() | Sealed()):
            return "a secret"
        case ScalarNode(value=str() as text):
            text = str(text)
            return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
        case ScalarNode(value=bool() as flag):
            return str(flag).lower()
        case ScalarNode():
            return node.text[:_SHOWN]


_SHOWN = 40
