"""The strict policy: everybody can be opened, or nothing is begun on anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.engine import Bus, Event, ExitCode, HostStatus, RunStarted, each
from kubexm.errors import InitializationError, UnreachableError
from kubexm.plan import Plan, Step
from kubexm.runtime import Settings, Unreachable
from tests.unit.engine.marks import Mark, Village

if TYPE_CHECKING:
    from kubexm.runner import Host

STRICT = Settings(unreachable=Unreachable.FAIL)
PLAN = Plan(name="p", steps=(Step(name="s", body=(Mark(name="m"),)),))


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)


def test_by_default_a_run_goes_on_without_hosts_that_cannot_be_opened() -> None:
    village = Village("abc", unreachable="b")
    report = village.walk(PLAN)
    assert sorted(village.log.hosts("m")) == ["a", "c"]
    assert [host.status for host in report.hosts] == [
        HostStatus.CHANGED,
        HostStatus.UNREACHABLE,
        HostStatus.CHANGED,
    ]
    assert report.exit_code() is ExitCode.UNREACHABLE


def test_strictly_nothing_is_begun_and_every_error_is_told_in_inventory_order() -> None:
    village = Village("abcde", unreachable="db")
    with pytest.raises(InitializationError) as caught:
        village.walk(PLAN, STRICT)
    assert village.log.did == []
    assert list(caught.value.errors) == ["b", "d"]
    assert all(isinstance(error, UnreachableError) for error in caught.value.errors.values())
    assert str(caught.value).splitlines()[1:] == [
        "  b: no route to the fake host",
        "  d: no route to the fake host",
    ]


def test_strictly_every_host_is_tried_whatever_max_fail_says() -> None:
    village = Village("abcde", unreachable="abcd")
    settings = Settings(unreachable=Unreachable.FAIL, max_fail=0, forks=1)
    with pytest.raises(InitializationError) as caught:
        village.walk(PLAN, settings)
    assert list(caught.value.errors) == ["a", "b", "c", "d"]


def test_strictly_a_host_whose_turn_to_be_opened_did_not_come_counts_as_not_opened() -> None:
    village = Village("ab")
    settings = Settings(unreachable=Unreachable.FAIL, deadline_s=1e-9, forks=1)
    with pytest.raises(InitializationError, match="time was up"):
        village.walk(PLAN, settings)
    assert village.log.did == []


def test_strictly_the_run_begins_when_everybody_was_opened() -> None:
    village = Village("ab")
    heard = Heard()
    report = village.walk(PLAN, STRICT, listeners=[heard])
    assert report.exit_code() is ExitCode.DONE
    assert village.log.hosts("m") in (["a", "b"], ["b", "a"])
    started = [event.plan for event in heard.events if isinstance(event, RunStarted)]
    assert started == ["opening", "p"]


def test_strictly_a_function_is_called_for_nobody_unless_everybody_was_opened() -> None:
    called: list[str] = []

    def work(host: Host) -> None:
        called.append(host.name)

    village = Village("ab", unreachable="b")
    with Bus([]) as bus, pytest.raises(InitializationError):
        each("work", work, village.runtime(STRICT), bus)
    assert called == []
