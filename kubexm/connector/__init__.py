"""Bytes to and from one machine.

In: an `Endpoint`. Out: a `Connector`, whose `open` gives the `Process` that a session runs on.
Transports register under the entry-point group `kubexm.connectors`.
"""

from kubexm.connector.endpoint import (
    Bootless,
    Connector,
    ConnectorFactory,
    Endpoint,
    HostKeyPolicy,
    Notices,
)

__all__ = ["Bootless", "Connector", "ConnectorFactory", "Endpoint", "HostKeyPolicy", "Notices"]
