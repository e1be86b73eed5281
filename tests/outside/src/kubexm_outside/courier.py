"""A connector of one's own: this machine's shell, reached with an environment of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.connector.local import LocalProcess

if TYPE_CHECKING:
    from kubexm.connector import Endpoint


class CourierConnector:
    """Runs commands here, in an environment that says who sent them."""

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._connected = False

    def connect(self) -> None:
        """See `Connector.connect`."""
        self._connected = True

    def close(self) -> None:
        """See `Connector.close`."""
        self._connected = False

    def is_connected(self) -> bool:
        """See `Connector.is_connected`."""
        return self._connected

    def open(self, command: str) -> LocalProcess:
        """See `Connector.open`."""
        return LocalProcess(
            ["env", "-i", f"COURIER={self._sender}", "PATH=/usr/bin:/bin", "sh", "-c", command]
        )


def plugin(endpoint: Endpoint) -> CourierConnector:
    """The entry point `courier`; its option `sender` comes from the inventory."""
    return CourierConnector(endpoint.options.get("sender", "nobody"))
