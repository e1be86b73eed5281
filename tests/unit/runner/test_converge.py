from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.errors import (
    CommandError,
    NotConvergedError,
    UnmetError,
    UnstableError,
    UnsupportedError,
)
from kubexm.runner import Status
from kubexm.runner.decide import PROBE_CAP_BYTES
from tests.unit.runner.keyed import Conduct, Key, PickyKey, fake
from tests.unit.runner.store import HOSTNAME, Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubexm.runner import Outcome


def statuses(outcomes: Sequence[Outcome]) -> list[str]:
    return [str(outcome.status) for outcome in outcomes]


def forty() -> list[Key]:
    return [Key(name=f"n{number}", key=f"k{number}") for number in range(40)]


def test_nothing_to_converge_costs_nothing() -> None:
    host, _ = fake({})
    assert host.converge() == ()
    assert host.session.trips == 0


def test_forty_converged_operations_cost_one_round_trip() -> None:
    host, machine = fake({f"k{number}": "1" for number in range(40)})
    assert statuses(host.converge(*forty())) == ["ok"] * 40
    assert host.session.trips == 1
    assert len(machine.ran) == 40


def test_forty_changing_operations_cost_two_round_trips() -> None:
    host, machine = fake({})
    assert statuses(host.converge(*forty())) == ["changed"] * 40
    assert host.session.trips == 2
    assert machine.state.log == [f"n{number}" for number in range(40)]


def test_what_was_so_before_the_first_change_is_not_read_again() -> None:
    host, machine = fake({f"k{number}": "1" for number in range(39)})
    assert statuses(host.converge(*forty())) == ["ok"] * 39 + ["changed"]
    assert len(machine.ran) == 40 + 3


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_each_level_of_staleness_costs_one_round_trip_more(depth: int) -> None:
    host, machine = fake({"k0": "0"})
    chain = [
        Key(name=f"n{n}", key=f"k{n}", watches=(f"k{n - 1}",), derives=True)
        for n in range(1, depth + 1)
    ]
    outcomes = host.converge(Key(name="n0", key="k0"), *chain)
    assert statuses(outcomes) == ["changed"] * (depth + 1)
    assert host.session.trips == 2 + depth
    assert machine.state.keys[f"k{depth}"] == ".".join(["1"] * (depth + 1))


def test_an_operation_that_an_earlier_change_settled_is_so_already() -> None:
    host, _ = fake({})
    both = Key(name="both", key="a", also=(("b", "1"),))
    first, second = host.converge(both, Key(name="b", key="b"))
    assert (first.status, second.status) == (Status.CHANGED, Status.OK)
    assert (second.before, second.diff) == ((("b", "1"),), "")
    assert host.session.trips == 2


def test_an_operation_that_an_earlier_change_broke_is_mended() -> None:
    host, machine = fake({"b": "1"})
    breaker = Key(name="breaker", key="a", also=(("b", "0"),))
    outcomes = host.converge(breaker, Key(name="b", key="b"))
    assert statuses(outcomes) == ["changed", "changed"]
    assert outcomes[1].before == (("b", "0"),)
    assert machine.state.keys["b"] == "1"
    assert host.session.trips == 3


def test_two_that_fight_change_the_host_in_every_run_and_the_later_one_wins() -> None:
    host, machine = fake({})
    fighters = (Key(name="one", key="a", value="1"), Key(name="two", key="a", value="2"))
    for _ in range(2):
        trips = host.session.trips
        assert statuses(host.converge(*fighters)) == ["changed", "changed"]
        assert machine.state.keys["a"] == "2"
        assert host.session.trips == trips + 3


def test_an_outcome_shows_both_states_the_diff_and_what_the_change_said() -> None:
    host, _ = fake({"a": "0"})
    (outcome,) = host.converge(Key(name="n", key="a", says="hello"))
    assert outcome.before == (("a", "0"),)
    assert outcome.after == (("a", "1"),)
    assert outcome.diff == "--- a\n+++ a\n@@ -1 +1 @@\n-0\n+1\n"
    assert (outcome.stdout, outcome.stderr, outcome.exit_status) == ("hello\n", "hello\n", 0)
    assert outcome.duration_s > 0
    assert outcome.must() is outcome


def test_a_payload_reaches_its_change_and_no_other() -> None:
    host, machine = fake({"b": "1"})
    ops = [Key(name=key, key=key, value=f"{key}{key}", takes_payload=True) for key in "abc"]
    breaker = Key(name="breaker", key="d", also=(("b", "bb"),))
    assert statuses(host.converge(breaker, *ops)) == ["changed", "changed", "ok", "changed"]
    assert {key: machine.state.keys[key] for key in "abc"} == {"a": "aa", "b": "bb", "c": "cc"}


