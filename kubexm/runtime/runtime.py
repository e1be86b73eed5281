"""The state of one run: which hosts, how to reach them, and their sessions."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from kubexm.connector import Bootless, Carried, Notices, Reusable
from kubexm.connector.elevated import Elevated
from kubexm.connector.pool import Pool, PoolSettings, close_until_gone
from kubexm.errors import (
    AbortedError,
    ConnectError,
    EscalationError,
    HostError,
    PoolClosedError,
    UsageError,
)
from kubexm.inventory import BecomeMode, Host, Inventory, MachineMode
from kubexm.registry import CONNECTORS, plugin
from kubexm.runner import HostLock
from kubexm.shell import Become, Escalation, Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kubexm.connector import Connector, ConnectorFactory
    from kubexm.connector.pool import PoolSource
    from kubexm.runner import Catalogue
    from kubexm.runner import Host as OpenHost


_INTERRUPTED = "the run was interrupted"


class Privilege(StrEnum):
    """Whom a piece of work needs to be on the host."""

    LOGIN = "login"
    """The login user, unless the inventory or --become says otherwise."""
    ROOT = "root"
    """Root, unless the inventory forbids it (`become: false`)."""


class Unreachable(StrEnum):
    """What a run does about hosts that cannot be opened."""

    IGNORE = "ignore"
    """It goes on without them, and says so at the end."""
    FAIL = "fail"
    """It begins nothing on any host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a run goes about it.

    Args:
        check: Predict instead of changing.
        forks: Hosts at work at once.
        timeout_s: For each trip to a host, enforced on the host.
        deadline_s: For the whole run, after which nothing more is begun; 0 for none.
        max_fail: So many hosts ("10%": such a share of them) may fail before the whole run is
            called off; `None` lets every host go its own way to the end.
        unreachable: What becomes of the run when hosts cannot be opened.
        executor: The name of the plugin that carries the hosts.
        pool: The limits of the connections that are kept, or where they are written.
    """

    check: bool = False
    forks: int = 50
    timeout_s: float = 900
    deadline_s: float = 0
    max_fail: int | str | None = None
    unreachable: Unreachable = Unreachable.IGNORE
    executor: str = "threads"
    pool: PoolSettings | PoolSource = field(default_factory=PoolSettings)

    def __post_init__(self) -> None:
        if self.forks < 1:
            message = "--forks must be at least 1"
            raise UsageError(message)
        if self.timeout_s <= 0:
            message = "--timeout must be more than 0 seconds"
            raise UsageError(message)
        if self.deadline_s < 0:
            message = "--deadline must be at least 0 seconds; 0 stands for none"
            raise UsageError(message)


class Runtime:
    """An inventory, a selection of its hosts, and the way to each of them.

    Connectors are loaded here, so that a broken one is told before any host is touched; for the
    same reason whoever is going to open hosts looks at `catalogue` first. `_lock` guards the open
    sessions and the connectors at work, which `abort` drops from another thread, and `_told`.

    Args:
        inventory: All hosts.
        hosts: Those to work on, in inventory order.
        settings: How to go about it.
        connectors: Factories that stand in for the plugins of their names.
        catalogue: Where handlers come from; by default every installed distribution.

    Raises:
        PluginError: A connector does not load, or is not installed.
        UsageError: The pool's settings have a fault.
    """

    def __init__(
        self,
        inventory: Inventory,
        hosts: tuple[Host, ...],
        settings: Settings | None = None,
        *,
        connectors: Mapping[str, ConnectorFactory] | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        self.inventory = inventory
        self.hosts = hosts
        self.settings = settings or Settings()
        self._catalogue = catalogue
        given = connectors or {}
        self._factories = {
            name: given.get(name) or _factory(name)
            for name in {name for host in hosts for name in self._connections(host)}
        }
        forks = self.settings.forks
        self._pools = {
            name: Pool(
                factory, self.settings.pool, floor=forks, key_floor=min(forks, self._carried)
            )
            for name, factory in self._factories.items()
        }
        self._host_lock = HostLock()
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()
        self._connecting: dict[int, Connector] = {}  # by their identity
        self._aborted = threading.Event()
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<Runtime of {self.inventory.path}: {len(self.hosts)} hosts>"

    @cached_property
    def catalogue(self) -> Catalogue:
        """Where handlers come from; loaded when first asked for: a ping needs none.

        Raises:
            PluginError: A family or an operation does not load.
        """
        from kubexm.runner import Catalogue

        return self._catalogue or Catalogue.installed()

    @property
    def pools(self) -> Mapping[str, Pool]:
        """The connections that are kept between leases, by the name of their connector."""
        return MappingProxyType(self._pools)

    @contextmanager
    def connected(self, host: Host) -> Iterator[Connector]:
        """A connection to a host: one of the pool's when its connector can be kept.

        Any other is closed at the end, and so are those that it goes through.

        Raises:
            ConnectError: It could not be reached, or would not let us in.
            AbortedError: The run was broken off.
            PoolExhaustedError: No connection became free in time.
            UsageError: Its connector does not go through other hosts.
        """
        with ExitStack() as stack:
            try:
                connector = self._reach(host, stack)
            except HostError as error:
                if self.is_aborted:
                    raise AbortedError(_INTERRUPTED, host=host.name) from error
                raise error.on(host.name) from error.__cause__
            except PoolClosedError as error:
                if self.is_aborted:
                    raise AbortedError(_INTERRUPTED, host=host.name) from error
                raise
            yield connector

    def _reach(self, host: Host, stack: ExitStack) -> Connector:
        connector = self._factories[host.connection](host.endpoint)
        if isinstance(connector, Reusable) and not host.via:
            lease = self._pools[host.connection].lease(host.endpoint)
            return stack.enter_context(lease).connector
        if host.via:
            if not isinstance(connector, Carried):
                message = f"{host.name}: {host.connection} goes through no other host (kubexm_via)"
                raise UsageError(message, hint="remove kubexm_via, or use another connection")
            privilege = Privilege.ROOT if connector.wants_root else Privilege.LOGIN
            connector.through(self._carrier(host, privilege, stack))
        stack.callback(connector.close)
        with self._lock:
            self._connecting[id(connector)] = connector
        try:
            if not self.is_aborted:
                connector.connect()
        finally:
            with self._lock:
                del self._connecting[id(connector)]
        if self.is_aborted:
            raise AbortedError(_INTERRUPTED, host=host.name)
        return connector

    def news(self, connector: Connector) -> tuple[str, ...]:
        """What a connection has to tell the operator and was not told in this run before."""
        notices = connector.notices if isinstance(connector, Notices) else ()
        with self._lock:
            news = tuple(notice for notice in notices if notice not in self._told)
            self._told.update(news)
        return news

    def _carrier(self, host: Host, privilege: Privilege, stack: ExitStack) -> Connector:
        """The connection to the host that another one goes through, as the user that this needs.

        Raises:
            ConnectError: It could not be reached, or would not let us in; of the same kind.
        """
        other = self.inventory.host(host.via)
        try:
            connector = stack.enter_context(self.connected(other))
        except ConnectError as error:
            message = f"the way through {other.name} is closed: {error.message}"
            raise type(error)(message, host=host.name, hint=error.hint) from error.__cause__
        escalation = _escalation(other, privilege)
        if escalation.method is Become.NONE:
            return connector
        return Elevated(connector, escalation, timeout_s=other.endpoint.connect_timeout_s)

    @property
    def _carried(self) -> int:
        """The most hosts that one host carries (kubexm_via): each needs a connection to it."""
        return max(Counter(host.via for host in self.hosts if host.via).values(), default=1)

    def _connections(self, host: Host) -> Iterator[str]:
        """The connections on the way to a host; an inventory has no circles."""
        yield host.connection
        if host.via:
            yield from self._connections(self.inventory.host(host.via))

    @contextmanager
    def session(
        self,
        host: Host,
        connector: Connector,
        privilege: Privilege = Privilege.ROOT,
        *,
        login: bool = False,
        user: str = "",
    ) -> Iterator[Session]:
        """A session on a connected host, as the user that the work needs.

        Args:
            host: Whose.
            connector: Connected.
            privilege: What the work needs; the inventory's `become` may widen or forbid it.
            login: Keep the login environment (a user's own command).
            user: Become this one, whatever the inventory says; empty leaves it to that.

        Raises:
            ConnectError: The shell did not start, or the user could not become another.
            AbortedError: The run was broken off.
        """
        session = Session.open(
            connector.open,
            _becoming(host, user) if user else _escalation(host, privilege),
            timeout_s=host.endpoint.connect_timeout_s,
            login=login,
        )
        with self._lock:
            aborted = self._aborted.is_set()
            self._sessions.add(session)
        try:
            if aborted:
                raise AbortedError(_INTERRUPTED, host=host.name)
            yield session
        finally:
            with self._lock:
                self._sessions.discard(session)
            session.close()

    @contextmanager
    def open(self, host: Host) -> Iterator[OpenHost]:
        """A host with a root session and facts, locked unless it is only checked.

        Raises:
            ConnectError: See `connected` and `session`.
            LockedError: Somebody else is changing it.
            SessionLostError: The link broke while the facts were read.
        """
        from kubexm.runner import Host as OpenHost

        with ExitStack() as stack:
            connector: Connector

            def way() -> Session:
                nonlocal connector
                stack.close()
                connector = stack.enter_context(self.connected(host))
                return stack.enter_context(self.session(host, connector))

            session = way()

            def again() -> Session:
                connector.close()  # it is in doubt: nobody is to be given it again
                return way()

            yield OpenHost.open(
                host.name,
                session,
                self.catalogue,
                family=host.family,
                image=is_image(host, connector),
                check=self.settings.check,
                deadline_s=self.settings.timeout_s,
                notices=self.news(connector),
                lock=None if self.settings.check else self._host_lock,
                reopen=again,
                stop=self._aborted,
                login=lambda user: self.session(
                    host, connector, Privilege.LOGIN, login=True, user=user
                ),
            )

    @property
    def is_aborted(self) -> bool:
        """Whether `abort` was called."""
        return self._aborted.is_set()

    def abort(self) -> None:
        """Drop every session at once, and whoever makes a connection or waits for one.

        A script that is at work ends by itself on the host.
        """
        with self._lock:
            self._aborted.set()
            sessions = tuple(self._sessions)
        for session in sessions:
            session.kill()
        close_until_gone(self._being_connected)
        self.close()

    def _being_connected(self) -> tuple[Connector, ...]:
        with self._lock:
            return tuple(self._connecting.values())

    def pause(self, host: Host, seconds: float) -> None:
        """Wait between two looks at a host.

        Raises:
            AbortedError: The run was broken off meanwhile.
        """
        if self._aborted.wait(seconds):
            raise AbortedError(_INTERRUPTED, host=host.name)

    def close(self) -> None:
        """Close the connections that were kept for the next run: there will be none."""
        for pool in self._pools.values():
            pool.close()


def is_image(host: Host, connector: Connector) -> bool:
    """Whether nothing has booted where the connector leads: it knows, or the inventory says so."""
    told = isinstance(connector, Bootless) and connector.is_image
    return told or host.mode is MachineMode.IMAGE


def _factory(name: str) -> ConnectorFactory:
    """The connector plugin of that name."""
    found = plugin(CONNECTORS, name)
    factory = found.load()
    if not callable(factory):
        msg = "expected a function from Endpoint to Connector"
        raise found.fault(msg)
    return cast("ConnectorFactory", factory)


def _becoming(host: Host, user: str) -> Escalation:
    """The inventory's way to become somebody, for a user that a command names."""
    if host.become is BecomeMode.FALSE:
        message = f"the inventory forbids to become {user} (become: false)"
        raise EscalationError(message, host=host.name)
    return replace(host.escalation, user=user)


def _escalation(host: Host, privilege: Privilege) -> Escalation:
    """The inventory's, where the work needs it or the inventory insists."""
    match host.become:
        case BecomeMode.TRUE:
            return host.escalation
        case BecomeMode.AUTO if privilege is Privilege.ROOT:
            return host.escalation
        case _:
            return Escalation()
