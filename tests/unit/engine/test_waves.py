from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from kubexm.engine import ExitCode, HostEnded, HostStatus, StepStatus
from kubexm.plan import Plan, Step
from kubexm.runtime import Settings
from kubexm.ui import Look
from kubexm.ui.summary import summary
from tests.unit.engine.marks import ALWAYS, Mark, Ring, Village

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.engine import Event, RunReport
    from kubexm.plan import Amount, StepContext
    from kubexm.runner import Operation

EIGHT = tuple(f"n{number}" for number in range(1, 9))


def failing_on(*hosts: str, name: str = "config") -> Step:
    def body(context: StepContext) -> Iterable[Operation]:
        yield Mark(name=name, fails=ALWAYS if context.host.name in hosts else 0)

    return Step(name=name, body=body)


def rolling(max_fail: Amount) -> Plan:
    """Two steps that roll as one, the second of which fails on a host of the second wave."""
    change = Step(name="change", body=(Mark(name="change"),), on_change=(Ring(name="restart"),))
    return Plan(
        name="upgrade",
        steps=(
            Plan(
                name="nodes", steps=(change, failing_on("n3")), waves=(1, "50%"), max_fail=max_fail
            ),
        ),
    )


def statuses(report: RunReport) -> list[str]:
    return [host.status.value for host in report.hosts]


def text(report: RunReport) -> str:
    return "\n".join(summary(report, Look(), commands={}, facts={}))


def test_waves_stop_at_the_first_failure_when_none_is_allowed() -> None:
    village = Village(EIGHT)
    report = village.walk(rolling(0))
    assert statuses(report) == ["changed"] * 2 + ["failed"] + ["changed"] * 2 + ["stopped"] * 3
    assert report.exit_code() is ExitCode.FAILED
    assert set(village.log.hosts("change")) == {"n1", "n2", "n3", "n4", "n5"}
    why = "nodes was stopped after wave 2 of 3: 1 of 8 hosts failed (max_fail 0)"
    assert {step.reason for step in report.hosts[7].steps} == {why}
    assert f"- n6, n7, n8: nodes/change, nodes/config: skipped: {why}" in text(report)


def test_waves_go_on_while_no_more_fail_than_allowed() -> None:
    village = Village(EIGHT)
    report = village.walk(rolling("25%"))
    assert statuses(report) == ["changed"] * 2 + ["failed"] + ["changed"] * 5
    assert report.exit_code() is ExitCode.FAILED


@pytest.mark.parametrize("max_fail", [0, "25%"])
def test_what_hosts_of_stopped_waves_owe_is_done(max_fail: Amount) -> None:
    village = Village(EIGHT)
    report = village.walk(rolling(max_fail))
    assert sorted(village.log.hosts("restart")) == sorted(village.log.hosts("change"))
    assert not any(step.owes for host in report.hosts for step in host.steps)


def test_a_wave_begins_when_the_one_before_is_through() -> None:
    village = Village(EIGHT)
    village.walk(rolling("25%"))
    did = village.log.did
    waves = (EIGHT[:1], EIGHT[1:5], EIGHT[5:])
    for earlier, later in pairwise(waves):
        ended = max(at for at, (host, _) in enumerate(did) if host in earlier)
        assert ended < min(at for at, (host, _) in enumerate(did) if host in later)


def test_hosts_that_failed_before_count_in_the_waves() -> None:
    village = Village(EIGHT, unreachable=["n1"])
    report = village.walk(Plan(name="p", steps=(Step(name="s", body=(), waves=(1,)),)))
    assert statuses(report) == ["unreachable", *["stopped"] * 7]
    assert report.exit_code() is ExitCode.UNREACHABLE


def test_a_barrier_holds_until_a_step_is_through_everywhere() -> None:
    village = Village(("a", "b", "c"), groups={"etcd": ["a", "b"]})
    etcd = Step(name="etcd", selector="etcd", body=(Mark(name="etcd"),))
    after = Step(name="api", body=(Mark(name="api"),), needs=(), awaits=("etcd",))
    for forks in (1, 50):
        village.log.did.clear()
        for slate in village.slates.values():
            slate.marks.clear()
        report = village.walk(Plan(name="p", steps=(etcd, after)), Settings(forks=forks))
        assert [what for _, what in village.log.did] == ["etcd"] * 2 + ["api"] * 3
        assert report.exit_code() is ExitCode.DONE


def test_what_awaits_a_failed_step_is_skipped_everywhere_and_told_why() -> None:
    village = Village(("a", "b", "c"), groups={"etcd": ["a", "b"]})
    etcd = Plan(name="etcd", selector="etcd", steps=(failing_on("b"),))
    api = Plan(name="api", steps=(Step(name="start", body=(Mark(name="api"),)),), awaits=("etcd",))
    report = village.walk(etcd + api)
    assert statuses(report) == ["stopped", "failed", "stopped"]
    assert report.hosts[2].steps[0].status is StepStatus.SKIPPED
    assert report.hosts[2].steps[0].reason == "etcd/config failed on b"
    assert "- a, c: api/start: skipped: etcd/config failed on b" in text(report)
    assert report.hosts[0].status is HostStatus.STOPPED


def test_a_run_is_called_off_when_too_many_hosts_fail() -> None:
    village = Village(EIGHT)
    plan = Plan(name="p", steps=(failing_on("n1", "n2"),))
    report = village.walk(plan, Settings(forks=1, max_fail=1))
    assert statuses(report) == ["failed", "failed", *["interrupted"] * 6]
    assert village.log.hosts("config") == ["n1", "n2"]
    why = {step.reason for host in report.hosts[2:] for step in host.steps}
    assert why == {"2 of 8 hosts failed (--max-fail 1)"}
    assert report.exit_code() is ExitCode.FAILED


def wait_for(told: list[str]) -> None:
    limit = time.monotonic() + 60
    while not told and time.monotonic() < limit:
        time.sleep(0.01)


def test_a_host_at_work_when_the_run_is_called_off_does_what_it_owes() -> None:
    village = Village(("a", "b"))

    def wait_for_the_end_of_b(_host: str, what: str) -> None:
        begun.append(what)
        wait_for(ended)

    def wait_for_the_beginning_of_a(_host: str, _what: str) -> None:
        wait_for(begun)

    class Ear:
        def on_event(self, event: Event) -> None:
            if isinstance(event, HostEnded):
                ended.append(event.report.host)

    begun: list[str] = []
    ended: list[str] = []
    village.slates["a"].before = wait_for_the_end_of_b
    village.slates["b"].before = wait_for_the_beginning_of_a
    change = Step(
        name="change", selector="a", body=(Mark(name="change"),), on_change=(Ring(name="restart"),)
    )
    later = Step(name="later", selector="a", body=(Mark(name="later"),), awaits=("change",))
    plan = Plan(name="p", steps=(change, later, failing_on("b", name="broken")))
    report = village.walk(plan, Settings(max_fail=0), listeners=[Ear()])
    assert statuses(report) == ["interrupted", "failed"]
    assert village.log.of("a") == ["change", "restart"]
    assert not report.hosts[0].steps[0].owes
