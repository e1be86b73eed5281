"""Connecting, with patience for machines that hang up on bursts of new connections."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

from kubexm.connector.endpoint import Impatient
from kubexm.connector.pool.window import DialWindow
from kubexm.errors import DroppedError, PoolClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kubexm.connector.endpoint import Connector
    from kubexm.connector.pool.clock import Clock
    from kubexm.connector.pool.key import Key
    from kubexm.connector.pool.metric import Counters
    from kubexm.connector.pool.settings import PoolSettings

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0
_CLOSINGS = 20
_BETWEEN_S = 0.05


class Dialler:
    """Connects connectors, a limited number at once.

    Args:
        settings: Gives the limits of the moment.
        counters: Told of every try and every failure.
        clock: What to read and to sleep on.
    """

    def __init__(
        self, settings: Callable[[], PoolSettings], counters: Counters, clock: Clock
    ) -> None:
        self._settings = settings
        self._counters = counters
        self._clock = clock
        self._window = DialWindow(lambda: settings().max_dials)
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # guards what follows
        self._at_work: list[Connector] = []

    def stop(self) -> None:
        """Dial no more: who waits for the next try has had the last one, who tries fails."""
        with self._lock:
            self._stopped.set()
        close_until_gone(self._those_at_work)

    def _those_at_work(self) -> tuple[Connector, ...]:
        with self._lock:
            return tuple(self._at_work)

    def connect(self, connector: Connector, key: Key) -> None:
        """Connect; when the host hangs up at once, again a little later.

        The pause doubles and is drawn at random, so that those who were dropped together do not
        come back together; nobody else waits for it.

        Raises:
            DroppedError: The host did so for `connect_timeout_s`, or until `stop`.
            PoolClosedError: It was not tried any more after `stop`.
            ConnectError: As the connector has it.
        """
        pause_s = _FIRST_PAUSE_S
        limit: float | None = None
        while True:
            try:
                self._try(connector, key)
            except DroppedError:
                now = self._clock.now()
                limit = limit or now + self._settings().connect_timeout_s
                drawn_s = pause_s * random.uniform(0.1, 1)  # noqa: S311 - jitter
                if now >= limit or self._clock.wait(self._stopped, drawn_s):
                    raise
            else:
                return
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _try(self, connector: Connector, key: Key) -> None:
        with self._window.dial() as epoch:
            with self._lock:
                is_stopped = self._stopped.is_set()
                if not is_stopped:
                    self._at_work.append(connector)
            if is_stopped:
                message = f"the connection pool is shut down: {key.label} was not dialled"
                raise PoolClosedError(message)
            self._counters.dialled(key.label)
            try:
                if isinstance(connector, Impatient):
                    connector.connect_once()
                else:
                    connector.connect()
            except BaseException as error:
                self._counters.failed(key.label, type(error).__name__)
                if isinstance(error, DroppedError):
                    self._window.dropped(epoch)
                raise
            finally:
                with self._lock:
                    self._at_work.remove(connector)
            self._window.succeeded()


def close_until_gone(at_work: Callable[[], Iterable[Connector]]) -> None:
    """Close connectors that are being connected, for a second or until none is.

    One that begins just after it was closed takes no notice of that, so it is closed again.
    """
    for _ in range(_CLOSINGS):
        found = tuple(at_work())
        if not found:
            return
        for connector in found:
            connector.close()
        time.sleep(_BETWEEN_S)
