"""What the code says about each operation: its docstring, its arguments, who handles it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.runner import operations
from kubexm.runner.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.runner.family import Catalogue

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns):\n", re.MULTILINE)
_ARGUMENT = re.compile(r"^ {4}(\w+): ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One field of an operation.

    Args:
        name: As a keyword.
        type: As it is annotated.
        default: As Python writes it; empty when it must be given.
        text: What the docstring says about it, in one line.
    """

    name: str
    type: str
    default: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One operation.

    Args:
        name: Of the class.
        module: Where it is imported from.
        text: The docstring without its arguments; the first line is a summary.
        arguments: In order.
        families: Those with a handler of their own; a family that extends one of them has it too.
    """

    name: str
    module: str
    text: str
    arguments: tuple[Argument, ...]
    families: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The first line."""
        return self.text.partition("\n")[0]


def references(catalogue: Catalogue) -> tuple[Reference, ...]:
    """Every operation that kubexm ships or that a plugin handles, by name."""
    handled = catalogue.operations
    shipped = {
        found
        for found in (getattr(operations, name) for name in operations.__all__)
        if inspect.isclass(found) and issubclass(found, Operation)
    }
    return tuple(
        _reference(operation, handled.get(operation, ()))
        for operation in sorted(shipped | handled.keys(), key=lambda each: each.__name__)
    )


def _reference(operation: type[Operation], families: tuple[str, ...]) -> Reference:
    text, *sections = _SECTION.split(inspect.getdoc(operation) or "")
    said = dict(_arguments(dict(zip(sections[::2], sections[1::2], strict=True)).get("Args", "")))
    public = operation.__name__ in operations.__all__
    return Reference(
        name=operation.__name__,
        module=operations.__name__ if public else operation.__module__,
        text=text.strip(),
        arguments=tuple(
            Argument(
                name=field.name,
                type=field.type if isinstance(field.type, str) else field.type.__name__,
                default=_default(field),
                text=said.get(field.name, ""),
            )
            for field in dataclasses.fields(operation)
        ),
        families=tuple(sorted(families)),
    )


def _arguments(section: str) -> Iterator[tuple[str, str]]:
    """Name and text of each argument, from the `Args:` of a docstring in Google's style."""
    _, *parts = _ARGUMENT.split(section)
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        yield name, " ".join(text.split())


def _default(field: dataclasses.Field[object]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return repr(field.default_factory())
    if field.default is dataclasses.MISSING:
        return ""
    if isinstance(field.default, int) and field.name.endswith("mode"):
        return f"0o{field.default:o}"
    return repr(field.default)
