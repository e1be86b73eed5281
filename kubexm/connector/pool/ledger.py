"""Which connections there are, who waits for one, and what follows: decisions without deeds.

Nothing here dials, closes, waits or locks: the pool holds its lock around every call and does
afterwards what the calls said. A connection counts until it is closed, and a dial from the
moment that it is allowed, so that the limits hold for what really is open.
"""

from __future__ import annotations

import bisect
import math
import operator
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubexm.connector.pool.state import Count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.connector.endpoint import Endpoint
    from kubexm.connector.pool.connection import ManagedConnection
    from kubexm.connector.pool.key import Key
    from kubexm.connector.pool.settings import PoolSettings

_LAST_USED = operator.attrgetter("used")


@dataclass(slots=True, kw_only=True, eq=False)
class Ticket:
    """A place in the queue. Once `called` is set, one of the last three says what came of it."""

    key: Key
    endpoint: Endpoint
    called: threading.Event = field(default_factory=threading.Event)
    connection: ManagedConnection | None = None
    may_dial: bool = False
    is_refused: bool = False


@dataclass(slots=True, kw_only=True)
class _Shelf:
    """The connections of one key; `idle` in the order in which they were last used.

    `refilling` are those of `dialling` that nobody asked for.
    """

    key: Key
    endpoint: Endpoint
    idle: list[ManagedConnection] = field(default_factory=list)
    leased: set[ManagedConnection] = field(default_factory=set)
    checking: set[ManagedConnection] = field(default_factory=set)
    closing: set[ManagedConnection] = field(default_factory=set)
    dialling: int = 0
    refilling: int = 0
    refill_at: float = 0

    @property
    def size(self) -> int:
        return (
            len(self.idle)
            + len(self.leased)
            + len(self.checking)
            + len(self.closing)
            + self.dialling
        )


