"""When to try to connect again, and how much later."""

from __future__ import annotations

import pytest

from kubexm.connector.endpoint import Endpoint
from kubexm.connector.ssh import back_off
from kubexm.errors import DialRefusedError, DialTimeoutError, DroppedError

DROPPED = DroppedError("dropped")
REFUSED = DialRefusedError("refused")


def test_what_is_out_of_reach_is_tried_as_often_as_the_endpoint_says() -> None:
    for attempts, again in [(1, True), (2, True), (3, False)]:
        for error in (REFUSED, DialTimeoutError("silent"), DROPPED):
            pause = back_off(error, attempts, 999, Endpoint(name="a", connect_attempts=3))
            assert (pause is not None) == again
    assert back_off(REFUSED, 1, 0, Endpoint(name="a", connect_attempts=1)) is None


def test_a_burst_that_is_dropped_has_the_time_for_one_connection() -> None:
    endpoint = Endpoint(name="a", connect_timeout_s=15, connect_attempts=1)
    assert back_off(DROPPED, 1, 0, endpoint) is not None
    assert back_off(DROPPED, 1, 14.9, endpoint) is None
    pause = back_off(DROPPED, 50, 10, endpoint)
    assert pause is not None
    assert pause <= 1


@pytest.mark.parametrize(("attempts", "longest"), [(1, 0.5), (2, 1), (3, 2), (10, 8)])
def test_the_pause_grows_with_jitter(attempts: int, longest: float) -> None:
    endpoint = Endpoint(name="a", connect_attempts=20)
    pauses = [back_off(REFUSED, attempts, 0, endpoint) or 0 for _ in range(100)]
    assert longest / 2 <= min(pauses) <= max(pauses) <= longest
    assert len(set(pauses)) > 50
