"""Check mode: what is predicted, and what is marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.errors import UnmetError
from kubexm.facts import Facts
from kubexm.runner import EVERYTHING, Outcome, Pending, Status, check
from kubexm.runner.decide import Bound, decide, predict
from kubexm.shell import Reply
from tests.unit.runner.keyed import ByFact, Key, KeyHandler, fake
from tests.unit.runner.store import HOSTNAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubexm.runner import Scope


def statuses(outcomes: Sequence[Outcome]) -> list[str]:
    return [str(outcome.status) for outcome in outcomes]


def predicted(keys: dict[str, str], *ops: Key) -> tuple[Outcome, ...]:
    host, machine = fake(keys)
    outcomes, _ = check(host, ops)
    assert machine.state.log == []
    assert host.session.trips == 1
    return outcomes


class NotedHandler(KeyHandler):
    """Says what does not apply."""

    def notes(self, op: Key, state: object, facts: Facts) -> tuple[str, ...]:
        """See `Notes.notes`."""
        del state, facts
        return (f"{op.key} has no effect here",)


def test_checking_nothing_costs_nothing_and_keeps_what_is_held_back() -> None:
    host, _ = fake({})
    pending = (Pending(label="x", alters=EVERYTHING),)
    assert check(host, (), pending) == ((), pending)
    assert host.session.trips == 0


def test_an_independent_change_is_predicted_without_a_mark() -> None:
    one, two = predicted({"a": "0"}, Key(name="a", key="a"), Key(name="b", key="b"))
    assert (one.status, two.status) == (Status.CHANGED, Status.CHANGED)
    assert one.diff == "--- a\n+++ a\n@@ -1 +1 @@\n-0\n+1\n"
    assert (one.before, one.after) == ((("a", "0"),), (("a", "1"),))
    assert one.rests_on == two.rests_on == ()


def test_what_a_pending_change_may_alter_is_marked_with_its_label() -> None:
    _, two, three = predicted(
        {},
        Key(name="a", key="a"),
        Key(name="b", key="b", watches=("a",)),
        Key(name="c", key="c"),
    )
    assert two.rests_on == ("key a",)
    assert three.rests_on == ()


def test_a_mark_is_handed_on_through_what_is_so_now_but_may_not_stay_so() -> None:
    _, two, three = predicted(
        {"b": "1", "c": "1"},
        Key(name="a", key="a", also=(("b", "0"),)),
        Key(name="b", key="b", also=(("c", "0"),)),
        Key(name="c", key="c"),
    )
    assert statuses([two, three]) == ["ok", "ok"]
    assert two.rests_on == three.rests_on == ("key a",)


def test_everything_behind_a_pending_change_of_facts_is_marked() -> None:
    _, two = predicted(
        {HOSTNAME: "a", "k": "1@b"},
        Key(name="name", key=HOSTNAME, value="b"),
        Key(name="k", key="k", by_fact=ByFact.VALUE),
    )
    assert two.rests_on == ("key name",)


def test_a_change_that_alters_facts_alters_everything_whatever_its_operation_says() -> None:
    class Modest(Key):
        """It does not know that its key is a fact."""

        def alters(self) -> Scope:
            """See `Operation.alters`."""
            return frozenset({"key:hostname"})

    bound = Bound(op=Modest(name="n", key=HOSTNAME, value="b"), handler=KeyHandler())
    decision = decide(bound, Reply(exit_status=0, stdout=b"hostname=a\n"), Facts())
    _, held_back = predict([decision], Facts())
    assert held_back == (Pending(label="key n", alters=EVERYTHING),)


def test_a_pending_change_of_facts_marks_also_what_reads_nothing() -> None:
    class Blind(Key):
        """It decides by facts alone."""

        def touches(self) -> Scope:
            """See `Operation.touches`."""
            return frozenset()

    bound = Bound(op=Blind(name="n", key="k"), handler=KeyHandler())
    decision = decide(bound, Reply(exit_status=0, stdout=b"k=1\n"), Facts())
    pending = (Pending(label="facts", alters=EVERYTHING),)
    (outcome,), held_back = predict([decision], Facts(), pending)
    assert outcome.rests_on == ("facts",)
    assert Pending(label="facts", alters=frozenset({"key:k"})) in held_back


def test_an_unmet_operation_is_predicted_from_its_assumed_state_and_marked() -> None:
    _, two = predicted({}, Key(name="a", key="a"), Key(name="b", key="b", needs="a"))
    assert two.status is Status.CHANGED
    assert two.rests_on == ("key a",)
    assert two.before == (("b", None), ("a", "any"))
    assert two.after == (("b", "1"), ("a", "any"))
    assert two.diff


def test_an_operation_that_nothing_pending_helps_fails_and_the_rest_is_not_attempted() -> None:
    outcomes = predicted(
        {},
        Key(name="a", key="a"),
        Key(name="b", key="b", needs="x"),
        Key(name="c", key="c"),
    )
    assert statuses(outcomes) == ["changed", "failed", "skipped"]
    assert isinstance(outcomes[1].error, UnmetError)


def test_an_earlier_check_on_the_host_marks_a_later_one() -> None:
    host, _ = fake({})
    host.check = True
    host.converge(Key(name="a", key="a"))
    (outcome,) = host.converge(Key(name="b", key="b", needs="a"))
    assert outcome.rests_on == ("key a",)


def test_what_is_held_back_is_told_once() -> None:
    host, _ = fake({})
    op = Key(name="a", key="a")
    _, once = check(host, (op,))
    _, twice = check(host, (op,), once)
    assert once == twice == (Pending(label="key a", alters=frozenset({"key:a"})),)


def test_a_truncated_reading_is_an_error_and_not_a_state() -> None:
    bound = Bound(op=Key(name="k", key="k"), handler=KeyHandler())
    reading = Reply(exit_status=0, stdout=b"k=1\n", truncated=True)
    decision = decide(bound, reading, Facts())
    assert str(decision.error) == "the reading of key k is larger than 8 MiB"
    assert not decision.settled


def test_notes_of_a_handler_are_in_the_outcome() -> None:
    bound = Bound(op=Key(name="k", key="k"), handler=NotedHandler())
    decision = decide(bound, Reply(exit_status=0, stdout=b"k=1\n"), Facts())
    assert decision.outcome(Status.OK).notes == ("k has no effect here",)
