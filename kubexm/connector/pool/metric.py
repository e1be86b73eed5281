"""What a pool has done so far, counted, and its Prometheus text."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubexm.connector.pool.state import Count

_PREFIX = "kubexm_connector_pool"


class Counters:
    """Numbers that only grow, by label. `_lock` guards them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dials: Counter[str] = Counter()
        self._errors: Counter[tuple[str, str]] = Counter()
        self._waits: Counter[str] = Counter()
        self._waited_s: dict[str, float] = {}

    @property
    def dials(self) -> Mapping[str, int]:
        """How often each was dialled; a try again after a drop counts."""
        with self._lock:
            return dict(self._dials)

    @property
    def errors(self) -> Mapping[tuple[str, str], int]:
        """How often each failed, by label and kind."""
        with self._lock:
            return dict(self._errors)

    def dialled(self, label: str) -> None:
        """A connection is being made."""
        with self._lock:
            self._dials[label] += 1

    def failed(self, label: str, kind: str) -> None:
        """Something went wrong: the name of an error's class, or a word."""
        with self._lock:
            self._errors[label, kind] += 1

    def waited(self, label: str, seconds: float) -> None:
        """Somebody got a connection, or the leave to dial one, or gave up."""
        with self._lock:
            self._waits[label] += 1
            self._waited_s[label] = self._waited_s.get(label, 0.0) + seconds

    def text(self, counts: Mapping[str, Count]) -> str:
        """Everything in Prometheus's text format, version 0.0.4."""
        with self._lock:
            lines = [
                *_family(
                    "active_connections",
                    "gauge",
                    "Connections that are leased.",
                    ((_labels(key), one.active) for key, one in counts.items()),
                ),
                *_family(
                    "idle_connections",
                    "gauge",
                    "Connections that wait for their next use.",
                    ((_labels(key), one.idle) for key, one in counts.items()),
                ),
                *_family(
                    "total_connections",
                    "gauge",
                    "Connections, those included that are being made or closed.",
                    ((_labels(key), one.total) for key, one in counts.items()),
                ),
                *_family(
                    "wait_duration_seconds",
                    "summary",
                    "Time that a lease waited for its turn; dialling is not in it.",
                    (
                        sample
                        for key in self._waits
                        for sample in (
                            (_labels(key, suffix="_sum"), self._waited_s[key]),
                            (_labels(key, suffix="_count"), self._waits[key]),
                        )
                    ),
                ),
                *_family(
                    "dials_total",
                    "counter",
                    "Tries to connect.",
                    ((_labels(key), count) for key, count in self._dials.items()),
                ),
                *_family(
                    "errors_total",
                    "counter",
                    "Failures by kind.",
                    ((_labels(key, kind), count) for (key, kind), count in self._errors.items()),
                ),
            ]
        return "\n".join(lines) + "\n"


def _family(
    name: str, kind: str, meaning: str, samples: Iterable[tuple[str, float]]
) -> Iterable[str]:
    full = f"{_PREFIX}_{name}"
    yield f"# HELP {full} {meaning}"
    yield f"# TYPE {full} {kind}"
    for labels, value in samples:
        yield f"{full}{labels} {value}"


def _labels(key: str, kind: str = "", *, suffix: str = "") -> str:
    more = f',type="{_escaped(kind)}"' if kind else ""
    return f'{suffix}{{key="{_escaped(key)}"{more}}}'


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
