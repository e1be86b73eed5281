"""Steps and plans."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from kubexm.errors import PlanError
from kubexm.runner import Operation

if TYPE_CHECKING:
    from kubexm.facts import Facts
    from kubexm.inventory import Host, Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What a step may know of the other hosts: the inventory, read-only."""

    inventory: Inventory

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All hosts of the inventory, in its order, whatever `--limit` says."""
        return self.inventory.hosts

    def role(self, group: str) -> tuple[Host, ...]:
        """The hosts of a group, in inventory order; empty when there is no such group."""
        return tuple(host for host in self.hosts if group in host.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step's body sees: one host, its facts, and the cluster. No connection."""

    host: Host
    facts: Facts
    cluster: Cluster


Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"
"""What may be shared between hosts and kept in a journal, besides a `Secret`."""

Body: TypeAlias = tuple[Operation, ...] | Callable[[StepContext], Iterable[Operation]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One named part of a plan.

    Args:
        name: Unique within its plan; `--only` and `--skip` take it.
        body: Operations, or a function that says which a host needs.
        selector: Which hosts, in the words of `--limit`; the default is every host.
    """

    name: str
    body: Body
    selector: str = "all"

    def operations(self, context: StepContext) -> tuple[Operation, ...]:
        """What the step asks of one host."""
        return self.body if isinstance(self.body, tuple) else tuple(self.body(context))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in order.

    Raises:
        PlanError: Two steps have one name.
    """

    name: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for step in self.steps:
            if step.name in seen:
                message = f"the plan {self.name} has two steps named {step.name!r}"
                raise PlanError(message, hint="give each step a name of its own")
            seen.add(step.name)

    def narrowed(self, *, only: Iterable[str] = (), skip: Iterable[str] = ()) -> Plan:
        """The plan with some of its steps.

        Args:
            only: Names of steps to keep; empty keeps all.
            skip: Names of steps to leave out.

        Raises:
            PlanError: A name is not a step of this plan.
        """
        wanted, unwanted = tuple(only), tuple(skip)
        names = [step.name for step in self.steps]
        for name in (*wanted, *unwanted):
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                message = f"the plan {self.name} has no step {name!r}"
                suggestion = f"did you mean {close[0]!r}? " if close else ""
                raise PlanError(message, hint=f"{suggestion}its steps: {', '.join(names)}")
        steps = tuple(
            step
            for step in self.steps
            if (not wanted or step.name in wanted) and step.name not in unwanted
        )
        return replace(self, steps=steps)
