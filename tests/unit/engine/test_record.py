from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kubexm.engine import (
    OWED,
    ExitCode,
    Intended,
    Past,
    ProcedureEnded,
    Published,
    Repaid,
    RunBegan,
    RunSettled,
    StepSettled,
    StepStatus,
)
from kubexm.errors import KubexmError
from kubexm.plan import Plan, Step
from kubexm.runtime import Settings
from tests.unit.engine.marks import Mark, Ring, Village

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.engine import Entry
    from kubexm.plan import Item, StepContext

INIT = Step(name="init", body=(Ring(name="init", publishes="token"),), run_once=True)


def join(context: StepContext) -> Iterable[Item]:
    yield Mark(name=f"join-{context.shared.read('token')}")


PLAN = Plan(
    name="p",
    steps=(
        Step(name="config", body=(Mark(name="config"),), on_change=(Ring(name="restart"),)),
        INIT,
        Step(name="join", body=join, awaits=("init",)),
    ),
)


class Book:
    """A recorder that keeps entries; `fails_at` is the kind that it refuses."""

    def __init__(self, fails_at: type[object] | None = None) -> None:
        self.entries: list[Entry] = []
        self._fails_at = fails_at
        self._lock = threading.Lock()

    def record(self, entry: Entry) -> None:
        if self._fails_at is not None and isinstance(entry, self._fails_at):
            message = "the disk is full"
            raise KubexmError(message)
        with self._lock:
            self.entries.append(entry)


def test_a_run_tells_its_journal_the_intent_before_and_the_result_after() -> None:
    village, book = Village("a"), Book()
    at_change: list[int] = []
    village.slates["a"].before = lambda _host, _what: at_change.append(len(book.entries))
    assert village.walk(PLAN, recorder=book).exit_code() is ExitCode.DONE
    assert [type(entry) for entry in book.entries] == [
        RunBegan,
        Intended,
        StepSettled,
        Intended,
        Repaid,
        Intended,
        Published,
        ProcedureEnded,
        StepSettled,
        Intended,
        StepSettled,
        RunSettled,
    ]
    assert at_change == [2, 4, 6, 10]
    intents = [entry for entry in book.entries if isinstance(entry, Intended)]
    assert [(intent.step, intent.item, intent.owes) for intent in intents] == [
        ("config", 0, True),
        ("config", OWED, False),
        ("init", 0, False),
        ("join", 0, False),
    ]
    began = book.entries[0]
    assert isinstance(began, RunBegan)
    assert tuple(began.steps) == ("config", "init", "join")


def test_a_check_intends_nothing() -> None:
    village, book = Village("a"), Book()
    report = village.walk(PLAN, Settings(check=True), recorder=book)
    assert not any(isinstance(entry, Intended | Published | Repaid) for entry in book.entries)
    last = report.hosts[0].steps[-1]
    assert last.status is StepStatus.UNPREDICTED
    assert last.reason == "no step has published the value 'token'"
    assert report.exit_code() is ExitCode.DONE


def test_what_cannot_be_written_down_is_not_done() -> None:
    village = Village("ab")
    report = village.walk(PLAN, recorder=Book(Intended))
    assert village.log.did == []
    assert report.exit_code() is ExitCode.FAILED
    assert "the disk is full" in str(report.hosts[0].error)


def test_a_resumed_run_has_the_values_of_the_one_before() -> None:
    village = Village("a")
    past = Past(
        done=frozenset({("a", "config"), ("a", "init")}),
        values=(Published(host="a", step="init", name="token", value="t0"),),
    )
    assert village.walk(PLAN, past=past).exit_code() is ExitCode.DONE
    assert village.log.of("a") == ["join-t0"]


def test_a_procedure_that_ended_is_not_done_again_though_its_step_is() -> None:
    village = Village("a")
    step = Step(name="s", body=(Ring(name="init"), Mark(name="then")))
    past = Past(procedures=frozenset({("a", "s", 0)}))
    report = village.walk(Plan(name="p", steps=(step,)), past=past)
    assert village.log.of("a") == ["then"]
    assert report.hosts[0].steps[0].outcomes[0].notes == ("done before",)


def test_a_procedure_that_nobody_saw_end_is_reported_and_not_done_twice() -> None:
    village = Village("a")
    past = Past(unknown=frozenset({("a", "init", 0)}))
    report = village.walk(PLAN, past=past)
    assert village.log.hosts("init") == []
    assert report.hosts[0].steps[1].status is StepStatus.UNKNOWN
    assert report.exit_code() is ExitCode.FAILED


def test_a_repeatable_procedure_that_nobody_saw_end_is_done_again() -> None:
    village = Village("a")
    step = Step(name="s", body=(Ring(name="wait", repeatable=True),))
    past = Past(unknown=frozenset({("a", "s", 0)}))
    report = village.walk(Plan(name="p", steps=(step,)), past=past)
    assert village.log.of("a") == ["wait"]
    assert report.exit_code() is ExitCode.DONE
