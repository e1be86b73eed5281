"""What the journal makes of a run's entries: from where it goes on, and what it looks like."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kubexm.engine import HostStatus, Past, Published, Repaid, StepStatus
from kubexm.engine.journal import About, RunState, compare
from kubexm.errors import ResumeError, UsageError
from kubexm.runner import Outcome, Status
from kubexm.runner.operations import FileContent
from kubexm.secret import Secret
from tests.unit.engine.journal.entry import (
    FILE,
    began,
    changed,
    ended,
    intended,
    journal_in,
    over,
    settled,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

    from kubexm.engine import Entry
    from kubexm.engine.journal import Journal

DONE = {"a": HostStatus.CHANGED, "b": HostStatus.OK}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return journal_in(tmp_path)


def past(journal: Journal, *entries: Entry) -> Past:
    write(journal, "r1", *entries)
    return journal.past("r1")


def test_what_ended_well_is_done_and_nothing_else_is(journal: Journal) -> None:
    found = past(
        journal,
        settled("a", "one"),
        settled("a", "two", StepStatus.OK),
        settled("a", "three", StepStatus.NOT_NEEDED),
        settled("b", "one", StepStatus.FAILED),
        settled("b", "two", StepStatus.SKIPPED),
        settled("b", "three", StepStatus.UNKNOWN),
    )
    assert found.done == {("a", "one"), ("a", "two"), ("a", "three")}


def test_a_procedure_that_was_not_seen_to_end_is_unknown(journal: Journal) -> None:
    found = past(
        journal,
        intended("a", "one", 0, procedure=True),
        ended("a", "one", 0),
        intended("a", "one", 1, procedure=True),
        intended("b", "one", 0, procedure=True),
        ended("b", "one", 0, Status.UNKNOWN),
        intended("b", "two", 0, procedure=True),
        ended("b", "two", 0, Status.FAILED),
    )
    assert found.procedures == {("a", "one", 0)}
    assert found.unknown == {("a", "one", 1), ("b", "one", 0)}


def test_a_procedure_of_a_step_that_is_done_is_not_told_again(journal: Journal) -> None:
    found = past(
        journal, intended("a", "one", procedure=True), ended("a", "one"), settled("a", "one")
    )
    assert found == Past(done=frozenset({("a", "one")}))


def test_a_procedure_that_is_tried_again_is_unknown_until_it_ends(journal: Journal) -> None:
    found = past(
        journal,
        intended("a", "one", procedure=True),
        ended("a", "one", 0, Status.FAILED),
        intended("a", "one", procedure=True),
    )
    assert found.unknown == {("a", "one", 0)}


def test_announced_work_is_owed_until_it_is_repaid(journal: Journal) -> None:
    found = past(
        journal,
        intended("a", "two", owes=True),
        intended("a", "one", owes=True),
        settled("a", "one", owes=True),
        intended("b", "one", owes=True),
        settled("b", "one", owes=True),
        intended("b", "one", -1),
        Repaid(host="b", steps=("one",)),
    )
    assert found.owed == {"a": ("one", "two")}


def test_a_restart_that_was_not_seen_to_end_is_still_owed(journal: Journal) -> None:
    found = past(journal, settled("a", "one", owes=True), intended("a", "one", -1))
    assert found.owed == {"a": ("one",)}
    assert found.done == {("a", "one")}


def test_a_step_that_was_seen_to_change_nothing_owes_nothing(journal: Journal) -> None:
    found = past(journal, intended("a", "one", owes=True), settled("a", "one", StepStatus.FAILED))
    assert found.owed == {}


def test_a_debt_of_the_resumed_run_stays_when_its_step_finds_nothing_to_do(
    journal: Journal,
) -> None:
    write(journal, "r1", intended("a", "one", owes=True))
    write(
        journal,
        "r2",
        intended("a", "one", owes=True),
        settled("a", "one", StepStatus.OK),
        resumes="r1",
    )
    assert journal.past("r2").owed == {"a": ("one",)}


def test_work_is_owed_again_after_it_was_repaid(journal: Journal) -> None:
    owes = settled("a", "one", owes=True)
    found = past(journal, owes, Repaid(host="a", steps=("one",)), owes)
    assert found.owed == {"a": ("one",)}


def test_published_values_come_back_as_they_were(journal: Journal) -> None:
    first = Published(host="a", step="one", name="n", value=[1, {"k": None}])
    second = Published(host="b", step="one", name="n", value="text")
    later = Published(host="a", step="two", name="n", value=True)
    assert past(journal, first, second, later).values == (second, later)


def test_a_secret_value_is_not_kept_and_its_step_runs_again(
    journal: Journal, tmp_path: Path
) -> None:
    found = past(
        journal,
        intended("a", "one", procedure=True),
        ended("a", "one"),
        Published(host="a", step="one", name="token", value=Secret("hunter2xyzzy")),
        settled("a", "one"),
        settled("a", "two"),
    )
    assert found.done == {("a", "two")}
    assert found.procedures == frozenset()
    assert found.values == ()
    journal.close()
    assert files_with(tmp_path, "hunter2xyzzy") == []


def files_with(directory: Path, text: str) -> list[Path]:
    return [
        path
        for path in directory.rglob("*")
        if path.is_file() and text.encode() in path.read_bytes()
    ]


def test_no_secret_of_an_operation_reaches_the_journal(journal: Journal, tmp_path: Path) -> None:
    secret = FileContent(path="/etc/token", content=Secret("hunter2xyzzy"))
    write(
        journal,
        "r1",
        settled("a", "one", StepStatus.CHANGED, changed(secret, "+hunter2xyzzy\n"), changed()),
    )
    hidden, shown = journal.record("r1").hosts[0].steps[0].outcomes
    assert (hidden.is_secret, hidden.diff) == (True, "")
    assert (shown.is_secret, shown.diff) == (False, "-a\n+b\n")
    journal.close()
    assert files_with(tmp_path, "hunter2xyzzy") == []


def test_a_resumed_run_knows_all_that_the_first_one_knew(journal: Journal) -> None:
    entries = (
        intended("a", "two", owes=True, procedure=True),
        settled("a", "one", owes=True),
        Published(host="a", step="one", name="n", value=1),
        settled("b", "one"),
    )
    before = past(journal, *entries)
    write(journal, "r2", settled("b", "one", StepStatus.RESUMED), resumes="r1")
    assert journal.past("r2") == before
    first, second = journal.runs()
    assert (first.state, first.resumed_by, first.is_left) == (RunState.RESUMED, "r2", False)
    assert (second.state, second.resumes, second.is_left) == (RunState.KILLED, "r1", True)


def test_a_run_that_has_been_resumed_is_not_resumed_once_more(journal: Journal) -> None:
    write(journal, "r1")
    write(journal, "r2", resumes="r1")
    with pytest.raises(ResumeError, match="has gone on as r2"):
        journal.past("r1")
    with pytest.raises(ResumeError, match="has gone on as r2"):
        write(journal, "r3", resumes="r1")
    assert [line.run for line in journal.runs()] == ["r1", "r2"]
    assert not journal.directory.run("r3").exists()


def test_a_run_resumed_on_some_hosts_keeps_what_it_knows_of_the_others(journal: Journal) -> None:
    write(journal, "r1", settled("a", "one"), settled("b", "one", owes=True))
    with journal.recording("r2", About(), resumes="r1") as recording:
        recording.record(began("r2", hosts=("a",)))
        assert "not in this one" in recording.notices[0]
    with journal.recording("r3", About(), resumes="r2") as recording:
        recording.record(began("r3"))
        assert recording.notices == ()
    assert journal.past("r3").owed == {"b": ("one",)}


def test_a_changed_plan_is_not_resumed_silently(journal: Journal) -> None:
    write(journal, "r1", settled("a", "one"))
    with (
        pytest.raises(ResumeError) as caught,
        journal.recording("r2", About(), resumes="r1") as recording,
    ):
        recording.record(began("r2", steps=("one", "two", "four"), hosts=("a", "b", "c")))
    told = str(caught.value)
    assert "new steps: four" in told
    assert "steps that are gone: three" in told
    assert "new hosts: c" in told
    assert "--accept-changes" in caught.value.hint
    with journal.recording("r3", About(), resumes="r1", accept_changes=True) as recording:
        recording.record(began("r3", steps=("two", "one", "three")))
        assert recording.notices == ("the plan's order or its rules are others now",)
    assert journal.past("r3").done == {("a", "one")}


def test_a_check_is_not_resumed(journal: Journal) -> None:
    with journal.recording("r1", About()) as recording:
        recording.record(began("r1", check=True))
    with pytest.raises(ResumeError, match="was a check"):
        journal.past("r1")
    assert not journal.runs()[0].is_left


HOLDER = """
import sys
from pathlib import Path
from kubexm.engine.journal import About
from tests.unit.engine.journal.entry import began, journal_in