class Ledger:
    """The books of a pool.

    Most calls concern one key, so `settle` looks only at the shelves that were touched since it
    was called last, and at all of them once `_due` has come: the earliest time at which something
    may be due on any of them.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._is_shut = False
        self._shelves: dict[Key, _Shelf] = {}
        self._queue: list[Ticket] = []
        self._doomed: list[ManagedConnection] = []
        self._touched: dict[Key, None] = {}
        self._due = math.inf
        self._total = 0
        self._closing = 0

    @property
    def settings(self) -> PoolSettings:
        """The limits."""
        return self._settings

    def reconfigure(self, settings: PoolSettings) -> None:
        """Go by other limits from now on; `settle` draws the consequences."""
        self._settings = settings
        self._due = -math.inf

    def shut(self) -> None:
        """Grant nothing any more and keep nothing; `settle` draws the consequences."""
        self._is_shut = True
        self._due = -math.inf

    @property
    def waiting(self) -> tuple[Key, ...]:
        """The keys that somebody waits for, in the order of the queue."""
        return tuple(ticket.key for ticket in self._queue)

    def counts(self) -> dict[Key, Count]:
        """The connections of each key that has any."""
        return {
            shelf.key: Count(
                active=len(shelf.leased),
                idle=len(shelf.idle) + len(shelf.checking),
                dialling=shelf.dialling,
                closing=len(shelf.closing),
            )
            for shelf in self._shelves.values()
        }

    def ask(self, key: Key, endpoint: Endpoint) -> Ticket:
        """Join the queue."""
        ticket = Ticket(key=key, endpoint=endpoint)
        self._queue.append(ticket)
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """Leave the queue, or give back what was just granted."""
        if ticket in self._queue:
            self._queue.remove(ticket)
        elif ticket.connection is not None:
            shelf = self._touch(ticket.key)
            shelf.leased.discard(ticket.connection)
            self._keep(shelf, ticket.connection)
        elif ticket.may_dial:
            self.not_dialled(ticket.key)

    def dialled(self, connection: ManagedConnection) -> None:
        """A dial that a ticket allowed has succeeded."""
        shelf = self._touch(connection.key)
        shelf.dialling -= 1
        shelf.leased.add(connection)

    def not_dialled(self, key: Key) -> None:
        """A dial that a ticket allowed has failed."""
        self._touch(key).dialling -= 1
        self._total -= 1

    def give_back(self, connection: ManagedConnection, now: float, *, is_fit: bool) -> None:
        """A lease has ended. One that is not fit for another lease is closed."""
        shelf = self._touch(connection.key)
        shelf.leased.discard(connection)
        connection.used = now
        if is_fit:
            connection.checked = now
            self._keep(shelf, connection)
        else:
            self._doom(shelf, connection)

    def redial(self, connection: ManagedConnection) -> None:
        """A leased connection proved dead and was closed; its place is for dialling anew."""
        shelf = self._shelves[connection.key]
        shelf.leased.discard(connection)
        shelf.dialling += 1

    def closed(self, connection: ManagedConnection) -> None:
        """A connection that `settle` named is closed."""
        self._touch(connection.key).closing.discard(connection)
        self._closing -= 1
        self._total -= 1

    def settle(self, now: float) -> tuple[ManagedConnection, ...]:
        """Draw every consequence: end what is over, serve the queue in order, make room.

        Returns:
            The connections to close; each is then reported with `closed`, and `settle` called
            again.
        """
        is_due = now >= self._due
        keys = tuple(self._shelves if is_due else self._touched)
        self._touched.clear()
        shelves = [self._shelves[key] for key in keys if key in self._shelves]
        for shelf in shelves:
            self._end_old(shelf, now)
        self._serve()
        for shelf in shelves:
            self._shrink(shelf)
        staying = self._total - self._closing
        while staying > self._settings.max_total and self._doom_oldest():
            staying -= 1
        for shelf in shelves:
            if not shelf.size and (self._is_shut or not self._settings.min_idle_per_key):
                del self._shelves[shelf.key]
        if is_due:
            self._due = min(self._dues(), default=math.inf)
        doomed, self._doomed = tuple(self._doomed), []
        return doomed

    def check(self, now: float) -> ManagedConnection | None:
        """Take out one idle connection whose health is in doubt; report it with `checked`."""
        for shelf in self._shelves.values():
            for connection in shelf.idle:
                if connection.checked + self._settings.health_check_s <= now:
                    shelf.idle.remove(connection)
                    shelf.checking.add(connection)
                    return connection
        return None

    def checked(self, connection: ManagedConnection, now: float, *, is_fit: bool) -> None:
        """What the check of an idle connection has shown."""
        shelf = self._touch(connection.key)
        shelf.checking.discard(connection)
        if is_fit:
            connection.checked = now
            self._keep(shelf, connection)
        else:
            self._doom(shelf, connection)

    def refill(self, now: float) -> Endpoint | None:
        """Allow one dial for a key that has fewer idle connections than it should."""
        if self._is_shut or self._queue:
            return None
        for shelf in self._shelves.values():
            if self._lacks(shelf) and shelf.refill_at <= now:
                shelf.dialling += 1
                shelf.refilling += 1
                self._total += 1
                return shelf.endpoint
        return None

    def refilled(self, key: Key, connection: ManagedConnection | None, again_at: float) -> None:
        """What such a dial has come to; after a failure `again_at` is when to try once more."""
        shelf = self._touch(key)
        shelf.dialling -= 1
        shelf.refilling -= 1
        if connection is not None:
            self._keep(shelf, connection)
        else:
            self._total -= 1
            shelf.refill_at = again_at

    def due(self) -> float | None:
        """When something may be to do although nobody asks; None when nothing is."""
        due = self._due
        if self._settings.min_idle_per_key:  # what is lacking changes with every lease
            due = min(self._dues(), default=math.inf)
        return due if due < math.inf else None

    def _dues(self) -> Iterator[float]:
        for shelf in self._shelves.values():
            spare = len(shelf.idle) - self._settings.min_idle_per_key
            for number, connection in enumerate(shelf.idle):
                yield self._due_of(connection, is_spare=number < spare)
            if self._lacks(shelf) and not self._queue and not self._is_shut:
                yield shelf.refill_at

    def _due_of(self, connection: ManagedConnection, *, is_spare: bool) -> float:
        settings = self._settings
        return min(
            connection.created + settings.max_age_s,
            connection.checked + settings.health_check_s,
            connection.used + settings.idle_timeout_s if is_spare else math.inf,
        )

    def _touch(self, key: Key) -> _Shelf:
        self._touched[key] = None
        return self._shelves[key]

    def _lacks(self, shelf: _Shelf) -> bool:
        """Whether a connection more is to be kept ready for a key, and allowed."""
        ready = len(shelf.idle) + len(shelf.checking) + shelf.refilling
        return (
            ready < self._settings.min_idle_per_key
            and shelf.size < self._settings.max_per_key
            and self._total < self._settings.max_total
        )

    def _keep(self, shelf: _Shelf, connection: ManagedConnection) -> None:
        bisect.insort(shelf.idle, connection, key=_LAST_USED)
        self._due = min(self._due, self._due_of(connection, is_spare=True))

    def _doom(self, shelf: _Shelf, connection: ManagedConnection) -> None:
        shelf.closing.add(connection)
        self._closing += 1
        self._doomed.append(connection)

    def _doom_idle(self, shelf: _Shelf, connection: ManagedConnection) -> None:
        shelf.idle.remove(connection)
        self._doom(shelf, connection)

    def _end_old(self, shelf: _Shelf, now: float) -> None:
        """Idle ones that are over: too old, unused for too long, or no longer wanted at all."""
        for connection in tuple(shelf.idle):
            aged = connection.created + self._settings.max_age_s <= now
            idle = connection.used + self._settings.idle_timeout_s <= now
            spare = len(shelf.idle) > self._settings.min_idle_per_key
            if self._is_shut or aged or (idle and spare):
                self._doom_idle(shelf, connection)

    def _serve(self) -> None:
        """Grant what can be granted, in the order of the queue.

        Who is kept only by the limit on all has a claim: on a place that is about to become
        free, or on an idle connection of another key, which is closed for it. Without it those
        behind, to whom that connection is of use, could overtake for ever.
        """
        free = self._settings.max_total - self._total
        coming = self._closing
        claims: Counter[Key] = Counter()
        for ticket in tuple(self._queue):
            shelf = self._shelves.get(ticket.key)
            size = shelf.size if shelf is not None else 0
            if self._is_shut:
                ticket.is_refused = True
            elif shelf is not None and shelf.idle:
                # the one that was used last is the one most likely to be alive
                ticket.connection = shelf.idle.pop()
                shelf.leased.add(ticket.connection)
            elif size + claims[ticket.key] >= self._settings.max_per_key:
                continue
            elif free > 0:
                self._shelf(ticket).dialling += 1
                self._total += 1
                ticket.may_dial = True
                free -= 1
            else:
                while free + coming <= 0 and self._doom_oldest():
                    coming += 1
                coming -= 1
                claims[ticket.key] += 1
                continue
            self._queue.remove(ticket)
            ticket.called.set()

    def _shelf(self, ticket: Ticket) -> _Shelf:
        new = _Shelf(key=ticket.key, endpoint=ticket.endpoint)
        return self._shelves.setdefault(ticket.key, new)

    def _shrink(self, shelf: _Shelf) -> None:
        """Close the idle ones that are above a limit, those first that were not used longest."""
        over = max(
            len(shelf.idle) - self._settings.max_idle_per_key,
            shelf.size - len(shelf.closing) - self._settings.max_per_key,
        )
        for connection in shelf.idle[: max(over, 0)]:
            self._doom_idle(shelf, connection)

    def _doom_oldest(self) -> bool:
        """Doom the idle connection that was not used longest; whether there was one."""
        oldest = [shelf for shelf in self._shelves.values() if shelf.idle]
        if not oldest:
            return False
        shelf = min(oldest, key=lambda one: one.idle[0].used)
        self._doom_idle(shelf, shelf.idle[0])
        return True
