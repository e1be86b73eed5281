"""Where the time of a run went: `--profile`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TextIO

from kubexm.engine import Event, RunEnded
from kubexm.ui.stream import say
from kubexm.ui.table import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.engine import RunReport

_ROWS = 10


class Profile:
    """A listener that lists the slowest steps and hosts when a run has ended.

    Args:
        out: Where to; not where JSON lines go.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        if isinstance(event, RunEnded):
            for paragraph in profile(event.report):
                say(self._out, paragraph)


def profile(report: RunReport) -> Iterator[str]:
    """The slowest steps and the slowest hosts, as paragraphs.

    Steps that share round trips share their time, each operation an equal part of a trip.
    """
    times: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for host in report.hosts:
        for step, outcome in host.outcomes:
            times[step][host.host] += outcome.duration_s
    steps = sorted(times, key=lambda step: -max(times[step].values()))
    if steps:
        rows = []
        for step in steps[:_ROWS]:
            by_host = times[step]
            slowest = max(by_host, key=lambda name: by_host[name])
            mean = sum(by_host.values()) / len(by_host)
            rows.append((step, _seconds(by_host[slowest]), slowest, _seconds(mean)))
        header = ("slowest steps", "longest", "on", "mean")
        yield f"\n{table(header, rows, right=frozenset({1, 3}))}"
    hosts = sorted(report.hosts, key=lambda host: -host.duration_s)[:_ROWS]
    rows = [
        (
            host.host,
            _seconds(host.duration_s),
            _seconds(sum(outcome.duration_s for _, outcome in host.outcomes)),
            str(host.trips),
        )
        for host in hosts
    ]
    header = ("slowest hosts", "time", "in operations", "round trips")
    yield f"\n{table(header, rows, right=frozenset({1, 2, 3}))}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"
