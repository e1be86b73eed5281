"""Machines that are only dialled: what a pool, or whatever leases from one, is tried on.

network = FakeNetwork()
with Pool(network) as pool, pool.lease(Endpoint(name="web1")) as connection:
    ...
assert network.open == ()
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NoReturn

from kubexm.errors import ConnectError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubexm.connector import Endpoint


class FakeConnection:
    """A connection of a `FakeNetwork`. It runs nothing; it is connected, or it is not.

    Args:
        network: Where it belongs.
        endpoint: Where it leads.
        bastion: What it was made to go through.
    """

    def __init__(
        self, network: FakeNetwork, endpoint: Endpoint, bastion: FakeConnection | None = None
    ) -> None:
        self.endpoint = endpoint
        self.bastion = bastion
        self._network = network
        self._is_connected = False

    def __repr__(self) -> str:
        state = "connected" if self.is_connected() else "not connected"
        return f"<FakeConnection to {self.endpoint.name}, {state}>"

    def route(self) -> tuple[Endpoint, ...]:
        """See `Routed.route`."""
        return self.endpoint.bastions

    def beyond(self, endpoint: Endpoint) -> FakeConnection:
        """See `Routed.beyond`."""
        return FakeConnection(self._network, endpoint, self)

    def connect(self) -> None:
        """See `Connector.connect`."""
        if self.bastion is not None and not self.bastion.is_connected():
            message = "the bastion's connection was lost"
            raise UnreachableError(message, host=self.endpoint.name)
        self._network.dialled(self)
        self._is_connected = True

    def close(self) -> None:
        """See `Connector.close`."""
        self._is_connected = False
        self._network.closed(self)

    def is_connected(self) -> bool:
        """See `Connector.is_connected`."""
        stands = self._is_connected and not self._network.is_cut(self)
        return stands and (self.bastion is None or self.bastion.is_connected())

    def answers(self, timeout_s: float) -> bool:
        """See `Reusable.answers`."""
        del timeout_s
        return self.is_connected() and self.endpoint.name not in self._network.frozen

    def open(self, command: str) -> NoReturn:
        """See `Connector.open`.

        Raises:
            ConnectError: Always.
        """
        message = f"a FakeNetwork runs no commands: {command!r}"
        raise ConnectError(message, host=self.endpoint.name)


class FakeNetwork:
    """A `ConnectorFactory` that keeps count. `_lock` guards what is open.

    Args:
        on_dial: Called before each connection comes about; what it raises is what the dial comes
            to. It may also take its time.
        on_close: Called before each connection is closed.

    Attributes:
        dials: The names of the machines that were dialled, in order.
        frozen: Names of machines that no longer answer, although the connection stands.
    """

    def __init__(
        self,
        *,
        on_dial: Callable[[Endpoint], None] | None = None,
        on_close: Callable[[Endpoint], None] | None = None,
    ) -> None:
        self.dials: list[str] = []
        self.frozen: set[str] = set()
        self._on_dial = on_dial
        self._on_close = on_close
        self._lock = threading.Lock()
        self._open: dict[FakeConnection, None] = {}
        self._cut: set[FakeConnection] = set()

    def __call__(self, endpoint: Endpoint) -> FakeConnection:
        """Make a connector."""
        return FakeConnection(self, endpoint)

    @property
    def open(self) -> tuple[FakeConnection, ...]:
        """The connections that were made and not closed, lost ones included."""
        with self._lock:
            return tuple(self._open)

    def cut(self, name: str) -> None:
        """Lose every connection to a machine, and with it those that go through it."""
        with self._lock:
            self._cut.update(one for one in self._open if one.endpoint.name == name)

    def is_cut(self, connector: FakeConnection) -> bool:
        """Whether a connection was lost."""
        with self._lock:
            return connector in self._cut

    def dialled(self, connector: FakeConnection) -> None:
        """A connector connects."""
        with self._lock:
            self.dials.append(connector.endpoint.name)
        if self._on_dial is not None:
            self._on_dial(connector.endpoint)
        with self._lock:
            self._open[connector] = None

    def closed(self, connector: FakeConnection) -> None:
        """A connector was closed."""
        if self._on_close is not None and connector in self._open:
            self._on_close(connector.endpoint)
        with self._lock:
            self._open.pop(connector, None)
            self._cut.discard(connector)
