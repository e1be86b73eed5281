"""Changes that alter facts: what follows is decided, probed and handled on the new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.errors import UnsupportedError
from tests.unit.runner.keyed import ByFact, Conduct, Key, PickyKey, fake
from tests.unit.runner.store import HOSTNAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubexm.runner import Outcome


def statuses(outcomes: Sequence[Outcome]) -> list[str]:
    return [str(outcome.status) for outcome in outcomes]


def test_later_operations_are_decided_on_the_facts_that_a_change_altered() -> None:
    host, machine = fake({HOSTNAME: "a"})
    outcomes = host.converge(
        Key(name="name", key=HOSTNAME, value="b"), Key(name="k", key="k", by_fact=ByFact.VALUE)
    )
    assert statuses(outcomes) == ["changed", "changed"]
    assert machine.state.keys["k"] == "1@b"
    assert host.facts.hostname == "b"
    assert host.session.trips == 3


def test_what_is_so_on_new_facts_was_read_after_the_change() -> None:
    host, machine = fake({HOSTNAME: "a", "k": "1"})
    breaker = Key(name="breaker", key=HOSTNAME, value="b", also=(("k", "0"),))
    assert statuses(host.converge(breaker, Key(name="k", key="k"))) == ["changed", "changed"]
    assert machine.state.keys["k"] == "1"


def test_nothing_left_to_change_on_new_facts_costs_no_further_trip() -> None:
    host, _ = fake({HOSTNAME: "a", "k": "1"})
    ops = (Key(name="name", key=HOSTNAME, value="b"), Key(name="k", key="k"))
    assert statuses(host.converge(*ops)) == ["changed", "ok"]
    assert host.session.trips == 2


def test_readings_behind_a_change_of_facts_are_fresh_when_that_change_is_not_needed() -> None:
    host, machine = fake({HOSTNAME: "a", "k": "1"})
    outcomes = host.converge(
        Key(name="all", key="x", also=((HOSTNAME, "b"), ("k", "0"))),
        Key(name="name", key=HOSTNAME, value="b"),
        Key(name="k", key="k"),
    )
    assert statuses(outcomes) == ["changed", "ok", "changed"]
    assert machine.state.keys["k"] == "1"


def test_new_facts_may_call_for_another_probe_and_another_handler() -> None:
    host, machine = fake({HOSTNAME: "a", "b": "2"})
    outcomes = host.converge(
        Key(name="name", key=HOSTNAME, value="b"),
        Key(name="k", key="k", by_fact=ByFact.PROBE),
        PickyKey(name="p", key="p"),
    )
    assert statuses(outcomes) == ["changed", "changed", "changed"]
    assert outcomes[1].before == (("k", None), ("b", "2"))
    assert machine.state.keys["p"] == "1!b"
    assert host.session.trips == 4


def test_an_operation_without_a_handler_on_new_facts_fails_in_its_turn() -> None:
    host, machine = fake({HOSTNAME: "a"})
    ops = (
        Key(name="name", key=HOSTNAME, value="z"),
        Key(name="k", key="k"),
        PickyKey(name="p", key="p"),
        Key(name="l", key="l"),
    )
    outcomes = host.converge(*ops)
    assert statuses(outcomes) == ["changed", "changed", "failed", "skipped"]
    assert isinstance(outcomes[2].error, UnsupportedError)
    assert machine.state.log == ["name", "k"]


def test_facts_are_read_again_after_a_change_that_failed_half_way() -> None:
    host, _ = fake({HOSTNAME: "a"})
    op = Key(name="half", key="k", also=((HOSTNAME, "b"),), conduct=Conduct.FAILS)
    assert statuses(host.converge(op)) == ["failed"]
    assert host.facts.hostname == "b"
