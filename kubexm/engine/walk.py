"""Walking a plan: steps in order on each host, as few round trips as they allow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kubexm.engine.control import tell_connected
from kubexm.engine.crew import Crew, Run
from kubexm.engine.event import RunEnded, RunStarted, TransferProgressed
from kubexm.engine.executor import executor
from kubexm.engine.fleet import Part, as_error, new_run_id, now, side_by_side
from kubexm.engine.opening import require_all
from kubexm.engine.progress import Progress
from kubexm.engine.record import Nowhere, Past, RunBegan, RunSettled
from kubexm.engine.report import RunReport
from kubexm.plan import Values, digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubexm.engine.bus import Bus
    from kubexm.engine.record import Recorder
    from kubexm.inventory import Host
    from kubexm.plan import Plan
    from kubexm.runner import Host as OpenHost
    from kubexm.runtime import Runtime

_NO_PAST = Past()
_INTERVAL_S = 1.0


def walk(
    plan: Plan,
    runtime: Runtime,
    bus: Bus,
    *,
    run: str = "",
    recorder: Recorder | None = None,
    past: Past = _NO_PAST,
) -> RunReport:
    """Walk a plan over the runtime's hosts.

    Each host connects, reads its facts, and takes its steps in order; it waits for others only
    where a step awaits them or rolls in waves.

    Args:
        plan: What to do.
        runtime: The hosts and the way to them.
        bus: Where events go.
        run: The run's id; a new one when empty.
        recorder: The run's journal; without one nothing is kept.
        past: What the run that this one resumes has done.

    Returns:
        A report for every host, in inventory order; failures are in it, not raised.

    Raises:
        UsageError: The plan cannot be walked, or a selector is wrong; no host was touched.
        PluginError: A family or an operation does not load; no host was touched.
        InitializationError: See `require_all`; nothing was begun.
    """
    began = time.monotonic()
    settings = runtime.settings
    _ = runtime.catalogue
    placed = plan.placed()
    progress = Progress(
        placed,
        runtime.inventory,
        runtime.hosts,
        past=past,
        max_fail=settings.max_fail,
        deadline_s=settings.deadline_s,
    )
    carrier = executor(settings.executor)
    require_all(runtime, bus)
    run = run or new_run_id()
    if recorder is not None:
        recorder.record(
            RunBegan(
                run=run,
                plan=plan.name,
                digest=digest(plan),
                steps={one.name: digest(one) for one in placed},
                hosts={host.name: digest(host) for host in runtime.hosts},
                check=settings.check,
            )
        )
    bus.emit(
        RunStarted(run=run, time=now(), plan=plan.name, hosts=progress.hosts, check=settings.check)
    )
    common = Run(
        name=run,
        runtime=runtime,
        bus=bus,
        recorder=recorder or Nowhere(),
        progress=progress,
        values=Values((one.host, one.name, one.value) for one in past.values),
    )
    crew = Crew(common, carrier, forks=settings.forks, deadline_s=settings.deadline_s)
    hosts = crew.work()
    report = RunReport(
        run=run,
        hosts=hosts,
        check=settings.check,
        interrupted=crew.is_interrupted,
        duration_s=time.monotonic() - began,
    )
    if recorder is not None:
        recorder.record(RunSettled(report=report))
    bus.emit(RunEnded(run=run, time=now(), report=report))
    return report


def each(
    name: str,
    function: Callable[[OpenHost], object],
    runtime: Runtime,
    bus: Bus,
    *,
    run: str = "",
    at_once: bool = False,
) -> RunReport:
    """Call a function with every open host, side by side.

    What it does through the host's faces is recorded under the step `name`.

    Args:
        name: Of the step, and of the run.
        function: Plain imperative Python; a `HostError` that it raises fails its host.
        runtime: The hosts and the way to them.
        bus: Where events go.
        run: The run's id; a new one when empty.
        at_once: An interrupt drops the hosts at work; see `side_by_side`.

    Raises:
        PluginError: A family or an operation does not load; no host was touched.
        InitializationError: See `require_all`; the function was not called.
    """
    _ = runtime.catalogue
    require_all(runtime, bus)
    run = run or new_run_id()

    def work(host: Host) -> Part:
        with runtime.open(host) as machine:
            tell_connected(machine, bus, run)
            machine.progress = _Told(host.name, bus, run).tell
            error = None
            try:
                function(machine)
            except Exception as problem:  # noqa: BLE001 - what it did before is told all the same
                error = as_error(problem, host.name)
            outcomes = tuple((name, outcome) for outcome in machine.history)
            return Part(outcomes=outcomes, trips=machine.trips, error=error)

    return side_by_side(name, runtime, bus, run, work, at_once=at_once)


class _Told:
    """How far a host's transfers have come, as events, not too many of them."""

    def __init__(self, host: str, bus: Bus, run: str) -> None:
        self._host = host
        self._bus = bus
        self._run = run
        self._told_at = 0.0

    def tell(self, operation: str, moved_bytes: int, total_bytes: int) -> None:
        """See `kubexm.runner.Host.progress`."""
        if time.monotonic() - self._told_at < _INTERVAL_S:
            return
        self._told_at = time.monotonic()
        event = TransferProgressed(
            run=self._run,
            time=now(),
            host=self._host,
            operation=operation,
            moved_bytes=moved_bytes,
            total_bytes=total_bytes,
        )
        self._bus.emit(event)
