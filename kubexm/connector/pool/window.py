"""How many dials may be under way: as many as the machines put up with.

sshd drops new connections when too many have not logged in yet (MaxStartups), and several hosts
may be one sshd, behind one address translation. As TCP does with a congested network, a drop
halves the window and a success widens it by one.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class DialWindow:
    """Lets a changing number of dials through at once, in the order in which they came.

    Args:
        widest: How many at most; may change at any time.
    """

    def __init__(self, widest: Callable[[], int]) -> None:
        self._widest = widest
        self._lock = threading.Lock()  # guards the rest
        self._width = float(widest())
        self._epoch = 0
        self._under_way = 0
        self._queue: deque[threading.Event] = deque()

    @property
    def width(self) -> int:
        """How many dials may be under way just now."""
        with self._lock:
            return int(self._width)

    @property
    def waiting(self) -> int:
        """How many dials wait for their place."""
        with self._lock:
            return len(self._queue)

    @contextmanager
    def dial(self) -> Iterator[int]:
        """Wait for a place and hold it; yields what `dropped` wants to know."""
        place = threading.Event()
        with self._lock:
            self._queue.append(place)
            self._admit()
        try:
            place.wait()
            yield self._epoch
        finally:
            with self._lock:
                if place.is_set():
                    self._under_way -= 1
                else:
                    self._queue.remove(place)
                self._admit()

    def succeeded(self) -> None:
        """A dial went through."""
        with self._lock:
            self._width = min(self._width + 1, self._widest())
            self._admit()

    def dropped(self, epoch: int) -> None:
        """A dial was dropped. Of those that were under way together only one counts."""
        with self._lock:
            if epoch == self._epoch:
                self._epoch += 1
                self._width = max(self._width / 2, 1)

    def _admit(self) -> None:
        self._width = min(self._width, self._widest())
        while self._queue and self._under_way < int(self._width):
            self._under_way += 1
            self._queue.popleft().set()
