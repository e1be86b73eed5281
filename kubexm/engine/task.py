"""What a host is given to do, and what comes back: plain values, which may cross processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.engine.record import Past
from kubexm.engine.report import StepReport, StepStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubexm.errors import KubexmError
    from kubexm.inventory import Host
    from kubexm.plan import Placed
    from kubexm.runner import Pending

LOST = ""
"""The step in a host's fate that stands for the host itself: every step needs it."""

DONE = frozenset(
    {
        StepStatus.OK,
        StepStatus.CHANGED,
        StepStatus.NOT_NEEDED,
        StepStatus.RESUMED,
        StepStatus.UNPREDICTED,
    }
)
"""How steps end that others may rest on."""


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A stretch of one host's steps: between them it waits for no other host.

    Args:
        host: Which.
        steps: In order; at least one of them is to be done.
        blocked: Steps that something on other hosts forbids, and why.
        fate: Earlier steps of this host that were not done, and the failure behind it.
        pending: What check mode has held back on this host so far.
        past: What the run that this one resumes has done.
        limit_s: Seconds until the run's deadline; `None` when it has none.
        begun: Seconds since this host began each plan that has a time limit.
    """

    host: Host
    steps: tuple[Placed, ...]
    blocked: Mapping[str, str] = field(default_factory=_nothing)
    fate: Mapping[str, str] = field(default_factory=_nothing)
    pending: tuple[Pending, ...] = ()
    past: Past = field(default_factory=Past)
    limit_s: float | None = None
    begun: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a task came to.

    Args:
        steps: A report for each of its steps, in order.
        pending: What check mode has held back by now.
        trips: Round trips.
        duration_s: Connecting included.
        lost: Why the host takes no more steps, when it does not.
        begun: See `Task.begun`.
    """

    steps: tuple[StepReport, ...]
    pending: tuple[Pending, ...] = ()
    trips: int = 0
    duration_s: float = 0
    lost: KubexmError | None = None
    begun: Mapping[str, float] = field(default_factory=dict)


def obstacle(placed: Placed, blocked: Mapping[str, str], fate: Mapping[str, str]) -> str:
    """Why a step cannot be begun on a host; empty when it can.

    Args:
        placed: The step.
        blocked: What other hosts forbid.
        fate: This host's steps that were not done, and the failure behind each.
    """
    if placed.name in blocked:
        return blocked[placed.name]
    if not fate:
        return ""
    if LOST in fate:
        return fate[LOST]
    return next((why for name, why in fate.items() if name in placed.needs), "")


def doom(report: StepReport) -> str:
    """What a step's end means for those that need it: the failure behind it; empty when done."""
    if report.status in DONE:
        return ""
    return report.reason or f"{report.step} failed"


def skipped(task: Task, why: str) -> tuple[StepReport, ...]:
    """Reports for a task that was not begun."""
    return tuple(
        StepReport(step=one.name, status=StepStatus.SKIPPED, reason=task.blocked.get(one.name, why))
        for one in task.steps
    )
