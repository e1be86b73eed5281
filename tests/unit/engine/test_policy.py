from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from kubexm.engine import ExitCode, HostStatus, StepStatus
from kubexm.errors import DeadlineError, PlanError
from kubexm.plan import Plan, Retry, Step
from kubexm.runtime import Settings
from tests.unit.engine.marks import ALWAYS, Mark, Ring, Village

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.plan import Item, StepContext
    from kubexm.runner import Outcome

MANY = tuple(f"n{number:02}" for number in range(20))


def test_neighbouring_steps_share_their_round_trips() -> None:
    village = Village("a")
    steps = tuple(Step(name=f"s{n}", body=(Mark(name=f"m{n}"),)) for n in range(40))
    assert village.walk(Plan(name="p", steps=steps)).hosts[0].trips == 3
    assert village.walk(Plan(name="p", steps=steps)).hosts[0].trips == 2


def test_a_step_that_names_its_needs_goes_on_when_something_else_failed() -> None:
    village = Village("a")
    steps = (
        Step(name="one", body=(Mark(name="one"),)),
        Step(name="bad", body=(Mark(name="bad", fails=ALWAYS),)),
        Step(name="free", body=(Mark(name="free"),), needs=("one",)),
        Step(name="rest", body=(Mark(name="rest"),)),
    )
    report = village.walk(Plan(name="p", steps=steps))
    assert village.log.of("a") == ["one", "bad", "free"]
    assert report.hosts[0].steps[3].reason == "bad failed"
    assert report.hosts[0].status is HostStatus.FAILED


def test_a_failed_step_is_tried_again_and_counts_as_changed() -> None:
    village = Village("a")
    step = Step(
        name="s",
        body=(Mark(name="one"), Mark(name="two", fails=2)),
        retry=Retry(times=2, delay_s=0),
    )
    report = village.walk(Plan(name="p", steps=(step, Step(name="t", body=(Mark(name="t"),)))))
    assert village.log.of("a") == ["one", "two", "two", "two", "t"]
    assert [outcome.status.value for _, outcome in report.hosts[0].outcomes] == ["changed"] * 3
    assert report.exit_code() is ExitCode.DONE


def test_a_step_is_tried_until_its_outcomes_are_as_wanted() -> None:
    def rang_three_times(outcomes: tuple[Outcome, ...]) -> bool:
        return outcomes[0].stdout == "3\n"

    village = Village("a")
    retry = Retry(times=5, delay_s=0, until=rang_three_times)
    step = Step(name="s", body=(Ring(name="bell"),), retry=retry)
    assert village.walk(Plan(name="p", steps=(step,))).exit_code() is ExitCode.DONE
    assert village.log.of("a") == ["bell"] * 3
    again = village.walk(Plan(name="p", steps=(step,)))
    assert again.exit_code() is ExitCode.FAILED
    assert "did not come in 6 attempts" in str(again.hosts[0].error)


def test_a_procedure_that_ended_well_is_not_repeated_with_its_step() -> None:
    village = Village("a")
    step = Step(
        name="s",
        body=(Ring(name="bell"), Mark(name="m", fails=1)),
        retry=Retry(times=1, delay_s=0),
    )
    assert village.walk(Plan(name="p", steps=(step,))).exit_code() is ExitCode.DONE
    assert village.log.of("a") == ["bell", "m", "m"]


def test_a_retry_does_not_outlast_the_steps_time() -> None:
    village = Village("a")
    step = Step(
        name="s",
        body=(Mark(name="m", fails=ALWAYS),),
        retry=Retry(times=9, delay_s=3600),
        timeout_s=60,
    )
    report = village.walk(Plan(name="p", steps=(step,)))
    assert report.hosts[0].status is HostStatus.FAILED
    assert village.log.of("a") == ["m"]


def test_a_step_without_time_left_is_not_begun() -> None:
    village = Village("a")
    step = Step(name="s", body=(Mark(name="m"),), timeout_s=1e-9)
    report = village.walk(Plan(name="p", steps=(step,)))
    assert isinstance(report.hosts[0].error, DeadlineError)
    assert village.log.did == []


