"""One step's turn on one host: its items, its attempts, and what they come to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from kubexm.engine.report import StepStatus
from kubexm.errors import HostError
from kubexm.runner import Operation, Outcome, Status, first_error

if TYPE_CHECKING:
    from kubexm.errors import KubexmError
    from kubexm.plan import Item, Placed

Attempt: TypeAlias = tuple[Outcome, ...]
"""The outcomes of all items of a step, in order."""


@dataclass(slots=True, kw_only=True, eq=False)
class Turn:
    """A step at work on a host. One thread uses it.

    Args:
        placed: The step.
        items: What it asks of the host; empty before that is known.
        finished: Procedures that need not be done again when the step is.
        tries: Attempts so far.
        limit: When its time is up, by `time.monotonic`.
        foregone: How it ends without anything being asked of the host.
        reason: Why, then.
    """

    placed: Placed
    items: tuple[Item, ...] = ()
    finished: set[int] = field(default_factory=set)
    tries: int = 0
    limit: float | None = None
    foregone: StepStatus | None = None
    reason: str = ""
    _is_planned: bool = False
    _began: float = 0
    _kept: Attempt = ()

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Its items that are operations."""
        return tuple(item for item in self.items if isinstance(item, Operation))

    @property
    def has_procedures(self) -> bool:
        """Whether some of its items are procedures."""
        return any(not isinstance(item, Operation) for item in self.items)

    @property
    def changed(self) -> bool:
        """Whether any attempt has changed the host, or may have."""
        return any(outcome.changed or outcome.status is Status.UNKNOWN for outcome in self._kept)

    def may_join(self, first: Turn) -> bool:
        """Whether it may share round trips with a step before it, and so its deadline."""
        alone = self.placed.step.stands_alone
        return not alone and self.placed.limits == first.placed.limits

    @property
    def has_tries_left(self) -> bool:
        """Whether its policy has it tried again."""
        return self.tries <= self.placed.step.retry.times

    @property
    def status(self) -> StepStatus:
        """Of a step that is done."""
        if self.foregone is not None:
            return self.foregone
        return StepStatus.CHANGED if self.changed else StepStatus.OK

    def forgo(self, status: StepStatus, reason: str) -> None:
        """When its turn comes nothing is asked of the host."""
        self.items = ()
        self.foregone = status
        self.reason = reason

    def plan(self, items: tuple[Item, ...]) -> None:
        """Its items are known."""
        self.items = items
        self.foregone, self.reason = None, ""
        self._is_planned = True

    def begin(self, moment: float, begun: dict[str, float]) -> None:
        """An attempt begins.

        Args:
            moment: Now.
            begun: When the host began each plan that has a time limit; here it begins those that
                are missing.
        """
        self.tries += 1
        if self.tries > 1:
            return
        self._began = moment
        limits = [begun.setdefault(one.name, moment) + one.seconds for one in self.placed.limits]
        if self.placed.step.timeout_s:
            limits.append(moment + self.placed.step.timeout_s)
        self.limit = min(limits, default=None)

    def retract(self) -> None:
        """The attempt that has begun was none."""
        self.tries -= 1
        if not self.tries:
            self.limit = None

    def operations_from(self, at: int) -> tuple[Operation, ...]:
        """The operations from an item on, up to the next procedure."""
        found: list[Operation] = []
        for item in self.items[at:]:
            if not isinstance(item, Operation):
                break
            found.append(item)
        return tuple(found)

    def take(self, attempt: Attempt) -> None:
        """Keep what an attempt came to; what an earlier one changed stays changed."""
        if len(self._kept) != len(attempt):
            self._kept = attempt
            return
        self._kept = tuple(
            before if before.changed and after.status is Status.OK else after
            for before, after in zip(self._kept, attempt, strict=True)
        )

    def error(self, attempt: Attempt, *, check: bool) -> KubexmError | None:
        """Why an attempt does not count as done; `None` when it does."""
        if any(outcome.failed for outcome in attempt):
            return first_error(attempt) or HostError(f"{self.placed.name} failed")
        until = self.placed.step.retry.until
        if until is None or check or self.foregone is not None or until(attempt):
            return None
        self.finished.clear()
        times = "attempt" if self.tries == 1 else "attempts"
        message = f"{self.placed.name}: what it waits for did not come in {self.tries} {times}"
        return HostError(message, hint="look at the host, or give it a longer retry=")

    def next_delay_s(self) -> float:
        """How long to wait before the next attempt."""
        return self.placed.step.retry.delay_before(self.tries)

    def status_of_failure(self, attempt: Attempt) -> StepStatus:
        """Of a step that is not."""
        is_unknown = any(outcome.status is Status.UNKNOWN for outcome in attempt)
        return StepStatus.UNKNOWN if is_unknown else StepStatus.FAILED

    def outcomes(self) -> Attempt:
        """What to report: the attempts, or that what was planned was not begun."""
        if self._kept or not self._is_planned:
            return self._kept
        return tuple(Outcome(operation=item, status=Status.SKIPPED) for item in self.items)

    def duration_s(self) -> float:
        """Since its first attempt."""
        return round(time.monotonic() - self._began, 6) if self._began else 0.0
