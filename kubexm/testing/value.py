"""Values from YAML and back: operations, facts and states as plain mappings."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from kubexm.secret import Secret

T = TypeVar("T")
_OCTAL = ("mode",)


def build(kind: type[T], values: Mapping[str, object]) -> T:
    """A dataclass from a mapping of its fields.

    Lists become tuples or frozensets, mappings become dataclasses, strings become members of
    enumerations or octal numbers, and `{secret: text}` becomes a `Secret`, as the fields' types
    ask for.

    Args:
        kind: The dataclass.
        values: Field name to plain value.

    Raises:
        TypeError: A field is unknown or missing, or a value does not fit.
    """
    hints = typing.get_type_hints(kind, localns=vars(collections.abc))
    unknown = sorted(set(values) - set(hints))
    if unknown:
        message = f"{kind.__name__} has no field {', '.join(unknown)}"
        raise TypeError(message)
    return kind(**{name: _convert(hints[name], value) for name, value in values.items()})


def _convert(hint: Any, value: Any) -> Any:  # noqa: ANN401 - a type is whatever typing makes of it
    hint = _member(hint, value)
    match value:
        case {"secret": text} if len(value) == 1:
            return Secret(str(text))
        case Mapping() if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return build(hint, value)
        case list():
            items = typing.get_args(hint) or (object,)
            converted = [_convert(items[0], item) for item in value]
            return (
                frozenset(converted) if typing.get_origin(hint) is frozenset else tuple(converted)
            )
        case str() if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return hint(value)
        case str() if hint is int:
            return int(value, 8)
    return value


def _member(hint: Any, value: object) -> Any:  # noqa: ANN401 - see _convert
    """The member of a union that a plain value is meant for; any other type is itself."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    members = [each for each in typing.get_args(hint) if each is not type(None)]
    for member in members:
        if isinstance(value, typing.get_origin(member) or member):
            return member
        if isinstance(value, Mapping) and dataclasses.is_dataclass(member):
            return member
    return members[0]


def plain(value: object, *, name: str = "") -> Any:  # noqa: ANN401 - what YAML can hold
    """A value as YAML shows it best; the opposite of `build`, for reading.

    Args:
        value: A dataclass, or what it is made of.
        name: Of the field; a mode is shown in octal.
    """
    if isinstance(value, int) and name in _OCTAL:
        return f"{value:04o}"
    shown: Any = value
    match value:
        case enum.Enum():
            shown = value.value
        case bytes():
            shown = value.decode("utf-8", "backslashreplace")
        case Secret():
            shown = {"secret": str(value)}
        case Mapping():
            shown = {str(key): plain(item) for key, item in value.items()}
        case tuple() | list():
            shown = [plain(item) for item in value]
        case frozenset() | set():
            shown = sorted((plain(item) for item in value), key=str)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            shown = {f.name: plain(getattr(value, f.name), name=f.name) for f in fields}
    return shown
