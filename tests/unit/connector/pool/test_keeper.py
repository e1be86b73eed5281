"""The thread that tends a pool: there when something is due, and gone when nothing is."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from kubexm.connector.pool.clock import MonotonicClock
from kubexm.connector.pool.keeper import Keeper

if TYPE_CHECKING:
    import pytest

CLOCK = MonotonicClock()


def keepers() -> int:
    return sum(thread.name == "kubexm-pool-keeper" for thread in threading.enumerate())


def await_keepers(number: int) -> None:
    limit = time.monotonic() + 30
    while keepers() != number and time.monotonic() < limit:
        time.sleep(0.002)
    assert keepers() == number


def test_it_tends_when_it_is_due_and_ends_when_nothing_is() -> None:
    tended = threading.Event()

    def tend() -> None:
        tended.set()

    keeper = Keeper(tend, CLOCK)
    assert keepers() == 0
    keeper.wake_at(CLOCK.now() + 60)
    assert keepers() == 1
    assert not tended.is_set()
    keeper.wake_at(CLOCK.now() + 0.01)
    assert tended.wait(30)
    await_keepers(0)
    tended.clear()
    keeper.wake_at(CLOCK.now())
    assert tended.wait(30)
    keeper.stop()
    await_keepers(0)


def test_it_comes_back_when_it_said_it_would() -> None:
    times: list[float] = []

    def tend() -> float | None:
        times.append(CLOCK.now())
        return CLOCK.now() + 0.02 if len(times) < 3 else None

    keeper = Keeper(tend, CLOCK)
    keeper.wake_at(CLOCK.now())
    await_keepers(0)
    assert len(times) == 3
    assert times[2] - times[0] >= 0.04


def test_it_survives_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    called = threading.Event()

    def tend() -> None:
        called.set()
        message = "a fault"
        raise RuntimeError(message)

    keeper = Keeper(tend, CLOCK)
    with caplog.at_level(logging.ERROR):
        keeper.wake_at(CLOCK.now())
        assert called.wait(30)
        limit = time.monotonic() + 30
        while "a fault in a connector" not in caplog.text and time.monotonic() < limit:
            time.sleep(0.002)
    assert "a fault in a connector" in caplog.text
    assert keepers() == 1
    keeper.stop()
    assert keepers() == 0


def test_it_stops_while_it_sleeps_and_stays_stopped() -> None:
    keeper = Keeper(lambda: None, CLOCK)
    keeper.wake_at(CLOCK.now() + 60)
    began = time.monotonic()
    keeper.stop()
    assert time.monotonic() - began < 4
    assert keepers() == 0
    keeper.wake_at(CLOCK.now())
    assert keepers() == 0
    keeper.stop()
