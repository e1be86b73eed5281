"""Clocks that tests turn."""

from __future__ import annotations

import threading

PATIENCE_S = 60.0


class ManualClock:
    """Time passes when the test says so. Who waits is woken by the event only.

    For the keeper it never passes: what is due, the test does itself (`Pool.tend`).
    """

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        is_keeper = threading.current_thread().name == "kubexm-pool-keeper"
        return -1.0 if is_keeper else self.time

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        del timeout_s
        return event.wait(PATIENCE_S)


class DreamClock(ManualClock):
    """The thread that made it sleeps its whole time at once; others wait for the event."""

    def __init__(self) -> None:
        super().__init__()
        self._dreamer = threading.current_thread()

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        if threading.current_thread() is not self._dreamer or timeout_s is None:
            return super().wait(event, timeout_s)
        if not event.is_set():
            self.time += timeout_s
        return event.is_set()