def test_a_change_that_fails_ends_the_batch() -> None:
    host, machine = fake({"c": "1"})
    outcomes = host.converge(
        Key(name="a", key="a"),
        Key(name="b", key="b", says="no room", conduct=Conduct.FAILS),
        Key(name="c", key="c"),
        Key(name="d", key="d"),
    )
    assert statuses(outcomes) == ["changed", "failed", "skipped", "skipped"]
    assert machine.state.log == ["a", "b"]
    failed = outcomes[1]
    assert isinstance(failed.error, CommandError)
    assert str(failed.error) == "key b: the change failed with exit status 3: no room"
    assert (failed.exit_status, failed.stderr) == (3, "no room\n")
    assert failed.after is None
    assert "+1" in failed.diff
    with pytest.raises(CommandError, match="exit status 3"):
        failed.must()


def test_a_change_without_effect_is_an_error_with_both_states_and_later_ones_are_applied() -> None:
    host, machine = fake({"a": "0"})
    outcomes = host.converge(
        Key(name="a", key="a", conduct=Conduct.LIES), Key(name="b", key="b"), Key(name="c", key="c")
    )
    assert statuses(outcomes) == ["failed", "changed", "changed"]
    assert machine.state.keys["b"] == "1"
    failed = outcomes[0]
    assert isinstance(failed.error, NotConvergedError)
    assert "-0\n+1" in str(failed.error)
    assert failed.before == failed.after == (("a", "0"),)


def test_after_a_change_without_effect_nothing_is_decided_any_more() -> None:
    host, machine = fake({})
    liar = Key(name="liar", key="a", also=(), conduct=Conduct.LIES)
    breaker = Key(name="breaker", key="b", also=(("c", "0"),))
    outcomes = host.converge(liar, breaker, Key(name="c", key="c"), Key(name="d", key="d"))
    assert statuses(outcomes) == ["failed", "changed", "skipped", "skipped"]
    assert host.session.trips == 2
    assert "d" not in machine.state.keys


def test_a_prerequisite_that_an_earlier_change_brings_is_met() -> None:
    host, _ = fake({})
    outcomes = host.converge(Key(name="a", key="a"), Key(name="b", key="b", needs="a"))
    assert statuses(outcomes) == ["changed", "changed"]
    assert host.session.trips == 3


def test_a_prerequisite_that_nothing_brings_fails_and_later_ones_are_not_attempted() -> None:
    host, machine = fake({})
    outcomes = host.converge(
        Key(name="a", key="a"), Key(name="b", key="b", needs="x"), Key(name="c", key="c")
    )
    assert statuses(outcomes) == ["changed", "failed", "skipped"]
    assert isinstance(outcomes[1].error, UnmetError)
    assert outcomes[1].error.operation == "key b"
    assert machine.state.log == ["a"]
    assert host.session.trips == 2


def test_an_error_in_the_first_operation_costs_one_trip_and_changes_nothing() -> None:
    host, machine = fake({})
    outcomes = host.converge(Key(name="b", key="b", needs="x"), Key(name="c", key="c"))
    assert statuses(outcomes) == ["failed", "skipped"]
    assert host.session.trips == 1
    assert machine.state.log == []


def test_a_reading_that_never_stays_is_decided_twice_again_and_then_told() -> None:
    host, machine = fake({"a": "0"}, flaps=lambda text: text == "keys_get - a")
    outcomes = host.converge(Key(name="a", key="a"), Key(name="b", key="b"))
    assert statuses(outcomes) == ["failed", "skipped"]
    assert isinstance(outcomes[0].error, UnstableError)
    assert str(outcomes[0].error) == (
        "the reading of key a changes by itself:\na=0\n5\nthen\na=0\n7"
    )
    assert outcomes[0].diff == ""
    assert host.session.trips == 1 + 3
    assert machine.state.log == []


def test_patience_is_counted_for_each_operation_by_itself() -> None:
    def meddle(trip: int, store: Store) -> None:
        touched = {2: "a", 3: "a", 4: "b", 5: "b"}.get(trip)
        if touched is not None:
            store.keys[touched] = f"meddled{trip}"

    host, _ = fake({}, before_trip=meddle)
    host.converge(Key(name="a", key="a"), Key(name="b", key="b"))
    assert statuses(host.history) == ["changed", "changed"]
    assert host.session.trips == 6


