from __future__ import annotations

from kubexm.engine import ExitCode, Past, StepStatus
from kubexm.plan import Plan, Step
from kubexm.runtime import Settings
from tests.unit.engine.marks import ALWAYS, Mark, Ring, Village

RESTART = Ring(name="restart")


def change(name: str, fails: int = 0) -> Step:
    return Step(name=name, body=(Mark(name=name, fails=fails),), on_change=(RESTART,))


def test_what_several_steps_owe_is_done_once_behind_them() -> None:
    village = Village("a")
    plan = Plan(name="p", steps=(change("one"), change("two")))
    report = village.walk(plan)
    assert village.log.of("a") == ["one", "two", "restart"]
    assert [outcome.label for _, outcome in report.hosts[0].outcomes] == [
        "mark one",
        "ring restart",
        "mark two",
    ]


def test_nothing_is_owed_when_nothing_changed() -> None:
    village = Village("a")
    plan = Plan(name="p", steps=(change("one"),))
    village.walk(plan)
    village.log.did.clear()
    assert not village.walk(plan).changed
    assert village.log.did == []


def test_what_is_owed_is_done_before_a_procedure_that_follows() -> None:
    village = Village("a")
    steps = (change("one"), Step(name="use", body=(Ring(name="use"),)), change("two"))
    village.walk(Plan(name="p", steps=steps))
    assert village.log.of("a") == ["one", "restart", "use", "two", "restart"]


def test_what_a_done_step_owes_is_done_though_a_later_one_failed() -> None:
    village = Village("a")
    plan = Plan(name="p", steps=(change("one"), change("two", ALWAYS), change("three")))
    report = village.walk(plan)
    assert village.log.of("a") == ["one", "two", "restart"]
    assert [step.status.value for step in report.hosts[0].steps] == ["changed", "failed", "skipped"]


def test_what_a_half_done_step_owes_stays_owed_and_is_told() -> None:
    village = Village("a")
    body = (Mark(name="one"), Mark(name="two", fails=ALWAYS))
    report = village.walk(Plan(name="p", steps=(Step(name="s", body=body, on_change=(RESTART,)),)))
    assert village.log.of("a") == ["one", "two"]
    assert report.hosts[0].steps[0].owes


def test_a_restart_that_fails_fails_its_step_and_what_needs_it() -> None:
    village = Village("a")
    village.slates["a"].broken.add("restart")
    report = village.walk(
        Plan(
            name="p",
            steps=(change("one"), change("two"), Step(name="use", body=(Ring(name="use"),))),
        )
    )
    assert report.exit_code() is ExitCode.FAILED
    assert [step.status.value for step in report.hosts[0].steps] == ["failed", "failed", "skipped"]
    assert report.hosts[0].steps[0].owes
    assert "does not ring" in str(report.hosts[0].error)
    assert village.log.of("a") == ["one", "two", "restart"]


def test_a_check_foresees_the_restart_and_does_nothing() -> None:
    village = Village("a")
    report = village.walk(Plan(name="p", steps=(change("one"),)), Settings(check=True))
    assert [outcome.label for _, outcome in report.hosts[0].outcomes] == [
        "mark one",
        "ring restart",
    ]
    assert all(outcome.changed for _, outcome in report.hosts[0].outcomes)
    assert village.log.did == []


def test_a_resumed_run_does_what_is_owed_and_nothing_else() -> None:
    village = Village("ab")
    for slate in village.slates.values():
        slate.marks.add("one")
    past = Past(done=frozenset({("a", "one"), ("b", "one")}), owed={"b": ("one",)})
    report = village.walk(Plan(name="p", steps=(change("one"),)), past=past)
    assert village.log.did == [("b", "restart")]
    assert [host.steps[0].status for host in report.hosts] == [StepStatus.RESUMED] * 2
    assert report.hosts[0].trips == 0


def test_a_debt_of_a_step_that_was_not_seen_to_end_is_paid_though_it_is_found_done() -> None:
    village = Village("a")
    village.slates["a"].marks.add("one")
    past = Past(owed={"a": ("one",)})
    village.walk(Plan(name="p", steps=(change("one"),)), past=past)
    assert village.log.did == [("a", "restart")]
