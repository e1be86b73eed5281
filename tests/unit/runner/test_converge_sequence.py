"""Batches mean what a sequence means: random operations against the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from kubexm.errors import UnsupportedError
from kubexm.facts import Facts
from kubexm.runner import Outcome, Status, check
from kubexm.testing.fake import Fault
from tests.unit.runner.draw import operations, peaceful, states
from tests.unit.runner.keyed import Conduct, Key, PickyKey, fake
from tests.unit.runner.reference import sequence
from tests.unit.runner.store import HOSTNAME, Store, answer

if TYPE_CHECKING:
    from kubexm.shell import Reply, Script

many = settings(max_examples=200, deadline=None)


def statuses(outcomes: tuple[Outcome, ...]) -> tuple[Status, ...]:
    return tuple(outcome.status for outcome in outcomes)


@many
@given(operations(), states())
def test_outcomes_end_state_and_trips_are_those_of_a_sequence(
    ops: tuple[Key, ...], keys: dict[str, str]
) -> None:
    store = Store(dict(keys))

    def run(script: Script) -> Reply:
        return answer(script.text, script.payload, store)

    host, machine = fake(keys)
    try:
        outcomes = host.converge(*ops)
    except UnsupportedError:
        assert machine.ran == []
        return
    expected = sequence(run, ops, Facts(hostname=keys[HOSTNAME]))
    assert statuses(outcomes) == expected.statuses
    assert machine.state.keys == store.keys
    assert machine.state.log == store.log
    assert host.session.trips == expected.trips
    assert host.facts.hostname == store.keys[HOSTNAME]


@many
@given(operations(), states())
def test_what_is_at_peace_costs_one_trip_the_second_time(
    ops: tuple[Key, ...], keys: dict[str, str]
) -> None:
    honest = (replace(op, conduct=Conduct.HONEST, flaps=False, needs="") for op in ops)
    ops = peaceful(tuple(op for op in honest if type(op) is Key))
    host, machine = fake(keys)
    assert {outcome.status for outcome in host.converge(*ops)} <= {Status.OK, Status.CHANGED}
    before, trips = dict(machine.state.keys), host.session.trips
    assert statuses(host.converge(*ops)) == (Status.OK,) * len(ops)
    assert host.session.trips - trips == bool(ops)
    assert machine.state.keys == before


@many
@given(operations(), states())
def test_check_mode_changes_nothing_and_what_it_does_not_mark_is_exact(
    ops: tuple[Key, ...], keys: dict[str, str]
) -> None:
    ops = tuple(op for op in ops if not isinstance(op, PickyKey) and not op.flaps)
    host, machine = fake(keys)
    predictions, _ = check(host, ops)
    assert machine.state == Store(keys)
    assert host.session.trips == bool(ops)
    for predicted, outcome in zip(predictions, host.converge(*ops), strict=True):
        if outcome.failed and not predicted.failed:
            return  # what fails behind check mode's back, and all that follows
        if predicted.rests_on:
            assert outcome.status in (Status.OK, Status.CHANGED)
            continue
        assert outcome.status is predicted.status
        assert outcome.diff == predicted.diff
        assert outcome.before == predicted.before
        assert outcome.after == predicted.after


@many
@given(operations(), states())
def test_a_marked_prediction_and_apply_end_with_the_same_value(
    ops: tuple[Key, ...], keys: dict[str, str]
) -> None:
    plain = tuple(op for op in ops if type(op) is Key and not (op.by_fact or op.derives))
    host, _ = fake(keys)
    predictions, _ = check(host, plain)
    for op, predicted, outcome in zip(plain, predictions, host.converge(*plain), strict=True):
        if outcome.failed or outcome.status is Status.SKIPPED:
            return
        if predicted.after is not None:
            assert dict(predicted.after)[op.key] == dict(outcome.after)[op.key]  # type: ignore[call-overload] # both are `Values`


@many
@given(
    operations(),
    states(),
    st.builds(
        Fault,
        trip=st.integers(2, 4),
        frame=st.integers(0, 8),
        runs=st.integers(0, 3),
        is_late=st.just(False),  # noqa: FBT003 - a strategy
    )
    | st.builds(Fault.late, trip=st.integers(2, 4), frame=st.integers(0, 8), applied=st.booleans()),
)
def test_no_outcome_says_more_than_is_known_after_a_fault(
    ops: tuple[Key, ...], keys: dict[str, str], fault: Fault
) -> None:
    host, machine = fake(keys, faults=[fault])
    try:
        outcomes = host.converge(*ops)
    except UnsupportedError:
        return
    ran = set(machine.state.log)
    by_status = {status: set[str]() for status in Status}
    for op, outcome in zip(ops, outcomes, strict=True):
        by_status[outcome.status].add(op.name)
    assert by_status[Status.CHANGED] <= ran
    assert ran <= by_status[Status.CHANGED] | by_status[Status.FAILED] | by_status[Status.UNKNOWN]
    if any(outcome.status not in (Status.OK, Status.CHANGED) for outcome in outcomes):
        first = next(o for o in outcomes if o.status not in (Status.OK, Status.CHANGED))
        assert first.failed
        assert first.error is not None
    if by_status[Status.UNKNOWN]:
        assert host.session.broken
