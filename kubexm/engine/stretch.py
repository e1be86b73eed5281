"""Who takes which steps, and where on the way a host may have to wait for others. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kubexm.plan import Rolling, cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubexm.inventory import Host, Inventory
    from kubexm.plan import Placed

Stretch: TypeAlias = "tuple[Placed, ...]"
"""Consecutive steps of a host, between which it waits for nobody."""


def takers(
    placed: Sequence[Placed], inventory: Inventory, hosts: Sequence[Host]
) -> dict[str, tuple[str, ...]]:
    """The hosts of each step, in inventory order.

    Args:
        placed: The steps.
        inventory: For their selectors.
        hosts: Those of the run.

    Raises:
        UsageError: A selector is wrong.
    """
    everyone = tuple(host.name for host in hosts)
    known: dict[str, frozenset[str]] = {}
    found: dict[str, tuple[str, ...]] = {}
    for one in placed:
        names = everyone
        for selector in one.selectors:
            if selector not in known:
                known[selector] = frozenset(h.name for h in inventory.select(selector))
            names = tuple(name for name in names if name in known[selector])
        found[one.name] = names[:1] if one.step.run_once else names
    return found


def stretches(
    placed: Sequence[Placed], by_step: Mapping[str, tuple[str, ...]], hosts: Sequence[Host]
) -> dict[str, tuple[Stretch, ...]]:
    """Each host's steps, cut where it may have to wait or where others wait for it."""
    awaited = frozenset[str]().union(*(one.awaits for one in placed))
    mine: dict[str, list[int]] = {host.name: [] for host in hosts}
    for number, one in enumerate(placed):
        for name in by_step[one.name]:
            mine[name].append(number)
    known: dict[tuple[int, ...], tuple[Stretch, ...]] = {}
    found = {}
    for name, numbers in mine.items():
        key = tuple(numbers)
        if key not in known:
            known[key] = _cut([placed[number] for number in numbers], awaited)
        found[name] = known[key]
    return found


def _cut(steps: Sequence[Placed], awaited: frozenset[str]) -> tuple[Stretch, ...]:
    found: list[list[Placed]] = []
    last: Placed | None = None
    passed: set[str] = set()
    for one in steps:
        is_behind = last is not None and last.name in awaited
        is_barrier = not one.awaits <= passed
        if last is None or is_barrier or is_behind or one.rolling != last.rolling:
            found.append([])
        passed |= one.awaits
        found[-1].append(one)
        last = one
    return tuple(tuple(stretch) for stretch in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waves:
    """The hosts of something that rolls, wave by wave.

    Args:
        rolling: What rolls.
        parts: The hosts of each wave, in inventory order.
        wave_of: The wave of each host, counted from 0.
    """

    rolling: Rolling
    parts: tuple[tuple[str, ...], ...]
    wave_of: Mapping[str, int]

    @classmethod
    def of(cls, rolling: Rolling, hosts: Sequence[str]) -> Waves:
        """Cut hosts into waves."""
        parts: list[tuple[str, ...]] = []
        at = 0
        for size in cut(len(hosts), rolling.waves):
            parts.append(tuple(hosts[at : at + size]))
            at += size
        wave_of = {host: number for number, part in enumerate(parts) for host in part}
        return cls(rolling=rolling, parts=tuple(parts), wave_of=wave_of)


def waves(
    placed: Sequence[Placed], by_step: Mapping[str, tuple[str, ...]], hosts: Sequence[Host]
) -> dict[str, Waves]:
    """The waves of everything that rolls, by its name."""
    members: dict[str, set[str]] = {}
    rolling: dict[str, Rolling] = {}
    for one in placed:
        if one.rolling is not None:
            rolling[one.rolling.name] = one.rolling
            members.setdefault(one.rolling.name, set()).update(by_step[one.name])
    return {
        name: Waves.of(rolling[name], [host.name for host in hosts if host.name in taking])
        for name, taking in members.items()
    }