def slow_plan(*later: Step) -> tuple[Village, Plan]:
    """Host a spends more time on the first step of a plan than it has for all of it."""
    village = Village("ab")
    village.slates["a"].before = lambda _host, _what: time.sleep(0.4)
    first = Step(name="one", body=(Ring(name="one"),))
    part = Plan(name="part", steps=(first, *later), timeout_s=0.3)
    behind = Step(name="behind", body=(Ring(name="behind"),), needs=())
    return village, Plan(name="p", steps=(part, behind))


def test_a_plans_time_is_each_hosts_own_and_ends_with_the_plan() -> None:
    village, plan = slow_plan(Step(name="two", body=(Ring(name="two"),)))
    report = village.walk(plan)
    assert village.log.of("b") == ["one", "two", "behind"]
    error = report.hosts[0].error
    assert isinstance(error, DeadlineError)
    assert "no time was left for part/two" in str(error)
    assert "give it or part a longer timeout_s" in error.hint
    assert "behind" in village.log.of("a")


def test_a_plans_time_goes_on_while_a_host_waits_for_others() -> None:
    village, plan = slow_plan(Step(name="two", body=(Mark(name="two"),), awaits=("one",)))
    village.walk(plan)
    assert village.log.of("a") == ["one", "behind"]
    assert village.log.of("b") == ["one", "behind"]


def test_steps_of_a_plan_with_a_time_share_trips_with_each_other_only() -> None:
    village = Village("a")
    steps = (Step(name="x", body=(Mark(name="x"),)), Step(name="y", body=(Mark(name="y"),)))
    plan = Plan(name="part", steps=steps, timeout_s=60)
    report = village.walk(Plan(name="p", steps=(Step(name="z", body=(Mark(name="z"),)), plan)))
    assert report.hosts[0].trips == 1 + 2 * 2


def test_a_timeout_below_zero_is_an_error() -> None:
    with pytest.raises(PlanError, match="the plan p has a timeout of -1 seconds"):
        Plan(name="p", steps=(), timeout_s=-1)


def test_nothing_is_begun_after_the_runs_deadline() -> None:
    village = Village(("a", "b"))
    village.slates["a"].before = lambda _host, _what: time.sleep(0.3)
    steps = (Step(name="one", body=(Mark(name="one"),)), Step(name="two", body=(Ring(name="two"),)))
    report = village.walk(Plan(name="p", steps=steps), Settings(forks=1, deadline_s=0.2))
    assert village.log.did == [("a", "one")]
    assert {host.status for host in report.hosts} == {HostStatus.INTERRUPTED}
    assert {step.status for step in report.hosts[1].steps} == {StepStatus.NOT_REACHED}
    assert report.exit_code() is ExitCode.FAILED


def test_a_step_that_runs_once_runs_on_the_first_of_its_hosts() -> None:
    village = Village("abc", groups={"g": ["b", "c"]})
    step = Step(name="s", selector="g", body=(Mark(name="m"),), run_once=True)
    village.walk(Plan(name="p", steps=(step,)))
    assert village.log.did == [("b", "m")]


def test_a_slow_host_does_not_slow_the_others() -> None:
    village = Village(MANY)
    slow = village.slates["n07"]
    others: list[float] = []

    def wait_for_the_others(host: str, what: str) -> None:
        # each of its commands takes as long as all that the others do, and more
        limit = time.monotonic() + 60
        while len(village.log.did) < 19 * 5 and time.monotonic() < limit:
            time.sleep(0.01)
        others.append(len([1 for name, _ in village.log.did if name != host]))
        del what

    slow.before = wait_for_the_others
    steps = tuple(Step(name=f"s{n}", body=(Mark(name=f"m{n}"),)) for n in range(5))
    report = village.walk(Plan(name="p", steps=steps))
    assert report.exit_code() is ExitCode.DONE
    assert others[0] == 19 * 5


def test_what_a_body_caches_is_made_once_for_all_hosts() -> None:
    village = Village(MANY)
    made: list[str] = []

    def body(context: StepContext) -> Iterable[Item]:
        def make() -> str:
            made.append(context.host.name)
            time.sleep(0.05)
            return f"made-{len(made)}"

        yield Mark(name=context.cached("name", make))

    village.walk(Plan(name="p", steps=(Step(name="s", body=body),)), Settings(forks=20))
    assert len(made) == 1
    assert {what for _, what in village.log.did} == {"made-1"}
    assert len(village.log.did) == len(MANY)
