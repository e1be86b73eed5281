"""The levels of precedence, and what variables come to when one level goes over another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from kubexm.inventory import variable
from kubexm.inventory.model import Assignment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.inventory.variable import Variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Variables after some levels of precedence, and the settings that they come to.

    Args:
        variables: By name.
        settings: By attribute of `Settings`.
    """

    variables: Mapping[str, Variable]
    settings: Mapping[str, Any]

    def under(self, levels: Iterable[Mapping[str, Variable]], *, merge: bool) -> Stack:
        """With further levels on top, each over those before it.

        Args:
            levels: By rising precedence.
            merge: Merge mappings at any depth, instead of letting one replace the other.
        """
        variables, settings = dict(self.variables), dict(self.settings)
        for level in levels:
            if not merge:
                variables.update(level)
                settings.update(variable.combined(level))
                continue
            for name, new in level.items():
                old = variables.get(name)
                value = new.value if old is None else _merged(old.value, new.value)
                variables[name] = new._replace(value=value)
            for name, setting in variable.combined(level).items():
                settings[name] = _merged(settings.get(name), setting)
        return Stack(variables=variables, settings=settings)


NOTHING = Stack(variables=MappingProxyType({}), settings=MappingProxyType({}))


def assignments(levels: Iterable[Mapping[str, Variable]], name: str) -> tuple[Assignment, ...]:
    """Every place in the levels that sets a variable, by rising precedence."""
    found: list[Assignment] = []
    for level in levels:
        here: list[Assignment] = []
        set_here = level.get(name)
        while set_here is not None:
            here.append(Assignment(set_here.value, set_here.origin))
            set_here = set_here.beaten
        found += reversed(here)
    return tuple(found)


def _merged(below: object, above: object) -> object:
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    found = dict(cast("Mapping[object, object]", below))
    for key, value in above.items():
        found[key] = _merged(found[key], value) if key in found else value
    return MappingProxyType(found)
