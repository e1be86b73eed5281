"""Where every host of a run is right now, kept up to date by events; nothing is drawn here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from kubexm.engine import (
    Event,
    HostConnected,
    HostEnded,
    HostPlanned,
    HostReport,
    HostStarted,
    HostStatus,
    HostWaiting,
    OperationEnded,
    OutputReceived,
    RunInterrupted,
    RunStarted,
    TransferProgressed,
)
from kubexm.ui.summary import interruption

if TYPE_CHECKING:
    from datetime import datetime

    from kubexm.runner import Outcome


class Phase(StrEnum):
    """What a host is at, before it has a status."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    WORKING = "working"


@dataclass(slots=True, kw_only=True)
class Row:
    """One host.

    Args:
        host: Its name.
        state: What it is at, or how it ended.
        began: When its turn came.
        said: Of its work, in a few words.
        last: The last outcome that is not "ok".
        counts: Of outcomes, by status.
        report: When its part is over.
    """

    host: str
    state: Phase | HostStatus = Phase.WAITING
    began: datetime | None = None
    said: str = ""
    last: Outcome | None = None
    counts: Counter[str] = field(default_factory=Counter)
    report: HostReport | None = None


class Board:
    """All hosts of a run. One thread at a time uses it.

    An event costs the same however many hosts there are; the rest is left to who draws.
    """

    def __init__(self) -> None:
        self.plan = ""
        self.check = False
        self.interruption = ""
        self.has_operations = False
        self.began: datetime | None = None
        self.rows: dict[str, Row] = {}
        self.at_work: dict[str, Row] = {}
        """Those that have begun and not ended, the longest at work first."""
        self.failing: list[Row] = []
        """Those that ended badly, in the order in which they did."""
        self.counts: Counter[Phase | HostStatus] = Counter()

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        match event:
            case RunStarted():
                self.plan, self.check, self.began = event.plan, event.check, event.time
                self.rows = {name: Row(host=name) for name in event.hosts}
                self.counts = Counter({Phase.WAITING: len(event.hosts)})
            case RunInterrupted():
                self.interruption = interruption(event)
            case HostStarted():
                row = self._at(event.host, Phase.CONNECTING)
                row.began = event.time
                self.at_work[event.host] = row
            case HostConnected():
                self.at_work[event.host] = self._at(event.host, Phase.WORKING)
            case HostWaiting():
                self._at(event.host, Phase.WAITING)
                self.at_work.pop(event.host, None)
            case HostPlanned():
                self.has_operations = True
                self.rows[event.host].said = f"{event.operations} operations"
            case OutputReceived():
                self.rows[event.host].said = event.text.rstrip()[-1000:].rpartition("\n")[2]
            case TransferProgressed():
                share = event.moved_bytes * 100 // max(event.total_bytes, 1)
                self.rows[event.host].said = f"{share} % {event.operation}"
            case OperationEnded():
                self._operation(self.rows[event.host], event.outcome)
            case HostEnded():
                self._ended(event.report)
            case _:
                pass

    def _at(self, host: str, state: Phase | HostStatus) -> Row:
        row = self.rows[host]
        self.counts[row.state] -= 1
        self.counts[state] += 1
        row.state = state
        return row

    def _operation(self, row: Row, outcome: Outcome) -> None:
        self.has_operations = True
        row.counts[outcome.status.value] += 1
        if outcome.changed or (outcome.failed and outcome.error is not None):
            row.last = outcome

    def _ended(self, report: HostReport) -> None:
        row = self._at(report.host, report.status)
        row.report = report
        self.at_work.pop(report.host, None)
        if report.status in (HostStatus.FAILED, HostStatus.UNREACHABLE):
            self.failing.append(row)
