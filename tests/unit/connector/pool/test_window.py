"""How many dials are let through at once."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

from kubexm.connector.pool.window import DialWindow


def test_a_drop_halves_it_once_for_all_that_were_under_way() -> None:
    window = DialWindow(lambda: 32)
    with ExitStack() as stack:
        epochs = [stack.enter_context(window.dial()) for _ in range(8)]
        for epoch in epochs:
            window.dropped(epoch)
    assert window.width == 16
    for _ in range(10):
        with window.dial() as epoch:
            window.dropped(epoch)
    assert window.width == 1


def test_a_success_widens_it_up_to_the_limit_of_the_moment() -> None:
    widest = [8]
    window = DialWindow(lambda: widest[0])
    with window.dial() as epoch:
        window.dropped(epoch)
    assert window.width == 4
    for _ in range(10):
        window.succeeded()
    assert window.width == 8
    widest[0] = 2
    with window.dial():
        assert window.width == 2


def test_those_who_wait_are_let_through_in_order() -> None:
    window = DialWindow(lambda: 1)
    order: list[int] = []
    threads = []

    def dial(number: int) -> None:
        with window.dial():
            order.append(number)

    with window.dial():
        for number in range(5):
            threads.append(threading.Thread(target=dial, args=(number,)))
            threads[-1].start()
            limit = time.monotonic() + 30
            while window.waiting <= number and time.monotonic() < limit:
                time.sleep(0.001)
    for thread in threads:
        thread.join(30)
    assert order == list(range(5))
