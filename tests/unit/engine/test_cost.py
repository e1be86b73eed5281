"""What the engine adds to the work itself, and what it keeps in memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubexm.engine import ExitCode, Past
from kubexm.engine.progress import Progress
from kubexm.plan import Plan, Step
from kubexm.runtime import Settings
from tests.unit.engine.marks import Mark, Village

ROOT = Path(__file__).parents[3]


def converged(hosts: int, steps: int) -> tuple[Village, Plan]:
    """A fleet that is as the plan wants it."""
    village = Village(f"h{number:04}" for number in range(hosts))
    for slate in village.slates.values():
        slate.marks.update(f"m{number}" for number in range(steps))
    bodies = [Mark(name=f"m{number}") for number in range(steps)]
    return village, Plan(
        name="p", steps=tuple(Step(name=f"s{n}", body=(op,)) for n, op in enumerate(bodies))
    )


def measured(hosts: int, steps: int) -> tuple[float, float, float]:
    """Processor seconds of planning, of convergence alone, and of the whole walk."""
    village, plan = converged(hosts, steps)
    began = time.process_time()
    Progress(plan.placed(), village.inventory, village.inventory.hosts, past=Past())
    planned = time.process_time()
    operations = [Mark(name=f"m{number}") for number in range(steps)]
    runtime = village.runtime()
    for host in runtime.hosts:
        with runtime.open(host) as machine:
            machine.converge(*operations)
    alone = time.process_time()
    report = village.walk(plan, Settings(forks=50))
    walked = time.process_time()
    assert report.exit_code() is ExitCode.DONE
    assert {host.trips for host in report.hosts} == {2}
    return planned - began, alone - planned, walked - alone


def test_the_engine_costs_no_more_than_the_work() -> None:
    """Bounds in processor time, relative to work on the same machine, with much room for noise."""
    planning, alone, walk = measured(50, 60)
    assert walk < 3 * alone
    assert planning < alone


@pytest.mark.full
@pytest.mark.timeout(600)
def test_sixty_steps_on_a_thousand_hosts() -> None:
    """In a process of its own, because the peak of memory is a process's."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.engine.test_cost"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    planning_s, overhead_ms, memory_mb = map(float, done.stdout.split())
    assert planning_s < 1
    assert overhead_ms < 0.3
    assert memory_mb < 300


if __name__ == "__main__":
    planning, alone, walk = measured(1000, 60)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{planning} {(walk - alone) / 60_000 * 1000} {peak_mb}\n")
