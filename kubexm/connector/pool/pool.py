"""Connections that outlive their use: leased one at a time, limited, looked after.

Decided under the lock, by the `Ledger`; done outside it: dialling, checking, closing, waiting.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from kubexm.connector.endpoint import Reusable, Routed
from kubexm.connector.pool.bastion import Bastions
from kubexm.connector.pool.clock import MonotonicClock
from kubexm.connector.pool.connection import ManagedConnection
from kubexm.connector.pool.dialler import Dialler
from kubexm.connector.pool.keeper import Keeper
from kubexm.connector.pool.key import Key
from kubexm.connector.pool.ledger import Ledger, Ticket
from kubexm.connector.pool.metric import Counters
from kubexm.connector.pool.settings import PoolSettings
from kubexm.connector.pool.source import PoolSource
from kubexm.connector.pool.state import Count, PoolState
from kubexm.errors import (
    KubexmError,
    PoolClosedError,
    PoolExhaustedError,
    UnreachableError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.connector.endpoint import ConnectorFactory, Endpoint
    from kubexm.connector.pool.bastion import Bastion
    from kubexm.connector.pool.clock import Clock

_log = logging.getLogger(__name__)
_GLANCE_S = 1.0
"""How often the settings' file is looked at, by those who use the pool or wait for it."""


