"""Connections that outlive their use: shared bastions, limits, health, age.

In: a `ConnectorFactory` and endpoints. Out: leases, one user each at a time. The way of a lease:
`key` (what is the same), `ledger` (who gets what), `dialler` and `bastion` (the way there),
`connection` (what is handed out), `keeper` (what happens while nobody asks), `metric`.
"""

from kubexm.connector.pool.clock import Clock
from kubexm.connector.pool.connection import ManagedConnection
from kubexm.connector.pool.dialler import close_until_gone
from kubexm.connector.pool.key import Key
from kubexm.connector.pool.metric import Counters
from kubexm.connector.pool.pool import Pool
from kubexm.connector.pool.settings import PoolSettings, SettingError
from kubexm.connector.pool.source import PoolSource
from kubexm.connector.pool.state import Count, PoolState

__all__ = [
    "Clock",
    "Count",
    "Counters",
    "Key",
    "ManagedConnection",
    "Pool",
    "PoolSettings",
    "PoolSource",
    "PoolState",
    "SettingError",
    "close_until_gone",
]
