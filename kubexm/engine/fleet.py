"""Hosts side by side: one thread each up to the limit, one host's failure its own."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from kubexm.engine.event import (
    HostEnded,
    HostStarted,
    OperationEnded,
    RunEnded,
    RunInterrupted,
    RunStarted,
)
from kubexm.engine.report import HostReport, HostStatus, RunReport
from kubexm.engine.trace import Trace, working_on
from kubexm.errors import (
    AbortedError,
    ConnectError,
    EscalationError,
    HostError,
    KubexmError,
    SessionLostError,
)
from kubexm.inventory import Host
from kubexm.plan import exceeds
from kubexm.runner import Outcome, Status, first_error

if TYPE_CHECKING:
    from kubexm.engine.bus import Bus
    from kubexm.plan import Amount
    from kubexm.runtime import Runtime

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one host's work came to.

    Step and outcome of each operation, round trips, and what ended the work early.
    """

    outcomes: tuple[tuple[str, Outcome], ...] = ()
    trips: int = 0
    error: KubexmError | None = None


Work: TypeAlias = Callable[[Host], Part]


def now() -> datetime:
    """The time for events, in UTC."""
    return datetime.now(UTC)


def new_run_id() -> str:
    """Sortable by time, and unique: "20260131T120000Z-1a2b3c"."""
    return f"{now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def side_by_side(
    plan: str,
    runtime: Runtime,
    bus: Bus,
    run: str,
    work: Work,
    *,
    at_once: bool = False,
    whole: bool = False,
) -> RunReport:
    """Do one piece of work on every host of the runtime.

    A host that fails with an error that is `fatal` ends the run: no further host is begun, and
    those at work are dropped.

    Args:
        plan: What the run is called.
        runtime: The hosts.
        bus: Where events go.
        run: The run's id.
        work: Connects, works, and closes; an exception fails its host only.
        at_once: The first interrupt drops the hosts at work, because what they do leaves
            nothing half-done that would have to be finished.
        whole: Every host is begun, however many fail.

    Returns:
        A report for every host, in inventory order.
    """
    began = time.monotonic()
    hosts = runtime.hosts
    settings = runtime.settings
    names = tuple(host.name for host in hosts)
    bus.emit(RunStarted(run=run, time=now(), plan=plan, hosts=names, check=settings.check))
    limits = _Limits(len(hosts), None if whole else settings.max_fail)
    interrupted = False
    workers = max(1, min(settings.forks, len(hosts)))
    with ThreadPoolExecutor(workers, thread_name_prefix="kubexm-host") as pool:
        futures = [
            pool.submit(_host, host, runtime, bus, run=run, work=work, limits=limits)
            for host in hosts
        ]
        try:
            _await(futures, runtime, limits, settings.deadline_s)
        except KeyboardInterrupt:
            interrupted = True
            bus.emit(RunInterrupted(run=run, time=now(), at_once=at_once))
            _stop(futures, runtime, at_once=at_once)
    reports = tuple(
        _interrupted(host) if future.cancelled() else future.result()
        for host, future in zip(hosts, futures, strict=True)
    )
    report = RunReport(
        run=run,
        hosts=reports,
        check=settings.check,
        interrupted=interrupted,
        duration_s=time.monotonic() - began,
    )
    bus.emit(RunEnded(run=run, time=now(), report=report))
    return report


class _Limits:
    """Whether further hosts are begun. `_lock` guards the number of those that failed.

    Args:
        total: Hosts of the run.
        max_fail: See `Settings.max_fail`.
    """

    def __init__(self, total: int, max_fail: Amount | None) -> None:
        self._total = total
        self._max_fail = max_fail
        self._failed = 0
        self._lock = threading.Lock()
        self.called_off = threading.Event()

    def count(self, report: HostReport) -> None:
        """A host has ended."""
        with self._lock:
            self._failed += report.error is not None
            if self._max_fail is not None and exceeds(self._failed, self._max_fail, self._total):
                self.called_off.set()


