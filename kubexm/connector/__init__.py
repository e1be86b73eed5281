"""Bytes to and from one machine.

In: an `Endpoint`. Out: a `Connector`, whose `open` gives the `Process` that a session runs on.
Transports register under the entry-point group `kubexm.connectors`.
"""

from kubexm.connector.endpoint import (
    DEFAULT_CONNECT_TIMEOUT_S,
    Bootless,
    Carried,
    Connector,
    ConnectorFactory,
    Endpoint,
    HostKeyPolicy,
    Inside,
    Notices,
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
    "Inside",
    "Notices",
    "Proxy",
    "ProxyScheme",
]
