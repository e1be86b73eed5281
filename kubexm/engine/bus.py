"""From many hosts' threads to the listeners, one event at a time, in order."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.engine.event import Event

_log = logging.getLogger(__name__)
_BOUND = 10_000


class Listener(Protocol):
    """Someone who wants to know. One thread calls it, with events in order."""

    def on_event(self, event: Event) -> None:
        """Take an event; an exception detaches this listener and never fails the run."""
        ...


class Bus:
    """One bounded queue before all listeners, so that a slow one slows and never loses.

    A context manager: leaving it delivers what is queued. The queue is the only shared state.
    """

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = list(listeners)
        self._queue: queue.Queue[Event | None] = queue.Queue(_BOUND)
        self._thread = threading.Thread(target=self._deliver, name="kubexm-events", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._queue.put(None)
        self._thread.join()

    def emit(self, event: Event) -> None:
        """Queue an event; waits while the queue is full."""
        self._queue.put(event)

    def _deliver(self) -> None:
        while (event := self._queue.get()) is not None:
            for listener in tuple(self._listeners):
                try:
                    listener.on_event(event)
                except Exception as error:  # noqa: BLE001 - a listener never fails a run
                    self._listeners.remove(listener)
                    name = type(listener).__name__
                    _log.warning("the listener %s failed and was detached: %r", name, error)
                    _log.debug("its traceback", exc_info=True)
