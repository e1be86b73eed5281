"""One host's work on a stretch of steps: as few round trips as they allow."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from kubexm.engine.attempt import Attempts
from kubexm.engine.event import HostPlanned, OperationEnded, StepEnded
from kubexm.engine.fleet import as_error, now
from kubexm.engine.record import (
    Repaid,
    StepSettled,
)
from kubexm.engine.report import StepReport, StepStatus
from kubexm.engine.task import DONE, Result, doom, obstacle
from kubexm.engine.turn import Attempt, Turn
from kubexm.errors import (
    HostError,
    KubexmError,
)
from kubexm.plan import UnpublishedError, items_of
from kubexm.runner import Status, first_error

if TYPE_CHECKING:
    from kubexm.engine.control import Control
    from kubexm.engine.task import Task
    from kubexm.plan import Body, Cluster, Item, Placed, Values
    from kubexm.runner import Host as OpenHost


class Stint:
    """An open host at work on a task. One thread uses it, once.

    Args:
        task: What to do.
        machine: The host, open.
        cluster: For the bodies of steps.
        values: What steps share.
        control: The run around it.
        run: The run's id.
    """

    def __init__(
        self,
        task: Task,
        machine: OpenHost,
        cluster: Cluster,
        values: Values,
        control: Control,
        *,
        run: str,
    ) -> None:
        self._task = task
        self._host = task.host
        self._machine = machine
        self._control = control
        self._run = run
        self._attempts = Attempts(task, machine, cluster, values, control)
        self._fate = dict(task.fate)
        self._queue: deque[Turn] = deque(Turn(placed=placed) for placed in task.steps)
        self._reports: dict[str, StepReport] = {}
        self._told = 0
        moment = time.monotonic()
        self._begun = {name: moment - spent_s for name, spent_s in task.begun.items()}
        self._due: list[Placed] = []
        """Done steps whose `on_change` work is owed."""

    def run(self) -> tuple[StepReport, ...]:
        """Do the steps; failures are in their reports."""
        while self._queue:
            if why := self._halted():
                for turn in self._queue:
                    self._settle(turn, StepStatus.NOT_REACHED, reason=why)
                break
            group = self._gather()
            if group:
                self._do(group)
            self._repay()
            self._tell()
        self._tell()
        return self.reports()

    def reports(self) -> tuple[StepReport, ...]:
        """Of the steps that are over, in the plan's order."""
        order = (placed.name for placed in self._task.steps)
        return tuple(self._reports[name] for name in order if name in self._reports)

    def fail(self, problem: Exception) -> tuple[StepReport, ...]:
        """A report for every step, after an error that no step expected."""
        error = as_error(problem, self._host.name)
        for placed in self._task.steps:
            if placed.name in self._reports:
                continue
            if why := obstacle(placed, self._task.blocked, self._fate):
                report = StepReport(step=placed.name, status=StepStatus.SKIPPED, reason=why)
            else:
                report = StepReport(step=placed.name, status=StepStatus.FAILED, error=error)
            self._reports[placed.name] = report
            self._doom(report)
        self._tell()
        return self.reports()

    def begun(self) -> dict[str, float]:
        """Seconds since the host began each plan that has a time limit."""
        moment = time.monotonic()
        return {name: moment - began for name, began in self._begun.items()}

    def _halted(self) -> str:
        if self._attempts.is_late:
            return "the run's time was up"
        return self._control.halted()

    # -- what to do next

    def _gather(self) -> list[Turn]:
        """The next steps that share round trips; those that need none are settled here."""
        group: list[Turn] = []
        while self._queue:
            turn = self._queue[0]
            if group and not turn.may_join(group[0]):
                break
            if self._is_settled_at_once(turn):
                self._queue.popleft()
                continue
            context = self._attempts.context(turn.placed.name)
            try:
                is_needed = all(holds(context) for holds in turn.placed.conditions)
                items = turn.placed.step.items(context) if is_needed else ()
            except UnpublishedError as error:
                if self._machine.check:
                    # nobody could have made the value
                    turn.forgo(StepStatus.UNPREDICTED, str(error))
                    group.append(self._queue.popleft())
                    continue
                self._queue.popleft()
                self._refuse(turn, group, error)
                continue
            except Exception as problem:  # noqa: BLE001 - a body is its author's code
                self._queue.popleft()
                self._refuse(turn, group, as_error(problem, self._host.name))
                continue
            turn.plan(items)
            if not is_needed:
                turn.forgo(StepStatus.NOT_NEEDED, "its condition does not hold")
            if group and turn.has_procedures:
                break
            group.append(self._queue.popleft())
            if turn.has_procedures or turn.placed.step.stands_alone:
                break
        if group:
            self._control.emit(
                HostPlanned(
                    run=self._run,
                    time=now(),
                    host=self._host.name,
                    steps=len(group),
                    operations=sum(len(turn.items) for turn in group),
                )
            )
        return group

    def _is_settled_at_once(self, turn: Turn) -> bool:
        placed = turn.placed
        if (self._host.name, placed.name) in self._task.past.done:
            self._settle(turn, StepStatus.RESUMED)
            return True
        if why := obstacle(placed, self._task.blocked, self._fate):
            self._settle(turn, StepStatus.SKIPPED, reason=why)
            return True
        return False

    def _refuse(self, turn: Turn, group: list[Turn], error: KubexmError) -> None:
        """A step cannot even be asked for: then nothing that would share its trips is begun."""
        why = f"{turn.placed.name} failed before anything was changed"
        for earlier in group:
            self._settle(earlier, StepStatus.SKIPPED, reason=why)
        group.clear()
        self._settle(turn, StepStatus.FAILED, error=error)

    # -- doing it

    def _do(self, group: list[Turn]) -> None:
        """Steps that share round trips, or one step by itself."""
        began = time.monotonic()
        for turn in group:
            turn.begin(began, self._begun)
        try:
            if self._machine.session.broken:
                self._machine.reconnect()
            if group[0].has_procedures:
                attempts = [self._attempts.in_turn(group[0])]
            else:
                attempts = self._attempts.together(group)
        except Exception as problem:  # noqa: BLE001 - a handler or a procedure may have a fault
            self._not_begun(group, as_error(problem, self._host.name))
            return
        for number, (turn, attempt) in enumerate(zip(group, attempts, strict=True)):
            turn.take(attempt)
            error = turn.error(attempt, check=self._machine.check)
            if error is None:
                self._settle(turn, turn.status, reason=turn.reason)
                continue
            if self._again(turn):
                self._put_back(group[number + 1 :])
                self._queue.appendleft(turn)
                return
            self._settle(turn, turn.status_of_failure(attempt), error=error)
            self._after_failure(group[number + 1 :], attempts[number + 1 :])
            return

    def _after_failure(self, turns: list[Turn], attempts: list[Attempt]) -> None:
        """Steps behind a failure: changed unseen, or not begun and perhaps still to be."""
        left = []
        for turn, attempt in zip(turns, attempts, strict=True):
            if any(outcome.status is Status.UNKNOWN for outcome in attempt):
                turn.take(attempt)
                self._settle(turn, StepStatus.UNKNOWN, error=_unknown(turn))
            else:
                left.append(turn)
        self._put_back(left)

    def _put_back(self, turns: list[Turn]) -> None:
        """Steps whose turn was not used come next."""
        for turn in reversed(turns):
            turn.retract()
            self._queue.appendleft(turn)

    def _not_begun(self, group: list[Turn], error: KubexmError) -> None:
        """Nothing of these steps was done; the error belongs to one of them."""
        culprit = self._attempts.culprit(group, error)
        at = group.index(culprit)
        before, behind = group[:at], group[at + 1 :]
        self._put_back(behind)
        if self._again(culprit):
            self._queue.appendleft(culprit)
            self._put_back(before)
            return
        self._refuse(culprit, before, error)

    def _again(self, turn: Turn) -> bool:
        """Whether to try a step again; waits before that."""
        if self._machine.check or not turn.has_tries_left:
            return False
        left_s = self._attempts.left_s(turn)
        delay_s = turn.next_delay_s()
        if left_s is not None and delay_s >= left_s:
            return False
        return not self._control.wait(delay_s)

    # -- what is owed

    def _repay(self) -> None:
        """Do the `on_change` work of the steps that are done, each piece once."""
        due, self._due = self._due, []
        if not due or self._machine.session.broken or self._control.is_urgent():
            return
        names = tuple(placed.name for placed in due)
        items: list[Item] = []
        try:
            for placed in due:
                found = self._items(placed.step.on_change, placed.name)
                items += [item for item in found if item not in items]
            outcomes = self._attempts.owed(names, items)
            error: KubexmError | None = first_error(outcomes)
        except Exception as problem:  # noqa: BLE001 - as in `_do`
            outcomes, error = (), as_error(problem, self._host.name)
        if error is None and not self._machine.check:
            self._control.record(Repaid(host=self._host.name, steps=names))
        for number, name in enumerate(names):
            report = self._reports[name]
            report = replace(
                report,
                outcomes=report.outcomes + (outcomes if number == 0 else ()),
                owes=error is not None,
            )
            if error is not None:
                report = replace(report, status=StepStatus.FAILED, error=error)
                self._control.record(StepSettled(host=self._host.name, report=report))
                self._doom(report)
            self._reports[name] = report

    def _items(self, body: Body, step: str) -> tuple[Item, ...]:
        return items_of(body, self._attempts.context(step))

    # -- how it ended

    def _settle(
        self,
        turn: Turn,
        status: StepStatus,
        *,
        reason: str = "",
        error: KubexmError | None = None,
    ) -> None:
        step = turn.placed.step
        is_owing = bool(step.on_change) and (
            turn.changed or (status in DONE and self._was_owing(turn.placed.name))
        )
        if isinstance(error, HostError):
            error.on(self._host.name)
        report = StepReport(
            step=turn.placed.name,
            status=status,
            reason=reason,
            outcomes=turn.outcomes(),
            error=error,
            owes=is_owing,
            duration_s=turn.duration_s(),
        )
        self._reports[report.step] = report
        self._doom(report)
        if is_owing and status in DONE:
            self._due.append(turn.placed)
        self._control.record(StepSettled(host=self._host.name, report=report))

    def _was_owing(self, name: str) -> bool:
        return name in self._task.past.owed.get(self._host.name, ())

    def _doom(self, report: StepReport) -> None:
        if why := doom(report):
            self._fate[report.step] = why

    def _tell(self) -> None:
        """The events of the steps that are over and have not been told."""
        reports = self.reports()
        for report in reports[self._told :]:
            for outcome in report.outcomes:
                self._control.emit(
                    OperationEnded(
                        run=self._run,
                        time=now(),
                        host=self._host.name,
                        step=report.step,
                        outcome=outcome,
                    )
                )
            self._control.emit(
                StepEnded(run=self._run, time=now(), host=self._host.name, report=report)
            )
        self._told = len(reports)


def _unknown(turn: Turn) -> HostError:
    name = turn.placed.name
    return HostError(f"whether {name} took effect is unknown", hint="run again")


def stint(
    task: Task,
    machine: OpenHost,
    cluster: Cluster,
    values: Values,
    control: Control,
    *,
    run: str,
) -> Result:
    """Do a task on an open host. See `Stint`.

    Returns:
        What it came to, but for its trips and its time, since who calls has opened the host.
        Failures are in the reports, not raised.
    """
    work = Stint(task, machine, cluster, values, control, run=run)
    try:
        steps = work.run()
    except Exception as problem:  # noqa: BLE001 - the engine's per-host border (DESIGN §9)
        steps = work.fail(problem)
    return Result(steps=steps, pending=machine.pending, begun=work.begun())