def _await(
    futures: list[Future[HostReport]], runtime: Runtime, limits: _Limits, deadline_s: float
) -> None:
    """Wait for every host; after a fatal error drop those that are left.

    After the deadline, 0 for none, no further host is begun.
    """
    try:
        for future in as_completed(futures, deadline_s or None):
            error = None if future.cancelled() else future.result().error
            if isinstance(error, HostError) and error.fatal:
                for other in futures:
                    other.cancel()
                runtime.abort()
                break
    except TimeoutError:
        limits.called_off.set()
    wait(futures)


def _stop(futures: list[Future[HostReport]], runtime: Runtime, *, at_once: bool) -> None:
    """Ctrl-C: start no more hosts and let those at work finish; again: drop them at once."""
    for future in futures:
        future.cancel()
    if at_once:
        runtime.abort()
    try:
        wait(futures)
    except KeyboardInterrupt:
        runtime.abort()
        wait(futures)


def _interrupted(host: Host) -> HostReport:
    return HostReport(host=host.name, status=HostStatus.INTERRUPTED)


def as_error(problem: Exception, host: str) -> KubexmError:
    """What ended a host's work, as an error that names the host.

    Args:
        problem: Our own errors stay; any other is a fault in kubexm, a plugin or a task.
        host: The host's name.
    """
    if isinstance(problem, HostError):
        return problem.on(host)
    if isinstance(problem, KubexmError):
        return problem
    _log.error("a fault in kubexm, a plugin or a task, on %s", host, exc_info=problem)
    return HostError(
        f"a fault in kubexm, a plugin or a task: {type(problem).__name__}: {problem}",
        host=host,
        hint="the traceback is on stderr; report it to the author of what it names",
    )


def _host(
    host: Host, runtime: Runtime, bus: Bus, *, run: str, work: Work, limits: _Limits
) -> HostReport:
    """One host's whole part. The one place that catches broadly: no host fails another."""
    if limits.called_off.is_set():
        return _interrupted(host)
    began = time.monotonic()
    bus.emit(HostStarted(run=run, time=now(), host=host.name))
    part = Part()
    error: KubexmError | None = None
    try:
        with working_on(Trace(run=run, host=host.name)):
            part = work(host)
        error = part.error
    except Exception as problem:  # noqa: BLE001 - the engine's per-host border (DESIGN §9)
        error = as_error(problem, host.name)
    outcomes = part.outcomes
    for step, outcome in outcomes:
        bus.emit(OperationEnded(run=run, time=now(), host=host.name, step=step, outcome=outcome))
    error = error or first_error([outcome for _, outcome in outcomes])
    if isinstance(error, HostError):
        error.on(host.name)
    report = HostReport(
        host=host.name,
        status=_status(outcomes, error, dropped=runtime.is_aborted),
        outcomes=outcomes,
        duration_s=time.monotonic() - began,
        error=error,
        trips=part.trips,
    )
    limits.count(report)
    bus.emit(HostEnded(run=run, time=now(), report=report))
    return report


def _status(
    outcomes: tuple[tuple[str, Outcome], ...], error: KubexmError | None, *, dropped: bool
) -> HostStatus:
    """How a host's part ended, also when its session was dropped with all the others."""
    if dropped and isinstance(error, SessionLostError):
        return HostStatus.INTERRUPTED
    return status_of(outcomes, error)


def status_of(outcomes: tuple[tuple[str, Outcome], ...], error: KubexmError | None) -> HostStatus:
    """How a host's part ended, from what was done and what ended it early."""
    if isinstance(error, AbortedError):
        return HostStatus.INTERRUPTED
    if error is not None:
        # a sudo that refuses was reached; a link lost in mid-change left something undone
        reached = isinstance(error, EscalationError) or any(
            outcome.changed or outcome.failed for _, outcome in outcomes
        )
        unreachable = isinstance(error, ConnectError) and not reached
        return HostStatus.UNREACHABLE if unreachable else HostStatus.FAILED
    changed = any(outcome.status is Status.CHANGED for _, outcome in outcomes)
    return HostStatus.CHANGED if changed else HostStatus.OK
