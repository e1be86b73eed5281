"""What differs between two runs of a plan: pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kubexm.engine.report import HostStatus, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.engine.journal.history import HostLine, OutcomeLine, RunRecord

_OK = "ok"
_SEEN = (HostStatus.OK, HostStatus.CHANGED)
_Place: TypeAlias = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One operation on one host that two runs found in different states.

    Args:
        host: Its name.
        step: The step's name.
        operation: In its own words.
        before: Its status in the earlier run; "ok" is as it should be.
        after: Its status in the later run.
        diff: What the later run had to change, or, where that is nothing, the earlier one.
        is_secret: There is a diff, and it is not kept.
    """

    host: str
    step: str
    operation: str
    before: str
    after: str
    diff: str
    is_secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs side by side.

    Args:
        drifts: What differs, in the order of hosts and steps.
        unseen: Hosts that one of the runs did not see to the end, with the reason.
    """

    drifts: tuple[Drift, ...]
    unseen: tuple[tuple[str, str], ...]


def compare(before: RunRecord, after: RunRecord) -> Comparison:
    """What two runs found in different states."""
    earlier = {host.host: host for host in before.hosts}
    later = {host.host: host for host in after.hosts}
    drifts: list[Drift] = []
    unseen: list[tuple[str, str]] = []
    for name in dict.fromkeys((*later, *earlier)):
        sides = ((earlier.get(name), before), (later.get(name), after))
        reasons = [
            f"{_unseen(host)} in {record.line.run}"
            for host, record in sides
            if host is None or host.status not in _SEEN
        ]
        if reasons:
            unseen.append((name, ", ".join(reasons)))
        else:
            drifts += _of_host(earlier[name], later[name])
    return Comparison(drifts=tuple(drifts), unseen=tuple(unseen))


def _unseen(host: HostLine | None) -> str:
    return "not among the hosts" if host is None else host.status or "not finished"


def _of_host(before: HostLine, after: HostLine) -> Iterator[Drift]:
    was, now = dict(_outcomes(before)), dict(_outcomes(after))
    for place in dict.fromkeys((*now, *was)):
        old, new = was.get(place), now.get(place)
        shown = new or old
        if shown is None or (old is not None and new is not None and _are_equal(old, new)):
            continue
        yield Drift(
            host=after.host,
            step=place[0],
            operation=place[1],
            before=_OK if old is None else old.status,
            after=_OK if new is None else new.status,
            diff=shown.diff,
            is_secret=shown.is_secret,
        )


def _are_equal(old: OutcomeLine, new: OutcomeLine) -> bool:
    return (old.status, old.diff) == (new.status, new.diff)


def _outcomes(host: HostLine) -> Iterator[tuple[_Place, OutcomeLine]]:
    seen: Counter[tuple[str, str]] = Counter()
    for step in host.steps:
        for outcome in step.outcomes:
            if outcome.status == StepStatus.SKIPPED:
                continue
            seen[step.step, outcome.operation] += 1
            yield (step.step, outcome.operation, seen[step.step, outcome.operation]), outcome
