"""Digests of plans, steps and hosts: equal while what they mean is equal.

A function counts by its code and by what it closes over, a secret as nothing but a secret: a
digest of it could be guessed.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from enum import Enum
from functools import partial
from pathlib import PurePath
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING

from kubexm.inventory.sealed import Sealed
from kubexm.inventory.variables import Variables
from kubexm.secret import REDACTED, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator


def digest(value: object) -> str:
    """32 hex digits for a plan, a step, an operation, a host, or what they consist of.

    The same in every process that runs the same Python and the same code.
    """
    sink = hashlib.sha256()
    for word in _words(value, ()):
        sink.update(f"{len(word)}:{word}".encode("utf-8", "surrogateescape"))
    return sink.hexdigest()[:32]


def _words(  # noqa: PLR0912 - a case for each kind of value
    value: object, inside: tuple[int, ...]
) -> Iterator[str]:
    """The value as words, without addresses in memory or the order of sets."""
    if id(value) in inside:
        yield "↺"
        return
    within = (*inside, id(value))
    match value:
        case None | bool() | int() | float() | str() | bytes():
            yield f"{type(value).__name__} {value!r}"
        case Secret() | Sealed():
            yield REDACTED
        case PurePath():
            yield f"path {value}"
        case Variables():
            # as they are written: a digest must not open secrets, nor fail where nobody reads
            yield from _words(value.raw, within)
        case Enum():
            yield f"{type(value).__qualname__}.{value.name}"
        case tuple() | list():
            yield f"[{len(value)}"
            for item in value:
                yield from _words(item, within)
        case frozenset() | set():
            yield f"{{{len(value)}"
            yield from sorted(digest(item) for item in value)
        case Mapping():
            yield f"<{len(value)}"
            yield from sorted(f"{digest(key)}{digest(value[key])}" for key in value)
        case CodeType() | FunctionType() | MethodType() | partial():
            yield from _code(value, within)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield f"{type(value).__module__}.{type(value).__qualname__}"
            for field in dataclasses.fields(value):
                if field.compare:
                    yield field.name
                    yield from _words(getattr(value, field.name), within)
        case _:
            found = value if isinstance(value, type) else type(value)
            yield f"{found.__module__}.{found.__qualname__}"


def _code(
    value: CodeType | FunctionType | MethodType | partial[object], within: tuple[int, ...]
) -> Iterator[str]:
    """What a function does, and what it does it with."""
    match value:
        case CodeType():
            yield from (value.co_qualname, value.co_code.hex(), repr(value.co_names))
            yield from _words(value.co_consts, within)
        case FunctionType():
            yield f"{value.__module__}.{value.__qualname__}"
            yield from _words(value.__code__, within)
            yield from _words((value.__defaults__, value.__kwdefaults__), within)
            for cell in value.__closure__ or ():
                yield from _words(cell.cell_contents, within)
        case MethodType():
            yield from _words((value.__func__, value.__self__), within)
        case partial():
            yield from _words((value.func, value.args, value.keywords), within)
