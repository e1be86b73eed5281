"""The pool's time: what it reads and what it sleeps on, so that tests can bring their own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


class Clock(Protocol):
    """Seconds that never go back, and a way to wait in them."""

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        """Sleep until the event is set or the time is over; whether it is set."""
        ...


class MonotonicClock:
    """The machine's own clock."""

    def now(self) -> float:
        """See `Clock.now`."""
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        """See `Clock.wait`."""
        return event.wait(timeout_s)
