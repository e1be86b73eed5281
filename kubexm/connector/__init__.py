"""Bytes to and from one machine.

In: an `Endpoint`. Out: a `Connector`, whose `open` gives the `Process` that a session runs on.
Transports register under the entry-point group `kubexm.connectors`. Next: `pool`, which keeps
connections between their uses.
"""

from kubexm.connector.endpoint import (
    DEFAULT_CONNECT_TIMEOUT_S,
    Bootless,
    Carried,
    Connector,
    ConnectorFactory,
    Endpoint,
    HostKeyPolicy,
    Impatient,
    Inside,
    Notices,
    Reusable,
    Routed,
)
from kubexm.connector.proxy import Proxy, ProxyScheme

__all__ = [
    "DEFAULT_CONNECT_TIMEOUT_S",
    "Bootless",
    "Carried",
    "Connector",
    "ConnectorFactory",
    "Endpoint",
    "HostKeyPolicy",
    "Impatient",
    "Inside",
    "Notices",
    "Proxy",
    "ProxyScheme",
    "Reusable",
    "Routed",
]
