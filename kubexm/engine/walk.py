"""Walking a plan: steps in order on each host, as few round trips as they allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.engine.event import HostConnected, HostNotice, HostPlanned
from kubexm.engine.fleet import Part, as_error, new_run_id, now, side_by_side
from kubexm.plan import Cluster, Plan, Step, StepContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubexm.engine.bus import Bus
    from kubexm.engine.report import RunReport
    from kubexm.inventory import Host
    from kubexm.runner import Host as OpenHost
    from kubexm.runner import Operation
    from kubexm.runtime import Runtime


def walk(plan: Plan, runtime: Runtime, bus: Bus, *, run: str = "") -> RunReport:
    """Walk a plan over the runtime's hosts.

    Each host connects, reads its facts, and converges all its steps; nobody waits for another.

    Args:
        plan: What to do.
        runtime: The hosts and the way to them.
        bus: Where events go.
        run: The run's id; a new one when empty.

    Returns:
        A report for every host, in inventory order; failures are in it, not raised.

    Raises:
        UsageError: A selector is wrong; no host was touched.
    """
    selected = {
        step.name: frozenset(host.name for host in runtime.inventory.select(step.selector))
        for step in plan.steps
    }
    cluster = Cluster(inventory=runtime.inventory)
    run = run or new_run_id()

    def work(host: Host) -> Part:
        steps = [step for step in plan.steps if host.name in selected[step.name]]
        with runtime.open(host) as machine:
            _tell(machine, bus, run)
            context = StepContext(host=host, facts=machine.facts, cluster=cluster)
            wanted = _operations(steps, context)
            planned = HostPlanned(
                run=run, time=now(), host=host.name, steps=len(steps), operations=len(wanted)
            )
            bus.emit(planned)
            outcomes = machine.converge(*(operation for _, operation in wanted))
            return Part(
                outcomes=tuple(
                    (step, outcome) for (step, _), outcome in zip(wanted, outcomes, strict=True)
                ),
                trips=machine.session.trips,
            )

    return side_by_side(plan.name, runtime, bus, run, work)


def each(
    name: str, function: Callable[[OpenHost], None], runtime: Runtime, bus: Bus, *, run: str = ""
) -> RunReport:
    """Call a function with every open host, side by side.

    What it does through the host's faces is recorded under the step `name`.

    Args:
        name: Of the step, and of the run.
        function: Plain imperative Python; a `HostError` that it raises fails its host.
        runtime: The hosts and the way to them.
        bus: Where events go.
        run: The run's id; a new one when empty.
    """
    run = run or new_run_id()

    def work(host: Host) -> Part:
        with runtime.open(host) as machine:
            _tell(machine, bus, run)
            error = None
            try:
                function(machine)
            except Exception as problem:  # noqa: BLE001 - what it did before is told all the same
                error = as_error(problem, host.name)
            outcomes = tuple((name, outcome) for outcome in machine.history)
            return Part(outcomes=outcomes, trips=machine.session.trips, error=error)

    return side_by_side(name, runtime, bus, run, work)


def _tell(machine: OpenHost, bus: Bus, run: str) -> None:
    bus.emit(HostConnected(run=run, time=now(), host=machine.name))
    for notice in machine.notices:
        bus.emit(HostNotice(run=run, time=now(), host=machine.name, message=notice))


def _operations(steps: list[Step], context: StepContext) -> list[tuple[str, Operation]]:
    """All steps of a host, for one convergence: neighbouring steps share their round trips."""
    return [(step.name, operation) for step in steps for operation in step.operations(context)]
