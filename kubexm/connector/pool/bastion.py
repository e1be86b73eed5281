"""The machines that connections go through: one connection to each, kept while it is needed."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubexm.connector.endpoint import Routed
from kubexm.connector.pool.key import Key
from kubexm.errors import ConnectError, KubexmError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubexm.connector.endpoint import Connector, ConnectorFactory, Endpoint


@dataclass(slots=True, kw_only=True, eq=False)
class Bastion:
    """One shared connection. `users` counts the connections that go through it directly.

    Args:
        key: Its place: the machine, its credentials, and the way there.
        before: The bastion that it is reached through; None when it is dialled directly.
        connector: Set once `ready` is, unless `error` is.
    """

    key: Key
    before: Bastion | None = None
    connector: Connector | None = None
    users: int = 1
    ready: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Bastion {self.key.label}, {self.users} users>"

    @property
    def way(self) -> tuple[Bastion, ...]:
        """This one after all that it is reached through."""
        return (*self.before.way, self) if self.before is not None else (self,)

    @property
    def is_alive(self) -> bool:
        """Whether it and all before it stand, as far as is known here."""
        return all(one.connector is not None and one.connector.is_connected() for one in self.way)

    def beyond(self, endpoint: Endpoint) -> Connector:
        """An unconnected connector to a machine behind this one.

        Raises:
            ConnectError: This kind of connector leads nowhere else.
        """
        return _routed(self).beyond(endpoint)


def _routed(bastion: Bastion) -> Routed:
    connector: object = bastion.connector
    if isinstance(connector, Routed):
        return connector
    message = f"{bastion.key.label} cannot be a bastion: its connector leads to no other host"
    raise ConnectError(message)


class Bastions:
    """All shared bastions of a pool. `_lock` guards which there are and their `users`.

    Args:
        factory: Makes the connector of a bastion that is dialled directly.
        connect: Connects one; tells the key for the metrics.
    """

    def __init__(
        self, factory: ConnectorFactory, connect: Callable[[Connector, Key], None]
    ) -> None:
        self._factory = factory
        self._connect = connect
        self._lock = threading.Lock()
        self._open: dict[Key, Bastion] = {}

    def labels(self) -> tuple[str, ...]:
        """What messages call those that are there, connected or being connected."""
        with self._lock:
            return tuple(key.label for key in self._open)

    def acquire(self, route: Sequence[Endpoint]) -> Bastion:
        """The last bastion of a route, connected; `release` it when it is needed no more.

        Who comes first connects it, and the others wait for that. Routes that begin alike share
        what is alike.

        Raises:
            ConnectError: It, or one before it, cannot be reached.
        """
        key = Key.of(*route)
        with self._lock:
            found = self._open.get(key)
            # one whose link has broken stays its users' own until they have let go of it
            if found is not None and (not found.ready.is_set() or found.is_alive):
                found.users += 1
                bastion, is_mine = found, False
            else:
                bastion, is_mine = Bastion(key=key), True
                self._open[key] = bastion
        if is_mine:
            self._establish(bastion, route)
        bastion.ready.wait()
        if bastion.error is not None:
            # each raises one of its own: the traceback and the host are written into it
            raise _copy(bastion.error) from bastion.error
        return bastion

    def release(self, bastion: Bastion | None) -> None:
        """Need it no more; the last one closes it, and then what was before it."""
        while bastion is not None:
            with self._lock:
                bastion.users -= 1
                if bastion.users:
                    return
                self._forget(bastion)
            if bastion.connector is not None:
                bastion.connector.close()
            bastion = bastion.before

    def _establish(self, bastion: Bastion, route: Sequence[Endpoint]) -> None:
        *through, last = route
        connector: Connector | None = None
        before: Bastion | None = None
        try:
            before = self.acquire(through) if through else None
            connector = before.beyond(last) if before is not None else self._factory(last)
            self._connect(connector, bastion.key)
            bastion.before, bastion.connector = before, connector
        except BaseException as error:
            bastion.error = error
            with self._lock:
                self._forget(bastion)
            if connector is not None:
                connector.close()
            self.release(before)
            if not isinstance(error, Exception):
                raise
        finally:
            bastion.ready.set()

    def _forget(self, bastion: Bastion) -> None:
        if self._open.get(bastion.key) is bastion:
            del self._open[bastion.key]


def _copy(error: BaseException) -> BaseException:
    if isinstance(error, KubexmError):
        return copy.copy(error)
    message = f"the bastion could not be reached: {type(error).__name__}: {error}"
    return ConnectError(message)
