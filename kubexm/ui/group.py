"""What happened on many hosts, each thing once: the same operation, the same end, the same diff.

The order is that of the steps and operations, and of the inventory: threads do not show in it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kubexm.runner import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kubexm.engine import HostReport

Place: TypeAlias = tuple[str, str, int]
"""Step, label, and which of those with the same step and label on one host."""

_END: Place = ("", "", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An outcome that several hosts share.

    Args:
        label: The operation's.
        outcome: The first host's; status, diff and what it rests on are those of all.
        hosts: In inventory order.
    """

    label: str
    outcome: Outcome
    hosts: tuple[str, ...]


def grouped(
    hosts: Iterable[HostReport], *, unchanged: bool = False, output: bool = False
) -> tuple[Group, ...]:
    """Every outcome that is worth a line, with the hosts that share it.

    Args:
        hosts: In inventory order.
        unchanged: Also what was so already, and what was not attempted.
        output: Outcomes whose changes printed different things are different.
    """
    order: dict[Place, Place] = {_END: _END}
    found: dict[Place, dict[object, tuple[Outcome, list[str]]]] = {}
    for host in hosts:
        places = list(_places(host))
        _merge(order, places)
        for place, (_, outcome) in zip(places, host.outcomes, strict=True):
            if not unchanged and outcome.status in (Status.OK, Status.SKIPPED):
                continue
            kind = (outcome.status, outcome.diff, outcome.rests_on)
            printed = (outcome.stdout, outcome.stderr) if output else ()
            same = found.setdefault(place, {}).setdefault((*kind, *printed), (outcome, []))
            same[1].append(host.host)
    return tuple(
        Group(label=place[1], outcome=outcome, hosts=tuple(names))
        for place in _in_order(order)
        for outcome, names in found.get(place, {}).values()
    )


def _places(host: HostReport) -> Iterator[Place]:
    seen: Counter[tuple[str, str]] = Counter()
    for step, outcome in host.outcomes:
        label = outcome.label
        seen[step, label] += 1
        yield step, label, seen[step, label]


def _merge(before: dict[Place, Place], places: list[Place]) -> None:
    """Add one host's sequence to the order of all, each new place before its successor.

    `before` is a list linked backwards from `_END` round to `_END`.
    """
    successor = _END
    for place in reversed(places):
        if place not in before:
            before[place] = before[successor]
            before[successor] = place
        successor = place


def _in_order(before: dict[Place, Place]) -> list[Place]:
    found = []
    place = before[_END]
    while place != _END:
        found.append(place)
        place = before[place]
    return found[::-1]
