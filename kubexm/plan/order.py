"""From the tree of a plan to the one order in which every host takes its steps.

The order is total, and a step stands behind everything it needs or awaits, on whatever host. So
no two hosts can wait for each other.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from kubexm.errors import PlanError
from kubexm.plan.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.plan.amount import Amount
    from kubexm.plan.model import Plan
    from kubexm.plan.step import Condition

_Path: TypeAlias = tuple[str, ...]
"""The names from below the outermost plan down to a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolling:
    """What goes through the hosts in waves: a step, or a plan as a whole.

    Args:
        name: Full.
        waves: See `Step.waves`.
        max_fail: So many hosts may fail in all its waves together.
    """

    name: str
    waves: tuple[Amount, ...]
    max_fail: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The time that a host has for a plan.

    Args:
        name: The plan's, full; empty for the outermost one.
        plan: What messages call it.
        seconds: From the beginning of its first step there.
    """

    name: str
    plan: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A step in its place in a plan, with what holds for it from all levels above.

    Args:
        name: Full: the names of the plans below the outermost one and its own, with "/".
        step: As it was written.
        selectors: Its own and those of its plans; all of them must select a host.
        conditions: The same for `when`.
        needs: Full names of the steps that must be done on the same host.
        awaits: Full names of the steps that must be through on all their hosts.
        rolling: What it rolls with, where it does.
        max_fail: How many of its hosts may fail before what awaits it is called off.
        limits: Of the plans that it is in.
        words: What `--only` and `--skip` may call it.
    """

    name: str
    step: Step
    selectors: tuple[str, ...]
    conditions: tuple[Condition, ...]
    needs: frozenset[str]
    awaits: frozenset[str]
    rolling: Rolling | None
    max_fail: Amount
    limits: tuple[Limit, ...]
    words: frozenset[str]

    def without(self, names: frozenset[str]) -> Placed:
        """The same step, where some others are not walked."""
        if not names:
            return self
        return replace(self, needs=self.needs - names, awaits=self.awaits - names)


