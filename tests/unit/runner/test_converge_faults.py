"""Links that are lost, deadlines that pass, and secrets that stay secret all the while."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import CommandError, DeadlineError, HostError, SessionLostError, UnstableError
from kubexm.facts import Facts
from kubexm.runner import Catalogue, Change, Family, Host, Outcome, Status, check
from kubexm.runner.decide import Bound, decide
from kubexm.secret import Secret
from kubexm.shell import Reply
from kubexm.testing.fake import Fault
from tests.unit.runner.keyed import Conduct, Key, KeyHandler, Values, fake
from tests.unit.runner.store import HOSTNAME

if TYPE_CHECKING:
    from kubexm.shell import Session

ABCD = tuple(Key(name=name, key=name) for name in "abcd")


def statuses(outcomes: tuple[Outcome, ...]) -> list[str]:
    return [str(outcome.status) for outcome in outcomes]


@pytest.mark.parametrize("fault", [Fault.lost(trip=1, frame=2), Fault.late(trip=1, frame=2)])
def test_a_fault_of_the_first_trip_is_raised_because_nothing_was_done(fault: Fault) -> None:
    host, machine = fake({}, faults=[fault])
    with pytest.raises((SessionLostError, DeadlineError)):
        host.converge(*ABCD)
    assert machine.state.log == []
    assert host.history == ()


def test_a_link_lost_in_mid_batch_leaves_the_one_at_work_and_all_behind_it_unknown() -> None:
    host, _ = fake({"c": "1"}, faults=[Fault.lost(trip=2, frame=1, runs=1)])
    outcomes = host.converge(*ABCD)
    assert statuses(outcomes) == ["changed", "unknown", "skipped", "unknown"]
    assert isinstance(outcomes[1].error, SessionLostError)
    assert outcomes[1].error.completed == 1
    assert outcomes[1].error.operation == "key b"
    assert (outcomes[1].after, outcomes[1].before) == (None, (("b", None),))
    assert outcomes[3].error is None
    with pytest.raises(HostError, match="key d: whether it took effect is unknown"):
        outcomes[3].must()


LATE = tuple(replace(op, answered=True) for op in ABCD)


def test_changes_that_nobody_has_read_are_unknown_and_say_why() -> None:
    """They are read together at the end of the batch, which is where the link is lost."""
    host, machine = fake({"c": "1"}, faults=[Fault.lost(trip=2, frame=5)])
    outcomes = host.converge(*LATE)
    assert machine.state.log == ["a", "b", "d"]
    assert statuses(outcomes) == ["changed", "unknown", "ok", "unknown"]
    for outcome, name in ((outcomes[1], "b"), (outcomes[3], "d")):
        assert isinstance(outcome.error, SessionLostError)
        assert outcome.error.operation == f"key {name}"
        assert outcome.notes == ("the change ended well, and was not read again",)
        with pytest.raises(SessionLostError):
            outcome.must()


def test_a_deadline_before_the_late_readings_leaves_what_was_done_unknown() -> None:
    host, machine = fake({}, faults=[Fault.late(trip=2, frame=1, applied=True)])
    outcomes = host.converge(*LATE)
    assert machine.state.log == ["a", "b"]
    assert statuses(outcomes) == ["unknown", "unknown", "skipped", "skipped"]
    assert all(isinstance(outcome.error, DeadlineError) for outcome in outcomes[:2])


def test_what_a_later_change_alters_is_read_at_once() -> None:
    host, _ = fake({})
    first = Key(name="a", key="a", answered=True)
    second = Key(name="b", key="b", also=(("a", "2"),), answered=True)
    assert statuses(host.converge(first, second)) == ["changed", "changed"]


def test_a_deadline_leaves_only_the_one_at_work_unknown() -> None:
    host, machine = fake({}, faults=[Fault.late(trip=2, frame=1, applied=True)])
    outcomes = host.converge(*ABCD)
    assert statuses(outcomes) == ["changed", "unknown", "skipped", "skipped"]
    assert isinstance(outcomes[1].error, DeadlineError)
    assert machine.state.log == ["a", "b"]


def test_after_a_change_that_failed_nothing_is_unknown_though_the_link_is_lost() -> None:
    host, _ = fake({}, faults=[Fault.lost(trip=2, frame=1)])
    bad = Key(name="bad", key="x", conduct=Conduct.FAILS)
    outcomes = host.converge(bad, *ABCD)
    assert statuses(outcomes) == ["failed", "skipped", "skipped", "skipped", "skipped"]
    assert isinstance(outcomes[0].error, CommandError)


def test_what_was_only_read_again_is_not_unknown_though_the_link_is_lost() -> None:
    host, machine = fake({"b": "1"}, faults=[Fault.lost(trip=2, frame=2, runs=9)])
    breaker = Key(name="breaker", key="x", also=(("b", "0"),))
    outcomes = host.converge(breaker, *ABCD[1:])
    assert statuses(outcomes) == ["changed", "failed", "skipped", "skipped"]
    assert isinstance(outcomes[1].error, SessionLostError)
    assert outcomes[1].diff == ""
    assert machine.state.log == ["breaker"]


@pytest.mark.parametrize("frame", [1, 2])
def test_a_link_lost_while_facts_are_read_fails_the_next_operation(frame: int) -> None:
    host, machine = fake({}, faults=[Fault.lost(trip=2, frame=frame)])
    outcomes = host.converge(Key(name="name", key=HOSTNAME, value="b"), *ABCD)
    assert statuses(outcomes) == ["changed", "failed", "skipped", "skipped", "skipped"]
    assert isinstance(outcomes[1].error, SessionLostError)
    assert machine.state.log == ["name"]


def test_a_link_lost_while_facts_are_read_at_the_end_fails_nothing() -> None:
    host, _ = fake({}, faults=[Fault.lost(trip=2, frame=1)])
    assert statuses(host.converge(Key(name="name", key=HOSTNAME, value="b"))) == ["changed"]
    assert host.session.broken


class Aborting(KeyHandler):
    """While it decides, somebody aborts the run from another thread."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def change(self, op: Key, state: Values, facts: Facts) -> Change[Values] | None:
        """See `Handler.change`."""
        self._session.kill()
        return super().change(op, state, facts)


