"""What runs come to in numbers, as a file for Prometheus: `--metrics-file`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.engine import Event, HostEnded, OperationEnded, RunEnded, RunStarted
from kubexm.metric import SECONDS, Family, Kind, Registry
from kubexm.ui.file import place

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from kubexm.engine import HostReport, RunReport

RUNS = Family(
    kind=Kind.COUNTER,
    name="kubexm_runs_total",
    text="Runs by the exit code that they came to.",
    labels=("plan", "check", "exit_code"),
)
RUN_DURATION = Family(
    kind=Kind.HISTOGRAM,
    name="kubexm_run_duration_seconds",
    text="How long runs took.",
    labels=("plan", "check"),
    bounds=(*SECONDS, 7200.0, 14400.0),
)
RUN_END = Family(
    kind=Kind.GAUGE,
    name="kubexm_run_end_timestamp_seconds",
    text="When the last run ended.",
    labels=("plan", "check"),
)
HOSTS = Family(
    kind=Kind.GAUGE,
    name="kubexm_hosts",
    text="Hosts of the last run by how their part ended.",
    labels=("plan", "check", "status"),
)
HOST_DURATION = Family(
    kind=Kind.HISTOGRAM,
    name="kubexm_host_duration_seconds",
    text="How long hosts took for their part of a run, connecting included.",
    labels=("plan", "status"),
)
HOST_TRIPS = Family(
    kind=Kind.COUNTER,
    name="kubexm_host_round_trips_total",
    text="Round trips to hosts.",
    labels=("plan",),
)
OPERATIONS = Family(
    kind=Kind.COUNTER,
    name="kubexm_operations_total",
    text="Operations by how they ended.",
    labels=("plan", "status"),
)
STEP_FAILURES = Family(
    kind=Kind.COUNTER,
    name="kubexm_step_failures_total",
    text="Hosts on which a step failed, or nobody knows whether it took effect.",
    labels=("plan", "step"),
)
FAMILIES = (
    RUNS,
    RUN_DURATION,
    RUN_END,
    HOSTS,
    HOST_DURATION,
    HOST_TRIPS,
    OPERATIONS,
    STEP_FAILURES,
)
"""All of them, for docs/events.md."""


def _failed(report: HostReport) -> set[str]:
    """The steps of a host that failed; of a run without a plan, those with failed operations."""
    if report.steps:
        return {step.step for step in report.steps if step.error is not None}
    return {step for step, outcome in report.outcomes if outcome.failed}


class Metrics:
    """A listener that counts, and writes the file anew after each run.

    Args:
        target: The file; a reader never sees half of it.
        more: Gives what else is to be written, in the same format.

    Raises:
        UsageError: The file cannot be written.
    """

    def __init__(self, target: str, more: Callable[[], str] = str) -> None:
        self._path = place.check(Path(target))
        self._registry = Registry()
        self._more = more
        self._plan = ""

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        registry, plan = self._registry, self._plan
        match event:
            case RunStarted():
                self._plan = event.plan
            case OperationEnded(outcome=outcome):
                registry.add(OPERATIONS, plan, outcome.status.value)
            case HostEnded(report=report):
                status = report.status.value
                registry.observe(HOST_DURATION, plan, status, value=report.duration_s)
                registry.add(HOST_TRIPS, plan, by=report.trips)
                for step in _failed(report):
                    registry.add(STEP_FAILURES, plan, step)
            case RunEnded():
                self._over(event.report, event.time)
                # there is nothing secret in it, and the collector is another user
                place.replace(self._path, registry.text() + self._more(), mode=0o644)
            case _:
                pass

    def _over(self, report: RunReport, time: datetime) -> None:
        registry, plan = self._registry, self._plan
        check = "true" if report.check else "false"
        registry.add(RUNS, plan, check, str(int(report.exit_code())))
        registry.observe(RUN_DURATION, plan, check, value=report.duration_s)
        registry.set(RUN_END, plan, check, to=round(time.timestamp(), 3))
        statuses = [host.status for host in report.hosts]
        for status in sorted(set(statuses)):
            registry.set(HOSTS, plan, check, status.value, to=statuses.count(status))