with journal_in(Path(sys.argv[1])) as journal, journal.recording("r1", About()) as recording:
    recording.record(began("r1"))
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_resumed_by_another_process_once_its_own_has_ended(
    journal: Journal, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        assert journal.runs()[0].state is RunState.AT_WORK
        with pytest.raises(ResumeError, match="still at work"):
            journal.past("r1")
        with pytest.raises(ResumeError, match=f"process {process.pid}"):
            write(journal, "r2", resumes="r1")
        assert journal.forget(["r1"]) == ()
        process.kill()
    assert journal.runs()[0].state is RunState.KILLED
    write(journal, "r2", resumes="r1")


def test_runs_are_listed_with_how_they_stand(journal: Journal) -> None:
    write(journal, "r1", over("r1", a=HostStatus.OK, b=HostStatus.CHANGED))
    write(journal, "r2", over("r2", a=HostStatus.OK, b=HostStatus.FAILED))
    write(journal, "r3", settled("a", "one", owes=True))
    assert [(line.state, line.is_left, line.owed) for line in journal.runs()] == [
        (RunState.DONE, False, 0),
        (RunState.FAILED, True, 0),
        (RunState.KILLED, True, 1),
    ]


def test_a_run_is_found_by_a_part_of_its_id(journal: Journal) -> None:
    write(journal, "20260101T000000Z-abcdef")
    write(journal, "20260102T000000Z-123456")
    assert journal.find("123456").run == "20260102T000000Z-123456"
    assert journal.find("20260101").run == "20260101T000000Z-abcdef"
    with pytest.raises(UsageError, match="2 runs"):
        journal.find("2026")
    with pytest.raises(UsageError, match="no run"):
        journal.find("nope")


def test_what_was_at_work_when_a_run_was_killed_is_shown(journal: Journal) -> None:
    write(journal, "r1", settled("a", "one"), intended("a", "two"))
    steps = journal.record("r1").hosts[0].steps
    assert [(step.step, step.status, step.reason) for step in steps] == [
        ("one", "changed", ""),
        ("two", "begun", "do it"),
    ]


def test_equal_diffs_are_kept_once_and_go_with_their_last_run(journal: Journal) -> None:
    change = [settled(host, "one", StepStatus.CHANGED, changed()) for host in ("a", "b")]
    write(journal, "r1", *change)
    write(journal, "r2", *change)
    assert journal.forget(["r1"]) == ("r1",)
    assert journal.record("r2").hosts[1].steps[0].outcomes[0].diff == "-a\n+b\n"
    assert not journal.directory.run("r1").exists()
    journal.forget(["r2"])
    assert journal.runs() == ()
    assert journal.faults() == ()


def test_two_checks_differ_by_what_came_and_what_went(journal: Journal) -> None:
    other = FileContent(path="/etc/issue", content="x")
    unchanged = Outcome(operation=other, status=Status.OK)
    write(
        journal,
        "r1",
        settled("a", "one", StepStatus.CHANGED, changed(), changed(other, "+x\n")),
        over("r1", **DONE),
    )
    write(
        journal,
        "r2",
        settled("a", "one", StepStatus.CHANGED, changed(diff="-c\n+b\n"), unchanged),
        settled("b", "one", StepStatus.CHANGED, changed()),
        over("r2", **DONE),
    )
    found = compare(journal.record("r1"), journal.record("r2"))
    assert [(drift.host, drift.operation, drift.before, drift.after) for drift in found.drifts] == [
        ("a", FILE.label(), "changed", "changed"),
        ("a", other.label(), "changed", "ok"),
        ("b", FILE.label(), "ok", "changed"),
    ]
    assert [drift.diff for drift in found.drifts] == ["-c\n+b\n", "+x\n", "-a\n+b\n"]
    assert found.unseen == ()


def test_hosts_that_a_run_did_not_see_are_not_called_equal(journal: Journal) -> None:
    write(journal, "r1", over("r1", **DONE))
    write(journal, "r2", over("r2", a=HostStatus.OK, b=HostStatus.UNREACHABLE))
    found = compare(journal.record("r1"), journal.record("r2"))
    assert found.unseen == (("b", "unreachable in r2"),)