class Pool:
    """A pool of connections of one kind. `_lock` guards the ledger and the settings.

    Connections whose connector is `Reusable` are kept between leases. Where the connector is
    `Routed`, connections that go through the same machines share the way there.

    Args:
        factory: Makes connectors; a connector plugin, or what a test has instead.
        settings: The limits, or where they are written: that is read now, and again whenever
            the file has changed.
        floor: `max_total` is never less: who works on so many hosts at once needs so many.
        key_floor: `max_per_key` is never less: so many go through one host at once.
        clock: What to read and to sleep on.

    Raises:
        UsageError: The source has a fault.
    """

    def __init__(
        self,
        factory: ConnectorFactory,
        settings: PoolSettings | PoolSource | None = None,
        *,
        floor: int = 1,
        key_floor: int = 1,
        clock: Clock | None = None,
    ) -> None:
        self.counters = Counters()
        self._factory = factory
        self._source = settings if isinstance(settings, PoolSource) else None
        self._floor = floor
        self._key_floor = key_floor
        self._clock = clock or MonotonicClock()
        self._lock = threading.Lock()
        self._stamp = self._source.stamp() if self._source is not None else None
        if isinstance(settings, PoolSource):
            settings = settings.read()
        self._ledger = Ledger(self._floored(settings or PoolSettings()))
        self._glanced = self._clock.now()
        self._dialler = Dialler(lambda: self.settings, self.counters, self._clock)
        self._bastions = Bastions(factory, self._dialler.connect)
        self._keeper = Keeper(self.tend, self._clock)

    def __repr__(self) -> str:
        there = self.state.all
        return f"<Pool: {there.active} active, {there.idle} idle of {self.settings.max_total}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def settings(self) -> PoolSettings:
        """The limits as they are now."""
        return self._ledger.settings

    @property
    def state(self) -> PoolState:
        """What there is at this moment."""
        with self._lock:
            counts, waiting = self._ledger.counts(), self._ledger.waiting
        return PoolState.of(counts, waiting, self._bastions.labels())

    @contextmanager
    def lease(self, endpoint: Endpoint) -> Iterator[ManagedConnection]:
        """A connection for the caller alone, until the end of the `with` block.

        It is kept for the next lease when it is still connected then, unless the block was left
        because the host could not be reached.

        Raises:
            PoolExhaustedError: None became free in time.
            PoolClosedError: The pool was shut down.
            ConnectError: The host, or a bastion, could not be reached or would not let us in.
        """
        connection = self._acquire(endpoint)
        is_fit = False
        try:
            yield connection
            is_fit = True
        except BaseException as error:
            is_fit = not isinstance(error, UnreachableError)
            raise
        finally:
            self._give_back(connection, is_fit=is_fit)

    def reconfigure(self, settings: PoolSettings) -> None:
        """Go by other limits from now on; idle connections above them are closed at once."""
        with self._lock:
            self._ledger.reconfigure(self._floored(settings))
        self._settle()

    def prometheus(self) -> str:
        """Everything that is counted, as Prometheus text (version 0.0.4)."""
        from kubexm.connector.pool.prometheus import text  # few ask

        return text((self,))

    def tend(self) -> float | None:
        """Do what is due: end what is too old, check what was idle, make what is missing.

        Returns:
            When to be called again, on the pool's clock; None when there is nothing to tend.
        """
        self._glance()
        while True:
            self._settle(wake=False)
            now = self._clock.now()
            with self._lock:
                doubted = self._ledger.check(now)
                missing = None if doubted is not None else self._ledger.refill(now)
                due = self._ledger.due()
            if doubted is not None:
                self._check(doubted)
            elif missing is not None:
                self._refill(missing)
            elif due is None or due > now:
                return due

    def close(self) -> None:
        """Shut down: refuse new leases and those that wait, dial no more, close what is idle.

        Connections that are leased are closed when they come back. Harmless when repeated.
        """
        with self._lock:
            self._ledger.shut()
        self._dialler.stop()
        self._settle()
        self._keeper.stop()

    def _floored(self, settings: PoolSettings) -> PoolSettings:
        return replace(
            settings,
            max_total=max(settings.max_total, self._floor),
            max_per_key=max(settings.max_per_key, self._key_floor),
        )

    def _acquire(self, endpoint: Endpoint) -> ManagedConnection:
        self._glance()
        key = Key.of(endpoint)
        began = self._clock.now()
        with self._lock:
            ticket = self._ledger.ask(key, endpoint)
        try:
            self._settle()
            self._await(ticket, began)
            connection = ticket.connection
            if connection is not None and not self._is_fit(connection):
                with self._lock:
                    self._ledger.redial(connection)
                ticket.connection, ticket.may_dial = None, True
                self._take_down(connection)
                connection = None
            if connection is None:
                connection = self._dial(key, endpoint)
                with self._lock:
                    self._ledger.dialled(connection)
        except BaseException:
            with self._lock:
                self._ledger.withdraw(ticket)
            self._settle()
            raise
        return connection

    def _await(self, ticket: Ticket, began: float) -> None:
        """Wait for the ticket's turn."""
        label = ticket.key.label
        limit = began + self.settings.wait_timeout_s
        watches = self._source is not None and self._source.path is not None
        while not ticket.called.is_set() and (left := limit - self._clock.now()) > 0:
            self._clock.wait(ticket.called, min(left, _GLANCE_S) if watches else left)
            self._glance()
        self.counters.waited(label, self._clock.now() - began)
        if ticket.is_refused:
            message = f"the connection pool is shut down: no connection to {label}"
            raise PoolClosedError(message)
        if not ticket.called.is_set():
            self.counters.failed(label, PoolExhaustedError.__name__)
            raise self._exhausted(ticket)

    def _exhausted(self, ticket: Ticket) -> PoolExhaustedError:
        settings, state, label = self.settings, self.state, ticket.key.label
        with self._lock:
            own = self._ledger.counts().get(ticket.key, Count())
        return PoolExhaustedError(
            f"no connection to {label} became free within {settings.wait_timeout_s:g} s; in use: "
            f"{own.total} of {settings.max_per_key} to it, "
            f"{state.all.total} of {settings.max_total} in total",
            hint="raise max_per_key or max_total of the pool (docs/pool.md), or lower --forks",
        )

    def _is_fit(self, connection: ManagedConnection) -> bool:
        """Whether a connection that was idle can be handed out; asks it after a while."""
        if not connection.connector.is_connected():
            return False
        doubted = connection.checked + self.settings.health_check_s <= self._clock.now()
        return not doubted or self._answers(connection)

    def _answers(self, connection: ManagedConnection) -> bool:
        connector = connection.connector
        if isinstance(connector, Reusable) and connector.answers(self.settings.connect_timeout_s):
            return True
        self.counters.failed(connection.key.label, "unhealthy")
        return False

    def _dial(self, key: Key, endpoint: Endpoint) -> ManagedConnection:
        """A new connection. A bastion that proves dead is replaced once."""
        connector = self._factory(endpoint)
        route = tuple(connector.route()) if isinstance(connector, Routed) else ()
        is_last = not route
        while True:
            bastion: Bastion | None = None
            try:
                if route:
                    bastion = self._bastions.acquire(route)
                    connector = bastion.beyond(endpoint)
                self._dialler.connect(connector, key)
            except BaseException as error:
                dead = bastion is not None and not bastion.is_alive
                connector.close()
                self._bastions.release(bastion)
                if is_last or not dead or not isinstance(error, UnreachableError):
                    raise
                is_last = True
            else:
                break
        now = self._clock.now()
        return ManagedConnection(
            connector=connector,
            endpoint=endpoint,
            key=key,
            bastion=bastion,
            created=now,
            used=now,
            checked=now,
        )

    def _give_back(self, connection: ManagedConnection, *, is_fit: bool) -> None:
        connector = connection.connector
        is_fit = is_fit and isinstance(connector, Reusable) and connector.is_connected()
        with self._lock:
            self._ledger.give_back(connection, self._clock.now(), is_fit=is_fit)
        self._settle()
        self._glance()

    def _check(self, connection: ManagedConnection) -> None:
        is_fit = False
        try:
            is_fit = connection.connector.is_connected() and self._answers(connection)
        finally:
            with self._lock:
                self._ledger.checked(connection, self._clock.now(), is_fit=is_fit)

    def _refill(self, endpoint: Endpoint) -> None:
        key = Key.of(endpoint)
        connection: ManagedConnection | None = None
        try:
            connection = self._dial(key, endpoint)
        except KubexmError as error:
            _log.info("no connection to %s is kept ready: %s", key.label, error)
        finally:
            again_at = self._clock.now() + self.settings.health_check_s
            with self._lock:
                self._ledger.refilled(key, connection, again_at)

    def _settle(self, *, wake: bool = True) -> None:
        """Let the ledger draw its consequences until there are none left."""
        doomed: tuple[ManagedConnection, ...] = ()
        while True:
            with self._lock:
                for connection in doomed:
                    self._ledger.closed(connection)
                doomed = self._ledger.settle(self._clock.now())
                due = self._ledger.due()
            if not doomed:
                break
            for connection in doomed:
                self._take_down(connection)
        if wake:
            self._keeper.wake_at(due)

    def _take_down(self, connection: ManagedConnection) -> None:
        try:
            connection.connector.close()
        except Exception:  # noqa: BLE001 - it must not keep the others open
            _log.exception("a fault in a connector, while %s was closed", connection.key.label)
        self._bastions.release(connection.bastion)

    def _glance(self) -> None:
        """Read the settings again when their file has changed."""
        source = self._source
        if source is None or source.path is None:
            return
        with self._lock:
            now = self._clock.now()
            if now - self._glanced < _GLANCE_S:
                return
            self._glanced = now
        stamp = source.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self.reconfigure(source.read())
            except UsageError as error:
                _log.warning("the pool keeps the settings that it has: %s", error)
