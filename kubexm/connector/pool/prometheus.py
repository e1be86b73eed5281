"""What pools have and have done, as Prometheus text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.metric import Family, Kind, Registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.connector.pool.pool import Pool


def _family(kind: Kind, name: str, text: str, *labels: str) -> Family:
    return Family(
        kind=kind, name=f"kubexm_connector_pool_{name}", text=text, labels=("key", *labels)
    )


_ACTIVE = _family(Kind.GAUGE, "active_connections", "Connections that are leased.")
_IDLE = _family(Kind.GAUGE, "idle_connections", "Connections that wait for their next use.")
_TOTAL = _family(
    Kind.GAUGE,
    "total_connections",
    "Connections, those included that are being made or closed.",
)
_WAIT = _family(
    Kind.SUMMARY,
    "wait_duration_seconds",
    "Time that a lease waited for its turn; dialling is not in it.",
)
_DIALS = _family(Kind.COUNTER, "dials_total", "Tries to connect.")
_ERRORS = _family(Kind.COUNTER, "errors_total", "Failures by kind.", "type")


def text(pools: Iterable[Pool]) -> str:
    """Everything about the pools, version 0.0.4 of the format; no label holds a secret."""
    registry = Registry()
    for pool in pools:
        for key, count in pool.state.by_label.items():
            registry.add(_ACTIVE, key, by=count.active)
            registry.add(_IDLE, key, by=count.idle)
            registry.add(_TOTAL, key, by=count.total)
        for key, (times, seconds) in pool.counters.waits.items():
            registry.total(_WAIT, key, count=times, value=seconds)
        for key, times in pool.counters.dials.items():
            registry.add(_DIALS, key, by=times)
        for (key, kind), times in pool.counters.errors.items():
            registry.add(_ERRORS, key, kind, by=times)
    return registry.text()
