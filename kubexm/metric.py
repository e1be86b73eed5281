"""Numbers about the process, kept in memory and written as Prometheus text.

A `Registry` holds families of counters, gauges, histograms and summaries; whoever measures
something is handed one. The text is version 0.0.4 of the exposition format, as the textfile
collector of node_exporter reads it.
"""

from __future__ import annotations

import bisect
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Label names with their values, in the order of the family."""

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper bounds of a histogram of durations."""


class Kind(StrEnum):
    """What a family's numbers mean, in the words of the exposition format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric by name, whatever its labels.

    Args:
        kind: What its numbers mean.
        name: In the words of Prometheus: `kubexm_run_duration_seconds`.
        text: One line of explanation.
        labels: The names of its labels, in order; a label never holds a secret.
        bounds: Upper bounds of a histogram's buckets, ascending.
    """

    kind: Kind
    name: str
    text: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = SECONDS

    def labelled(self, values: tuple[str, ...]) -> Labels:
        """The labels with these values.

        Raises:
            ValueError: There are not as many values as labels.
        """
        return tuple(zip(self.labels, values, strict=True))


@dataclass(slots=True, kw_only=True)
class _Series:
    """The numbers of one family with one set of labels; the registry's lock guards them."""

    value: float = 0
    buckets: list[int] = field(default_factory=list)
    count: int = 0


class Registry:
    """Every number of the process. `_lock` guards all of them; no call waits for anything else."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._families: dict[str, Family] = {}
        self._series: dict[str, dict[tuple[str, ...], _Series]] = {}

    def add(self, family: Family, *labels: str, by: float = 1) -> None:
        """Raise a counter, or move a gauge."""
        with self._lock:
            self._at(family, labels).value += by

    def set(self, family: Family, *labels: str, to: float) -> None:
        """Set a gauge."""
        with self._lock:
            self._at(family, labels).value = to

    def observe(self, family: Family, *labels: str, value: float) -> None:
        """Count a value of a histogram."""
        with self._lock:
            series = self._at(family, labels)
            if not series.buckets:
                series.buckets = [0] * len(family.bounds)
            position = bisect.bisect_left(family.bounds, value)
            if position < len(family.bounds):
                series.buckets[position] += 1
            series.count += 1
            series.value += value

    def total(self, family: Family, *labels: str, count: int, value: float) -> None:
        """Add so many values to a summary, of which only the sum is known."""
        with self._lock:
            series = self._at(family, labels)
            series.count += count
            series.value += value

    def text(self) -> str:
        """Everything as Prometheus text, sorted by name and labels."""
        with self._lock:
            return "".join(
                line
                for name, family in sorted(self._families.items())
                for line in _lines(family, self._series[name])
            )

    def _at(self, family: Family, values: tuple[str, ...]) -> _Series:
        known = self._families.setdefault(family.name, family)
        if known != family:
            message = f"there are two metrics named {family.name}"
            raise ValueError(message)
        family.labelled(values)
        return self._series.setdefault(family.name, {}).setdefault(values, _Series())


def _lines(family: Family, all_series: dict[tuple[str, ...], _Series]) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.text, quote=False)}\n"
    yield f"# TYPE {family.name} {family.kind.value}\n"
    for values, series in sorted(all_series.items()):
        labels = family.labelled(values)
        if family.kind in {Kind.COUNTER, Kind.GAUGE}:
            yield _line(family.name, labels, series.value)
            continue
        if family.kind is Kind.HISTOGRAM:
            below = 0
            for bound, count in zip(family.bounds, series.buckets, strict=True):
                below += count
                yield _line(f"{family.name}_bucket", (*labels, ("le", _number(bound))), below)
            yield _line(f"{family.name}_bucket", (*labels, ("le", "+Inf")), series.count)
        yield _line(f"{family.name}_sum", labels, series.value)
        yield _line(f"{family.name}_count", labels, series.count)


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{shown}}} {_number(value)}\n" if shown else f"{name} {_number(value)}\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 9))


def _escaped(text: str, *, quote: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text