def test_what_others_do_between_the_trips_is_not_overwritten_unseen() -> None:
    def meddle(trip: int, store: Store) -> None:
        if trip == 2:
            store.keys["a"] = "theirs"

    host, machine = fake({"a": "0"}, before_trip=meddle)
    (outcome,) = host.converge(Key(name="a", key="a"))
    assert outcome.before == (("a", "theirs"),)
    assert machine.state.keys["a"] == "1"
    assert host.session.trips == 3


def test_an_operation_without_a_handler_is_told_before_anything_is_done() -> None:
    host, machine = fake({HOSTNAME: "z"})
    with pytest.raises(UnsupportedError, match="PickyKey is not supported on this keys host"):
        host.converge(Key(name="a", key="a"), PickyKey(name="p", key="p"))
    assert machine.ran == []


def test_readings_and_payloads_of_a_megabyte_are_compared_and_shown_whole() -> None:
    old, new = "x" * (1 << 20), "y" * (1 << 20)
    host, _ = fake({"a": old})
    (outcome,) = host.converge(Key(name="a", key="a", value=new, takes_payload=True))
    assert (outcome.before, outcome.after) == ((("a", old),), (("a", new),))
    assert host.session.trips == 2


@pytest.mark.parametrize("earlier", [(), (Key(name="first", key="f"),)])
def test_a_reading_beyond_the_cap_is_an_error_that_says_so(earlier: tuple[Key, ...]) -> None:
    host, machine = fake({"a": "x" * PROBE_CAP_BYTES})
    outcomes = host.converge(*earlier, Key(name="a", key="a"), Key(name="b", key="b"))
    assert statuses(outcomes) == ["changed"] * len(earlier) + ["failed", "skipped"]
    assert str(outcomes[-2].error) == "the reading of key a is larger than 8 MiB"
    assert "b" not in machine.state.keys


def test_a_fault_of_a_handler_fails_its_operation_and_leaves_the_others_outcomes() -> None:
    host, _ = fake({})
    first, faulty = host.converge(Key(name="b", key="b"), Key(name="a", key="a", derives=True))
    assert first.status is Status.CHANGED
    assert faulty.status is Status.FAILED
    assert "a fault in the handler" in str(faulty.error)
    assert "IndexError" in str(faulty.error)


def test_what_no_change_before_it_alters_is_not_read_again() -> None:
    host, machine = fake({"b": "1", "d": "1"})
    ops = [Key(name=key, key=key, lasting=True) for key in "abcd"]
    assert statuses(host.converge(*ops)) == ["changed", "ok", "changed", "ok"]
    assert len(machine.ran) == 4 + 3 + 3


def test_what_does_not_last_is_read_again_behind_any_change() -> None:
    """Its scope may leave something out, as what a path leads to."""
    host, machine = fake({"b": "1"})
    assert statuses(host.converge(Key(name="a", key="a"), Key(name="b", key="b"))) == [
        "changed",
        "ok",
    ]
    assert len(machine.ran) == 2 + 3 + 1


def test_what_a_change_before_it_may_alter_is_read_again() -> None:
    host, machine = fake({"b": "1", "c": "1"})
    ops = [
        Key(name="a", key="a", also=(("c", "2"),)),
        Key(name="b", key="b", lasting=True),
        Key(name="c", key="c"),
    ]
    assert statuses(host.converge(*ops)) == ["changed", "ok", "changed"]
    assert machine.state.keys["c"] == "1"


def test_what_is_not_read_again_has_its_place_behind_a_stale_reading() -> None:
    """And is decided with the rest, on the reading that there is."""

    def meddle(trip: int, store: Store) -> None:
        if trip == 2:
            store.keys["c"] = "other"

    host, machine = fake({"b": "1", "d": "1"}, before_trip=meddle)
    ops = [Key(name=key, key=key, lasting=True) for key in "abcde"]
    assert statuses(host.converge(*ops)) == ["changed", "ok", "changed", "ok", "changed"]
    assert machine.state.keys["c"] == "1"
    assert machine.state.log == ["a", "c", "e"]
    assert host.session.trips == 3


def test_what_is_not_read_again_is_skipped_behind_a_failure() -> None:
    host, machine = fake({"b": "1", "d": "1"})
    ops = [
        Key(name="a", key="a"),
        Key(name="b", key="b", lasting=True),
        Key(name="c", key="c", conduct=Conduct.FAILS),
        Key(name="d", key="d", lasting=True),
    ]
    assert statuses(host.converge(*ops)) == ["changed", "ok", "failed", "skipped"]
    assert machine.state.log == ["a", "c"]
