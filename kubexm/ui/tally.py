"""The table at the end of a run: a row for every host, or for all that differ from the rest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kubexm.engine import HostReport, HostStatus
from kubexm.ui.table import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubexm.engine import RunReport
    from kubexm.ui.look import Look

ROWS = 50
"""Above so many hosts those that are as they should be share a row."""

_BAD = (HostStatus.FAILED, HostStatus.UNREACHABLE)
_OTHERS = (HostStatus.CHANGED, HostStatus.STOPPED, HostStatus.INTERRUPTED, HostStatus.OK)


def tally(report: RunReport, look: Look) -> str:
    """The table: every failed and every unreachable host has a row of its own."""
    chosen, others = _chosen(report.hosts, look)
    has_operations = any(host.outcomes for host in report.hosts)
    changed = "changes" if report.check else "changed"
    header: tuple[str, ...] = ("host", "status", "ok", changed, "failed", "skipped", "time")
    rows = [_row(host.host, [host], report) for host in chosen]
    listed = Counter(host.status for host in chosen)
    for status in _OTHERS:
        alike = [host for host in others if host.status is status]
        if alike:
            word = "more" if listed[status] else "hosts" if len(alike) > 1 else "host"
            rows.append(_row(f"{len(alike)} {word}", alike, report))
    if not has_operations:
        header = (*header[:2], header[-1])
        rows = [(*row[:2], row[-1]) for row in rows]
    right = frozenset(range(2, len(header)))
    return table(header, rows, right=right, most=look.columns)


def total(report: RunReport) -> str:
    """The whole run in one line: "300 hosts: 2 failed, 298 ok; 12.3 s"."""
    counts = Counter(host.status for host in report.hosts)
    order = (*_BAD, *_OTHERS)
    parts = [f"{counts[status]} {word(status, report)}" for status in order if counts[status]]
    hosts = "1 host" if len(report.hosts) == 1 else f"{len(report.hosts)} hosts"
    return f"{hosts}: {', '.join(parts)}; {report.duration_s:.1f} s"


def word(status: HostStatus, report: RunReport) -> str:
    """A host's status as the run means it: a check changes nothing."""
    is_predicted = report.check and status is HostStatus.CHANGED
    return "would change" if is_predicted else status.value


def _chosen(
    hosts: Sequence[HostReport], look: Look
) -> tuple[Sequence[HostReport], Sequence[HostReport]]:
    """Those with a row of their own, and those that share one."""
    if len(hosts) <= ROWS or look.verbose:
        return hosts, ()
    bad = [host for status in _BAD for host in hosts if host.status is status]
    changed = [host for host in hosts if host.status is HostStatus.CHANGED]
    room = max(0, ROWS - len(bad))
    rest = [host for host in hosts if host.status in _OTHERS[1:]]
    return bad + changed[:room], changed[room:] + rest


def _row(name: str, hosts: Sequence[HostReport], report: RunReport) -> tuple[str, ...]:
    most = "≤ " if len(hosts) > 1 else ""
    return (
        name,
        word(hosts[0].status, report),
        *(str(count) for count in _counts(hosts)),
        f"{most}{max(host.duration_s for host in hosts):.1f} s",
    )


def _counts(hosts: Sequence[HostReport]) -> Iterator[int]:
    found = Counter(outcome.status.value for host in hosts for _, outcome in host.outcomes)
    yield found["ok"]
    yield found["changed"]
    yield found["failed"] + found["unknown"]
    yield found["skipped"]
