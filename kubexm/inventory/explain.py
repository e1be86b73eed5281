"""Where a variable of a host comes from: what counts, and what lost to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import UsageError
from kubexm.inventory.definition import DEFINITIONS
from kubexm.inventory.export import shown
from kubexm.inventory.select import closest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.inventory.model import Assignment, Host, Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One variable of one host.

    Args:
        host: Its name.
        variable: Its name.
        value: What it comes to: templates evaluated, secrets masked.
        assignments: Every place that sets it, the one that counts first.
        also: Other names of the same connection variable, where they are set as well.
    """

    host: str
    variable: str
    value: object
    assignments: tuple[Assignment, ...]
    also: tuple[tuple[str, Assignment], ...] = ()

    def lines(self) -> Iterator[str]:
        """As text."""
        yield f"{self.variable} of {self.host} is {_written(self.value)}"
        for number, each in enumerate(self.assignments):
            what = "from" if number == 0 else "over"
            yield f"  {what} {each.origin}: {_written(shown(each.value))}"
        for name, each in self.also:
            yield f"  {name} is the same setting: {each.origin}: {_written(shown(each.value))}"

    def as_json(self) -> dict[str, object]:
        """As data, whose `assignments` begin with the one that counts."""
        return {
            "host": self.host,
            "variable": self.variable,
            "value": self.value,
            "assignments": [_as_json(each) for each in self.assignments],
            "also": [{"variable": name, **_as_json(each)} for name, each in self.also],
        }


def explained(inventory: Inventory, host: Host, variable: str) -> Explanation:
    """Where a variable of a host comes from.

    Raises:
        UsageError: Nothing sets it; the hint names the closest that is set.
        InventoryError: It is a template that cannot be evaluated.
    """
    assignments = inventory.assignments(host.name, variable)
    if not assignments:
        message = f"nothing sets {variable!r} for {host.name}"
        near = closest(variable, tuple(host.variables))
        raise UsageError(message, hint=near or "inv inventory.show shows what is set")
    return Explanation(
        host=host.name,
        variable=variable,
        value=shown(host.variables[variable]),
        assignments=assignments[::-1],
        also=tuple(
            (name, inventory.assignments(host.name, name)[-1])
            for name in _same(variable)
            if name in host.variables
        ),
    )


def _same(variable: str) -> Iterator[str]:
    """The other names of a connection variable."""
    for definition in DEFINITIONS:
        names = (definition.name, *definition.aliases)
        if variable in names:
            yield from (name for name in names if name != variable)


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _as_json(assignment: Assignment) -> dict[str, object]:
    origin = assignment.origin
    return {
        "source": origin.source,
        "path": origin.path,
        "line": origin.line,
        "column": origin.column,
        "value": shown(assignment.value),
    }