def test_a_session_that_was_closed_between_the_trips_has_begun_nothing() -> None:
    _, machine = fake({"a": "0"})
    session = machine.session()
    family = Family(name="f", match=lambda facts: 1, handlers=(Aborting(session),))  # noqa: ARG005 - fits all
    host = Host("aborted", session, Catalogue([family]), Facts())
    outcomes = host.converge(*ABCD)
    assert statuses(outcomes) == ["failed", "skipped", "skipped", "skipped"]
    assert isinstance(outcomes[0].error, SessionLostError)
    assert machine.state.log == []


SECRET = "hunter2hunter2"  # made up


def secret_key(**fields: object) -> Key:
    given = {"name": "s", "key": "s", "secret": Secret(SECRET), "says": "it aloud", **fields}
    return Key(**given)  # type: ignore[arg-type] # keywords of `Key`


@pytest.mark.parametrize(
    ("op", "fault", "status"),
    [
        (secret_key(), None, Status.CHANGED),
        (secret_key(takes_payload=True), None, Status.CHANGED),
        (secret_key(conduct=Conduct.FAILS), None, Status.FAILED),
        (secret_key(conduct=Conduct.LIES, watches=("old",)), None, Status.FAILED),
        (secret_key(flaps=True, watches=("old",)), None, Status.FAILED),
        (secret_key(), Fault.lost(trip=3, frame=0), Status.UNKNOWN),
        (secret_key(), Fault.late(trip=3, frame=0), Status.UNKNOWN),
    ],
)
def test_nothing_of_a_secret_is_shown_whatever_happens(
    op: Key, fault: Fault | None, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    host, machine = fake({"old": SECRET, "s": f"{SECRET}0"}, faults=[fault] if fault else [])
    caplog.set_level(logging.DEBUG)
    predicted, _ = check(host, (op,))
    host.converge(op)
    (outcome,) = host.history
    assert outcome.status is status
    assert (outcome.before, outcome.after, outcome.diff, outcome.stdout) == (None, None, "", "")
    error = outcome.error
    shown = [repr(predicted), repr(outcome), repr(host), repr(host.session), repr(machine)]
    shown += [str(error), repr(error), repr(vars(error)) if error else "", caplog.text]
    assert SECRET not in "\n".join(shown)


def test_a_reading_that_its_handler_calls_secret_is_shown_nowhere() -> None:
    host, _ = fake({"s": SECRET})
    op = Key(name="s", key="s", hides=True)
    predicted, _ = check(host, (op,))
    outcomes = host.converge(op)
    assert statuses(predicted) == statuses(outcomes) == ["changed"]
    assert SECRET not in repr(predicted) + repr(outcomes)


def test_a_reading_that_its_handler_calls_secret_is_not_shown_in_an_error() -> None:
    host, _ = fake({"s": SECRET}, flaps=lambda text: "keys_get" in text)
    (outcome,) = host.converge(Key(name="s", key="s", hides=True))
    assert isinstance(outcome.error, UnstableError)
    assert SECRET not in repr(outcome) + str(outcome.error)


def test_a_guard_of_a_secret_operation_shows_neither_script_nor_reading() -> None:
    bound = Bound(op=secret_key(), handler=KeyHandler())
    decision = decide(bound, Reply(exit_status=0, stdout=b"s=old\n", secret=True), Facts())
    guarded = decision.guarded(Facts())
    assert guarded.secret
    assert SECRET not in repr(guarded) + repr(guarded.change) + repr(decision.reading)
