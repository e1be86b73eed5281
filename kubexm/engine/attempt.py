"""One attempt at steps: what is sent to the host, and what the journal is told before it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kubexm.engine.fleet import as_error
from kubexm.engine.record import OWED, WHOLE, Intended, ProcedureEnded, Published
from kubexm.engine.turn import Attempt, Turn
from kubexm.errors import (
    DeadlineError,
    HostError,
    KubexmError,
    UnsupportedError,
    as_host_error,
)
from kubexm.plan import Shared, StepContext
from kubexm.runner import Operation, Outcome, Status

if TYPE_CHECKING:
    from kubexm.engine.control import Control
    from kubexm.engine.task import Task
    from kubexm.plan import Cluster, Item, Value, Values
    from kubexm.runner import Host as OpenHost
    from kubexm.runner import Procedure


class Attempts:
    """The way from steps to an open host. One thread uses it.

    Args:
        task: What is being done.
        machine: The host, open.
        cluster: For the bodies of steps.
        values: What steps share.
        control: The run around it.
    """

    def __init__(
        self,
        task: Task,
        machine: OpenHost,
        cluster: Cluster,
        values: Values,
        control: Control,
    ) -> None:
        self._task = task
        self._host = task.host
        self._machine = machine
        self._cluster = cluster
        self._values = values
        self._control = control
        self._limit = None if task.limit_s is None else time.monotonic() + task.limit_s
        self._patience_s = machine.deadline_s

    def together(self, group: list[Turn]) -> list[Attempt]:
        """One convergence for all operations of several steps; their outcomes, step by step.

        Raises:
            KubexmError: Nothing was done.
        """
        wanted = [(turn, item) for turn in group for item in range(len(turn.items))]
        operations = [op for turn in group for op in turn.operations]
        self._arm(group[0])

        def announce(positions: tuple[int, ...]) -> None:
            for turn in group:
                items = [wanted[at][1] for at in positions if wanted[at][0] is turn]
                if items:
                    self._intend(turn, items)

        outcomes = self._machine.converge(*operations, announce=announce)
        attempts, at = [], 0
        for turn in group:
            attempts.append(outcomes[at : at + len(turn.items)])
            at += len(turn.items)
        return attempts

    def in_turn(self, turn: Turn) -> Attempt:
        """A step with procedures: each by itself, the operations between them together.

        Returns:
            An outcome for every item; whatever goes wrong is one of them.
        """
        found: list[Outcome] = []
        while len(found) < len(turn.items) and not any(outcome.failed for outcome in found):
            item = turn.items[len(found)]
            try:
                found += self._from(turn, len(found))
            except Exception as problem:  # noqa: BLE001 - a handler or a procedure may have a fault
                error = as_host_error(as_error(problem, self._host.name))
                found.append(Outcome(operation=item, status=Status.FAILED, error=error))
        left = turn.items[len(found) :]
        return (*found, *(Outcome(operation=item, status=Status.SKIPPED) for item in left))

    def _from(self, turn: Turn, at: int) -> tuple[Outcome, ...]:
        """A procedure, or the operations up to the next one."""
        self._arm(turn)
        item = turn.items[at]
        if not isinstance(item, Operation):
            return (self._procedure(turn, at, item),)

        def announce(positions: tuple[int, ...]) -> None:
            self._intend(turn, [at + position for position in positions])

        return self._machine.converge(*turn.operations_from(at), announce=announce)

    def _procedure(self, turn: Turn, at: int, procedure: Procedure) -> Outcome:
        name = turn.placed.name
        key = (self._host.name, name, at)
        if at in turn.finished or key in self._task.past.procedures:
            return Outcome(operation=procedure, status=Status.OK, notes=("done before",))
        handed_out = (self._host.name, name, WHOLE)
        is_unknown = not self._task.past.unknown.isdisjoint({key, handed_out})
        if is_unknown and not procedure.repeatable:
            error = HostError(
                f"{procedure.label()}: it was begun earlier, and nobody saw how it ended",
                hint="look at the host, then say what you saw: "
                f"inv runs.settle {self._host.name} {name} done (or: again)",
            )
            return Outcome(operation=procedure, status=Status.UNKNOWN, error=error)
        if not self._machine.check:
            self._intend(turn, [at], procedure=True)
        outcome = self._machine.perform(procedure)
        if not self._machine.check:
            self._publish(name, outcome)
            ended = ProcedureEnded(host=self._host.name, step=name, item=at, outcome=outcome)
            self._control.record(ended)
        if not outcome.failed:
            turn.finished.add(at)
        return outcome

    def _publish(self, step: str, outcome: Outcome) -> None:
        shared = self.context(step).shared
        for name, value in outcome.values.items():
            shared.publish(name, value)

    def _intend(self, turn: Turn, items: list[int], *, procedure: bool = False) -> None:
        entry = Intended(
            host=self._host.name,
            step=turn.placed.name,
            item=items[0],
            labels=tuple(turn.items[item].label() for item in items),
            procedure=procedure,
            owes=bool(turn.placed.step.on_change),
        )
        self._control.record(entry)

    def owed(self, names: tuple[str, ...], items: list[Item]) -> tuple[Outcome, ...]:
        """The `on_change` work of some steps, up to the first failure."""
        turn = Turn(placed=next(p for p in self._task.steps if p.name == names[0]))
        turn.plan(tuple(items))
        labels = tuple(item.label() for item in items)
        if not self._machine.check:
            for name in names:
                entry = Intended(host=self._host.name, step=name, item=OWED, labels=labels)
                self._control.record(entry)
        self._machine.deadline_s = self._patience_s
        found: list[Outcome] = []
        while len(found) < len(items) and not any(outcome.failed for outcome in found):
            item = items[len(found)]
            if isinstance(item, Operation):
                found += self._machine.converge(*turn.operations_from(len(found)))
            else:
                found.append(self._machine.perform(item))
        return tuple(found)

    def culprit(self, group: list[Turn], error: KubexmError) -> Turn:
        """The step that an error belongs to which kept all of a group from being begun."""
        if isinstance(error, UnsupportedError):
            for turn in group:
                for operation in turn.operations:
                    try:
                        self._machine.handler(operation)
                    except KubexmError:
                        return turn
        return next((turn for turn in group if turn.items), group[0])

    def context(self, step: str) -> StepContext:
        """What the body of a step sees now."""
        host = self._host.name

        def published(name: str, value: Value) -> None:
            self._control.record(Published(host=host, step=step, name=name, value=value))

        shared = Shared(host=host, values=self._values, published=published)
        return StepContext(
            host=self._host,
            facts=self._machine.facts,
            cluster=self._cluster,
            shared=shared,
            step=step,
        )

    def _arm(self, turn: Turn) -> None:
        """Set the deadline of the next trip.

        Raises:
            DeadlineError: There is no time left for it.
        """
        left_s = self.left_s(turn)
        if left_s is not None and left_s <= 0:
            message = f"no time was left for {turn.placed.name}"
            whose = " or ".join(("it", *(limit.plan for limit in turn.placed.limits)))
            raise DeadlineError(
                message, hint=f"give {whose} a longer timeout_s, or the run more time"
            )
        patience_s = self._patience_s
        self._machine.deadline_s = patience_s if left_s is None else min(patience_s, left_s)

    @property
    def is_late(self) -> bool:
        """Whether the run's time is up."""
        return self._limit is not None and time.monotonic() >= self._limit

    def left_s(self, turn: Turn) -> float | None:
        """Seconds until a step's time or the run's is up; `None` when neither has a limit."""
        limits = [limit for limit in (self._limit, turn.limit) if limit is not None]
        return min(limits) - time.monotonic() if limits else None
