"""The thread that tends a pool nobody uses just now; it sleeps until something is due."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubexm.connector.pool.clock import Clock

_log = logging.getLogger(__name__)
_JOIN_S = 5.0
_AGAIN_S = 60.0


class Keeper:
    """Calls `tend` when it is due. There is no thread until then, nor once nothing is due.

    `_lock` guards all of its state.

    Args:
        tend: Does what is due and says when there will be something again.
        clock: What to sleep on.
    """

    def __init__(self, tend: Callable[[], float | None], clock: Clock) -> None:
        self._tend = tend
        self._clock = clock
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._due: float | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def wake_at(self, due: float | None) -> None:
        """The next time something is due has become another one."""
        with self._lock:
            earlier = due is not None and (self._due is None or due < self._due)
            self._due = due
            if not earlier or self._is_stopped:
                return  # who sleeps too short looks again
            self._woken.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="kubexm-pool-keeper", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """End the thread; what it is at, it finishes."""
        with self._lock:
            self._is_stopped = True
            self._woken.set()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def _run(self) -> None:
        while (due := self._next()) is not None:
            left = due - self._clock.now()
            if left > 0:
                self._clock.wait(self._woken, left)
                continue
            with self._lock:
                self._due = None
            again = self._tended()
            with self._lock:
                known = [time for time in (self._due, again) if time is not None]
                self._due = min(known, default=None)

    def _next(self) -> float | None:
        """When to tend; None is the end of the thread."""
        with self._lock:
            self._woken.clear()
            if self._is_stopped or self._due is None:
                self._thread = None
                return None
            return self._due

    def _tended(self) -> float | None:
        try:
            return self._tend()
        except Exception:  # noqa: BLE001 - without the keeper the pool would leak what it keeps
            _log.exception("a fault in a connector, while the pool looked after its connections")
            return self._clock.now() + _AGAIN_S