def in_order(plan: Plan) -> tuple[Placed, ...]:
    """Every step of a plan, in the order in which hosts take them.

    The order is that of the tuples; a part moves back only behind what it needs or awaits, and
    the parts of a plan stay together.

    Raises:
        PlanError: A name is unknown, there is a cycle, or waves are within waves.
    """
    return tuple(_Order(plan).walk(plan, (), _Level()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """What the plans above say to a part."""

    selectors: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    needs: frozenset[str] = frozenset()
    awaits: frozenset[str] = frozenset()
    rolling: Rolling | None = None
    max_fail: Amount | None = None
    limits: tuple[Limit, ...] = ()
    words: frozenset[str] = frozenset()

    def within(self, part: Step | Plan, name: str) -> _Level:
        """The same, with what a part says of itself."""
        max_fail = self.max_fail if part.max_fail is None else part.max_fail
        rolling = self.rolling
        if part.waves:
            if rolling is not None:
                message = f"{name} has waves, and {rolling.name} around it has too"
                raise PlanError(message, hint="leave one of the two out")
            rolling = Rolling(name=name, waves=part.waves, max_fail=max_fail or 0)
        return replace(
            self,
            selectors=(*self.selectors, part.selector),
            conditions=(*self.conditions, part.when) if part.when else self.conditions,
            rolling=rolling,
            max_fail=max_fail,
            words=self.words | {part.name, name} | part.tags,
        )


class _Order:
    """The names in a plan, and the way through it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._leaves: dict[_Path, tuple[str, ...]] = {}
        self._index(plan, ())
        self._behind: dict[_Path, dict[str, set[str]]] = {}
        """Of each plan's parts: behind which of their neighbours they have to stand."""
        self._refer(plan, ())

    def walk(self, plan: Plan, path: _Path, level: _Level) -> Iterator[Placed]:
        """The steps of a plan in order, those of plans in it included."""
        inner = level.within(plan, _name(path) or plan.name)
        if plan.timeout_s:
            name = _name(path)
            limit = Limit(name=name, plan=name or plan.name, seconds=plan.timeout_s)
            inner = replace(inner, limits=(*inner.limits, limit))
        if not path:
            # the outermost plan's own name is in no full name
            inner = replace(inner, words=plan.tags)
        for part in self._sorted(plan, path):
            yield from self._part(part, plan, path, inner)

    def _part(self, part: Step | Plan, plan: Plan, above: _Path, level: _Level) -> Iterator[Placed]:
        path = (*above, part.name)
        name = _name(path)
        if part.needs is None:
            before = plan.steps[: [one.name for one in plan.steps].index(part.name)]
            needs = {leaf for one in before for leaf in self._leaves[*above, one.name]}
        else:
            needs = self._found(part.needs, path)
        here = replace(
            level,
            needs=level.needs | needs,
            awaits=level.awaits | self._found(part.awaits, path),
        )
        if not isinstance(part, Step):
            yield from self.walk(part, path, here)
            return
        here = here.within(part, name)
        rolling = here.rolling
        if rolling is not None and any(
            f"{one}/".startswith(f"{rolling.name}/") for one in here.awaits
        ):
            message = f"{name} awaits a step that rolls in the same waves"
            raise PlanError(message, hint="use needs: within waves a host waits for nobody")
        yield Placed(
            name=name,
            step=part,
            selectors=tuple(one for one in here.selectors if one != "all"),
            conditions=here.conditions,
            needs=here.needs,
            awaits=here.awaits,
            rolling=rolling,
            max_fail=here.max_fail or 0,
            limits=here.limits,
            words=here.words,
        )

    def _index(self, plan: Plan, path: _Path) -> tuple[str, ...]:
        """Note the full names of the steps in a plan."""
        found: list[str] = []
        for part in plan.steps:
            here = (*path, part.name)
            if isinstance(part, Step):
                self._leaves[here] = (_name(here),)
            else:
                self._index(part, here)
            found += self._leaves[here]
        self._leaves[path] = tuple(found)
        return self._leaves[path]

    def _refer(self, plan: Plan, path: _Path) -> None:
        """Note which parts name which others, on the level on which the two are neighbours."""
        for part in plan.steps:
            here = (*path, part.name)
            for name in (*(part.needs or ()), *part.awaits):
                other = self._resolved(name, here)
                at = next(
                    (n for n, (a, b) in enumerate(zip(here, other, strict=False)) if a != b), None
                )
                if at is None:
                    message = f"{_name(here)} and {_name(other)} cannot wait for each other"
                    raise PlanError(message, hint="one of them is the other, or a part of it")
                behind = self._behind.setdefault(here[:at], {})
                behind.setdefault(here[at], set()).add(other[at])
            if not isinstance(part, Step):
                self._refer(part, here)

    def _found(self, names: tuple[str, ...], path: _Path) -> set[str]:
        return {leaf for name in names for leaf in self._leaves[self._resolved(name, path)]}

    def _resolved(self, name: str, path: _Path) -> _Path:
        """The part that a name means where it is used: the nearest one outwards."""
        words = tuple(name.split("/"))
        for at in range(len(path) - 1, -1, -1):
            for candidate in ((*path[:at], name), (*path[:at], *words)):
                if candidate in self._leaves:
                    return candidate
        known = [_name(one) for one in self._leaves if one]
        close = difflib.get_close_matches(name, known, n=1)
        message = f"{_name(path)} names the step {name!r}, which the plan {self._plan.name} has not"
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise PlanError(message, hint=f"{hint}its steps: {', '.join(self._leaves[()])}")

    def _sorted(self, plan: Plan, path: _Path) -> list[Step | Plan]:
        """The parts of a plan, each as early as the tuple has it and its needs allow."""
        behind = self._behind.get(path, {})
        left = list(plan.steps)
        place = {part.name: number for number, part in enumerate(plan.steps)}
        found: list[Step | Plan] = []
        taken: set[str] = set()
        while left:
            first = place[left[0].name]
            for number, part in enumerate(left):
                is_next = part.needs is not None or place[part.name] == first
                if is_next and behind.get(part.name, set()) <= taken:
                    found.append(left.pop(number))
                    taken.add(part.name)
                    break
            else:
                raise self._cycle(left, behind)
        return found

    def _cycle(self, left: list[Step | Plan], behind: dict[str, set[str]]) -> PlanError:
        """The error about parts of which none can be the next."""
        names = [part.name for part in left]
        way = [names[0]]
        while way.count(way[-1]) == 1:
            part = left[names.index(way[-1])]
            ahead = [name for name in names if name in behind.get(part.name, set())]
            way.append(ahead[0] if ahead else names[0])
        cycle = way[way.index(way[-1]) :]
        message = f"a cycle in the plan {self._plan.name}: {' → '.join(cycle)}"
        hint = "a step without needs rests on all before it; needs=() lets it stand for itself"
        return PlanError(message, hint=hint)


def _name(path: _Path) -> str:
    return "/".join(path)
