"""How far every host has come, and who may go on: the one place where hosts wait for each other.

Nothing here does I/O or knows threads, but for the lock that makes each call one step.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubexm.engine.report import StepReport, StepStatus
from kubexm.engine.stretch import stretches, takers, waves
from kubexm.engine.task import LOST, Result, Task, doom, obstacle
from kubexm.plan import exceeds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubexm.engine.record import Past
    from kubexm.engine.stretch import Stretch, Waves
    from kubexm.errors import KubexmError
    from kubexm.inventory import Host, Inventory
    from kubexm.plan import Amount, Placed
    from kubexm.runner import Pending

_SHOWN = 3


@dataclass(slots=True, kw_only=True)
class Journey:
    """One host on its way.

    Args:
        host: Which.
        stretches: Its way.
        at: How many of them are behind it.
        fate: Its steps that were not done, and the failure behind each.
        steps: Of the stretches behind it.
        pending: What check mode has held back.
        trips: Round trips so far.
        duration_s: Its time at work.
        lost: Why it takes no more steps.
        begun: When it began each plan that has a time limit, by `time.monotonic`.
        has_failed: It has been counted among those that failed.
    """

    host: Host
    stretches: tuple[Stretch, ...]
    at: int = 0
    fate: dict[str, str] = field(default_factory=dict)
    steps: list[StepReport] = field(default_factory=list)
    pending: tuple[Pending, ...] = ()
    trips: int = 0
    duration_s: float = 0
    lost: KubexmError | None = None
    begun: dict[str, float] = field(default_factory=dict)
    has_failed: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self.at == len(self.stretches)


@dataclass(slots=True, kw_only=True)
class _Count:
    """How far one step is: hosts that have it before them, and those where it was not done."""

    placed: Placed
    total: int
    left: int
    undone: list[str] = field(default_factory=list)

    @property
    def is_off(self) -> bool:
        """Whether too many hosts have not done it."""
        return exceeds(len(self.undone), self.placed.max_fail, self.total)


@dataclass(slots=True, kw_only=True)
class _Roll:
    """How far the waves of something are."""

    waves: Waves
    left: int
    wave: int = 0
    failed: int = 0
    stopped: str = ""


class Progress:
    """Where every host of a run is. `_lock` guards all of it.

    Args:
        placed: The plan's steps.
        inventory: For their selectors.
        hosts: Of the run, in inventory order.
        past: What is done already.
        max_fail: So many hosts may fail before the whole run is called off.
        deadline_s: Seconds for the whole run; 0 for none.

    Raises:
        UsageError: A selector is wrong.
    """

    def __init__(
        self,
        placed: Sequence[Placed],
        inventory: Inventory,
        hosts: Sequence[Host],
        *,
        past: Past,
        max_fail: Amount | None = None,
        deadline_s: float = 0,
    ) -> None:
        by_step = takers(placed, inventory, hosts)
        self._lock = threading.Lock()
        self._past = past
        self._max_fail = max_fail
        self._limit = time.monotonic() + deadline_s if deadline_s else None
        self._journeys = {
            host.name: Journey(host=host, stretches=way)
            for host, way in zip(hosts, stretches(placed, by_step, hosts).values(), strict=True)
        }
        self._counts = {
            one.name: _Count(placed=one, total=len(by_step[one.name]), left=len(by_step[one.name]))
            for one in placed
        }
        self._rolls = {
            name: _Roll(waves=found, left=len(found.parts[0]) if found.parts else 0)
            for name, found in waves(placed, by_step, hosts).items()
        }
        self._waiting: dict[str, Journey] = {}
        """Those that asked and were told to wait."""
        self._failed = 0
        self._halted = threading.Event()
        self._why = ""
        self._is_urgent = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """All hosts, in inventory order."""
        return tuple(self._journeys)

    @property
    def why_halted(self) -> str:
        """Why nothing more is begun; empty while the run goes on."""
        return self._why

    @property
    def is_urgent(self) -> bool:
        """Whether even owed work is not begun any more: it stays owed."""
        return self._is_urgent

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until nothing more is to be begun; whether that is so."""
        return self._halted.wait(seconds)

    def halt(self, why: str) -> tuple[str, ...]:
        """Begin nothing more, not even owed work; the first reason counts.

        Returns:
            The hosts that were waiting; they are to be taken on, to their end.
        """
        with self._lock:
            self._is_urgent = True
            self._halt(why)
            return self._woken()

    def may_go_on(self, host: str) -> bool:
        """Whether a host would not have to wait."""
        with self._lock:
            return self._is_ready(self._journeys[host])

    def take(self, host: str) -> tuple[Task | None, tuple[StepReport, ...]]:
        """What a host does next, and what became of steps that it does not have to be asked for.

        Returns:
            The task; without one the host is over, or waits until a `settle` names it.
        """
        with self._lock:
            journey = self._journeys[host]
            before = len(journey.steps)
            task = self._task(journey)
            return task, tuple(journey.steps[before:])

    def settle(self, host: str, result: Result) -> tuple[str, ...]:
        """Take the result of a host's task.

        Returns:
            Hosts that waited and may go on, or are over.
        """
        with self._lock:
            journey = self._journeys[host]
            journey.pending = result.pending
            journey.trips += result.trips
            journey.duration_s += result.duration_s
            now = time.monotonic()
            for name, spent_s in result.begun.items():
                journey.begun.setdefault(name, now - spent_s)
            if result.lost is not None:
                journey.lost = result.lost
                journey.fate[LOST] = "the host was lost"
            self._behind(journey, result.steps)
            return self._woken()

    def journey(self, host: str) -> Journey:
        """One host's way, to be read when it is over or waits."""
        return self._journeys[host]

    def woken(self) -> tuple[str, ...]:
        """Hosts that waited and may go on; each is told once."""
        with self._lock:
            return self._woken()

    def _task(self, journey: Journey) -> Task | None:
        while not journey.is_over:
            stretch = journey.stretches[journey.at]
            if self._why:
                self._behind(journey, [_not_reached(one, self._why) for one in stretch])
                continue
            if not self._is_ready(journey):
                self._waiting[journey.host.name] = journey
                return None
            blocked = self._blocked(journey, stretch)
            reports = self._foregone(journey, stretch, blocked)
            if reports is None:
                now = time.monotonic()
                return Task(
                    host=journey.host,
                    steps=stretch,
                    blocked=blocked,
                    fate=dict(journey.fate),
                    pending=journey.pending,
                    past=self._past,
                    limit_s=None if self._limit is None else self._limit - now,
                    begun={name: now - began for name, began in journey.begun.items()},
                )
            self._behind(journey, reports)
        return None

    def _is_ready(self, journey: Journey) -> bool:
        if journey.is_over or self._why:
            return True
        first = journey.stretches[journey.at][0]
        if any(self._counts[name].left for name in first.awaits):
            return False
        if first.rolling is None:
            return True
        roll = self._rolls[first.rolling.name]
        return bool(roll.stopped) or roll.waves.wave_of[journey.host.name] <= roll.wave

    def _blocked(self, journey: Journey, stretch: Stretch) -> dict[str, str]:
        """The steps of a stretch that something on other hosts forbids, and why."""
        first = stretch[0]
        if first.rolling is not None and (stopped := self._rolls[first.rolling.name].stopped):
            return {one.name: stopped for one in stretch}
        by_awaits = {one.awaits: "" for one in stretch}
        for awaits in by_awaits:
            by_awaits[awaits] = self._forbidden(journey, awaits)
        return {one.name: why for one in stretch if (why := by_awaits[one.awaits])}

    def _forbidden(self, journey: Journey, awaits: frozenset[str]) -> str:
        """Why what awaits these steps may not begin; empty when it may."""
        for name, count in self._counts.items():
            if name in awaits and name in journey.fate:
                return journey.fate[name]
            if name in awaits and count.is_off:
                return self._called_off(count)
        return ""

    def _called_off(self, count: _Count) -> str:
        """Why what awaits a step is not begun: the failure, and where."""
        name = count.placed.name
        why = self._journeys[count.undone[0]].fate.get(name, f"{name} failed")
        more = len(count.undone) - _SHOWN
        where = ", ".join(count.undone[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        if " on " in why:
            return why
        if why.endswith(" failed"):
            return f"{why} on {where}"
        return f"{name} was not done on {where}: {why}"

    def _foregone(
        self, journey: Journey, stretch: Stretch, blocked: dict[str, str]
    ) -> list[StepReport] | None:
        """Reports for a stretch of which nothing is to be done; `None` when something is."""
        fate = dict(journey.fate)
        reports = []
        host = journey.host.name
        owed = self._past.owed.get(host, ())
        for one in stretch:
            if (host, one.name) in self._past.done:
                if one.name in owed:
                    return None
                reports.append(StepReport(step=one.name, status=StepStatus.RESUMED))
                continue
            why = obstacle(one, blocked, fate)
            if not why:
                return None
            fate[one.name] = why
            reports.append(StepReport(step=one.name, status=StepStatus.SKIPPED, reason=why))
        return reports

    def _behind(self, journey: Journey, reports: Iterable[StepReport]) -> None:
        """A host has a stretch behind it."""
        host = journey.host.name
        stretch = journey.stretches[journey.at]
        journey.at += 1
        has_failed = journey.lost is not None
        for report in reports:
            journey.steps.append(report)
            has_failed = has_failed or report.error is not None
            count = self._counts[report.step]
            count.left -= 1
            if why := doom(report):
                journey.fate[report.step] = why
                count.undone.append(host)
        if has_failed and not journey.has_failed:
            journey.has_failed = True
            self._failed += 1
            self._judge()
        rolling = stretch[0].rolling
        is_through = journey.is_over or journey.stretches[journey.at][0].rolling != rolling
        if rolling is not None and is_through:
            self._roll(self._rolls[rolling.name], journey)

    def _judge(self) -> None:
        """Call the run off when too many hosts have failed."""
        total = len(self._journeys)
        if self._max_fail is not None and exceeds(self._failed, self._max_fail, total):
            self._halt(f"{self._failed} of {total} hosts failed (--max-fail {self._max_fail})")

    def _roll(self, roll: _Roll, journey: Journey) -> None:
        """A host is through with something that rolls."""
        name = roll.waves.rolling.name
        mine = (
            one.name
            for stretch in journey.stretches
            for one in stretch
            if one.rolling is not None and one.rolling.name == name
        )
        roll.failed += any(step in journey.fate for step in mine)
        if roll.stopped:
            return
        roll.left -= 1
        last = len(roll.waves.parts) - 1
        if roll.left == 0 and roll.wave < last:
            total = len(roll.waves.wave_of)
            allowed = roll.waves.rolling.max_fail
            if exceeds(roll.failed, allowed, total):
                roll.stopped = (
                    f"{name} was stopped after wave {roll.wave + 1} of {last + 1}: "
                    f"{roll.failed} of {total} hosts failed (max_fail {allowed})"
                )
                return
            roll.wave += 1
            roll.left = len(roll.waves.parts[roll.wave])

    def _woken(self) -> tuple[str, ...]:
        found = tuple(name for name, one in self._waiting.items() if self._is_ready(one))
        for name in found:
            del self._waiting[name]
        return found

    def _halt(self, why: str) -> None:
        if not self._why:
            self._why = why
            self._halted.set()


def _not_reached(placed: Placed, why: str) -> StepReport:
    return StepReport(step=placed.name, status=StepStatus.NOT_REACHED, reason=why)
