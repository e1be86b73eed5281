"""Plans: steps and plans in order, each level an ordinary value."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kubexm.errors import PlanError
from kubexm.plan.order import Placed, in_order
from kubexm.plan.step import Step, check_policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kubexm.plan.amount import Amount
    from kubexm.plan.step import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in order. A plan may be a part of a plan: a pipeline of modules of tasks of steps.

    `prepare + etcd` is the plan that has both as its parts. What a plan says of itself holds
    for everything in it.

    Args:
        name: Unique among its neighbours, where it is a part.
        steps: Steps and plans, in order.
        selector: Narrows every step's own.
        needs: As `Step.needs`, of everything in it.
        awaits: As `Step.awaits`, of everything in it.
        when: Asked before each of its steps, on each host.
        waves: Its steps roll as one: a host takes all of them before the next wave begins.
        max_fail: Of the waves; else the default for its steps.
        timeout_s: For all its steps together on one host, from the beginning of the first one
            there, what it waits for other hosts included; 0 for none.
        tags: Added to its steps' own.
        left_out: Names, full below this plan, of steps that are not walked; see `narrowed`.
        is_sum: It was made by `+`, and a further `+` adds to its parts.

    Raises:
        PlanError: Two parts have one name, or a number makes no sense.
    """

    name: str
    steps: tuple[Step | Plan, ...]
    selector: str = "all"
    needs: tuple[str, ...] | None = None
    awaits: tuple[str, ...] = ()
    when: Condition | None = None
    waves: tuple[Amount, ...] = ()
    max_fail: Amount | None = None
    timeout_s: float = 0
    tags: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    is_sum: bool = False

    def __post_init__(self) -> None:
        check_policy(f"the plan {self.name}", self.waves, self.max_fail, self.timeout_s)
        seen: set[str] = set()
        for step in self.steps:
            if step.name in seen:
                message = f"the plan {self.name} has two steps named {step.name!r}"
                raise PlanError(message, hint="give each step a name of its own")
            seen.add(step.name)

    def __add__(self, other: Plan | Step) -> Plan:
        """Both in a row, as parts of a new plan."""
        parts = self.steps if self.is_sum else (self,)
        names = " + ".join(part.name for part in (*parts, other))
        return Plan(name=names, steps=(*parts, other), is_sum=True)

    def placed(self) -> tuple[Placed, ...]:
        """Every step that is walked, with its full name, in the order in which hosts take them.

        Raises:
            PlanError: A name is unknown, there is a cycle, or waves are within waves.
        """
        left_out = frozenset(_left_out(self, ""))
        return tuple(
            placed.without(left_out) for placed in in_order(self) if placed.name not in left_out
        )

    def narrowed(self, *, only: Iterable[str] = (), skip: Iterable[str] = ()) -> Plan:
        """The plan with some of its steps.

        A word is the name of a step or of a plan in it, a full name, or a tag.

        Args:
            only: Of the steps to keep; empty keeps all.
            skip: Of the steps to leave out.

        Raises:
            PlanError: A word means no step of this plan.
        """
        wanted, unwanted = tuple(only), tuple(skip)
        everything = self.placed()
        for word in (*wanted, *unwanted):
            if not any(word in placed.words for placed in everything):
                raise self._unknown(word, everything)
        left_out = {
            placed.name
            for placed in everything
            if (wanted and placed.words.isdisjoint(wanted)) or placed.words & {*unwanted}
        }
        return replace(self, left_out=self.left_out | left_out)

    def undone(self) -> Plan:
        """The plan that takes this one back: what its steps have for `undo`, in reverse.

        Each host goes back in order; where a step awaited another, that one is now taken back
        after it. Steps without `undo` are left out.

        Raises:
            PlanError: No step has an `undo`.
        """
        placed = self.placed()
        awaits: dict[str, list[str]] = {}
        for one in placed:
            for name in one.awaits if one.step.undo is not None else ():
                awaits.setdefault(name, []).append(one.name)
        back = {one.name: tuple(awaits.get(one.name, ())) for one in placed}
        found = _undone(self, back, "")
        if not found.steps:
            message = f"no step of the plan {self.name} says how it is undone"
            raise PlanError(message, hint="give steps an undo=")
        return replace(found, name=f"{self.name} (undo)")

    def _unknown(self, word: str, everything: tuple[Placed, ...]) -> PlanError:
        words = sorted({word for placed in everything for word in placed.words})
        close = difflib.get_close_matches(word, words, n=1)
        suggestion = f"did you mean {close[0]!r}? " if close else ""
        names = ", ".join(placed.name for placed in everything)
        message = f"the plan {self.name} has no step {word!r}"
        return PlanError(message, hint=f"{suggestion}its steps: {names}")


def _left_out(plan: Plan, prefix: str) -> Iterator[str]:
    yield from (f"{prefix}{name}" for name in plan.left_out)
    for part in plan.steps:
        if isinstance(part, Plan):
            yield from _left_out(part, f"{prefix}{part.name}/")


def _undone(plan: Plan, awaits: dict[str, tuple[str, ...]], prefix: str) -> Plan:
    return replace(
        plan,
        steps=tuple(_backwards(plan, awaits, prefix)),
        needs=None,
        awaits=(),
        left_out=frozenset(),
    )


def _backwards(
    plan: Plan, awaits: dict[str, tuple[str, ...]], prefix: str
) -> Iterator[Step | Plan]:
    for part in reversed(plan.steps):
        name = f"{prefix}{part.name}"
        if isinstance(part, Plan):
            found = _undone(part, awaits, f"{name}/")
            if found.steps:
                yield found
        elif part.undo is not None and name in awaits:
            yield replace(
                part, body=part.undo, undo=None, needs=None, awaits=awaits[name], on_change=()
            )
