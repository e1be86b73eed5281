"""From a reply to a decision: pure, so that check and apply cannot differ."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from kubexm.errors import HostError, UnmetError
from kubexm.runner.operation import (
    EVERYTHING,
    AnyHandler,
    Change,
    Notes,
    Operation,
    Scope,
    overlaps,
)
from kubexm.runner.outcome import Outcome, Status
from kubexm.shell import Guarded, Reply, Script, expectation

if TYPE_CHECKING:
    from kubexm.facts import Facts

_log = logging.getLogger(__name__)

PROBE_CAP_BYTES = 8 << 20
"""Kept of a reading; a larger one is an error, because nothing can be compared with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """An operation with the handler that this host needs for it."""

    op: Operation
    handler: AnyHandler

    def probe(self, facts: Facts) -> Script:
        """The handler's probe, secret when the operation is."""
        script = self.handler.probe(self.op, facts)
        return script.hidden() if self.op.is_secret else script


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one reading of one operation came to.

    `state` is `None` only with `error`; `change` is `None` when nothing is to be done.
    """

    bound: Bound
    reading: Reply
    state: object = None
    change: Change[object] | None = None
    error: HostError | None = None
    notes: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Read, and as it should be."""
        return self.change is None and self.error is None

    @property
    def alters_facts(self) -> bool:
        """Whether its change says that it does."""
        return self.change is not None and self.change.alters_facts

    @property
    def is_secret(self) -> bool:
        """Whether its states, its diff and its reading must not be shown."""
        return self.bound.op.is_secret or self.reading.secret

    def guarded(self, facts: Facts, *, read_later: bool = False) -> Guarded:
        """The operation's part of trip 2."""
        script = self.change.script if self.change is not None else None
        if script is not None and self.bound.op.is_secret:
            script = script.hidden()
        return Guarded(
            probe=self.bound.probe(facts),
            expected=expectation(self.reading),
            change=script,
            unmet=self.error is not None,
            read_later=read_later,
        )

    def outcome(self, status: Status, *, error: HostError | None = None) -> Outcome:
        """An outcome that shows this decision, without what is secret.

        After a change that did not come to its end nobody knows the state.
        """
        op, change, shown = self.bound.op, self.change, not self.is_secret
        after = self.state
        if change is not None:
            after = change.after if status is Status.CHANGED else None
        return Outcome(
            operation=op,
            status=status,
            before=self.state if shown else None,
            after=after if shown else None,
            diff=change.diff if shown and change is not None else "",
            notes=self.notes,
            error=error.during(op.label()) if error is not None else None,
        )


def decide(bound: Bound, reading: Reply, facts: Facts) -> Decision:
    """Read a reply and say what is to be done about it."""
    if reading.truncated:
        error = HostError(
            f"the reading of {bound.op.label()} is larger than {PROBE_CAP_BYTES >> 20} MiB",
            hint="nothing can be compared with a part of it; its handler has to read less",
        )
        return Decision(bound=bound, reading=reading, error=error)
    try:
        state = bound.handler.read(bound.op, reading, facts)
        change = bound.handler.change(bound.op, state, facts)
        notes = _notes(bound, state, facts)
    except HostError as error:
        return Decision(bound=bound, reading=reading, error=error)
    except Exception as problem:  # noqa: BLE001 - a handler's fault is its operation's alone
        fault = type(problem).__name__
        if not bound.op.is_secret:
            fault = f"{fault}: {problem}"
            _log.error("a fault in %s", type(bound.handler).__name__, exc_info=problem)
        foreign = HostError(
            f"a fault in the handler {type(bound.handler).__name__}: {fault}",
            hint="the traceback is on stderr; report it to the handler's author",
        )
        return Decision(bound=bound, reading=reading, error=foreign)
    return Decision(bound=bound, reading=reading, state=state, change=change, notes=notes)


def _notes(bound: Bound, state: object, facts: Facts) -> tuple[str, ...]:
    if _has_notes(type(bound.handler)):
        return cast("Notes", bound.handler).notes(bound.op, state, facts)
    return ()


@functools.cache
def _has_notes(handler: type) -> bool:
    """Whether it is a `Notes`; looking at a Protocol's every member costs more than deciding."""
    return issubclass(handler, Notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A change that check mode holds back: its label, and what it may alter in the end.

    What a later operation may come to do on account of it bears its label too.
    """

    label: str
    alters: Scope


def predict(
    decisions: list[Decision], facts: Facts, pending: tuple[Pending, ...] = ()
) -> tuple[tuple[Outcome, ...], tuple[Pending, ...]]:
    """What apply would do, from the readings alone.

    A prediction whose reading an earlier pending change may alter is marked by `rests_on`. One
    that is not marked is exact.

    Args:
        decisions: In order.
        facts: The host's.
        pending: Changes held back before these operations.

    Returns:
        The outcomes, and all changes held back so far.
    """
    outcomes: list[Outcome] = []
    for number, read in enumerate(decisions):
        touched = read.bound.op.touches()
        rests_on = _resting(pending, touched)
        decision = _assumed(read, facts) if read.error is not None and rests_on else read
        if decision.error is not None and not rests_on:
            outcomes.append(decision.outcome(Status.FAILED, error=decision.error))
            left = (later.bound.op for later in decisions[number + 1 :])
            outcomes += [Outcome(operation=op, status=Status.SKIPPED) for op in left]
            return tuple(outcomes), pending
        status = Status.OK if decision.settled else Status.CHANGED
        outcomes.append(replace(decision.outcome(status), rests_on=rests_on))
        pending += tuple(p for p in _held_back(decision, rests_on) if p not in pending)
    return tuple(outcomes), pending


def _resting(pending: tuple[Pending, ...], touched: Scope) -> tuple[str, ...]:
    """The labels of what may alter a reading, each once; facts count for every decision."""
    labels = [p.label for p in pending if p.alters == EVERYTHING or overlaps(p.alters, touched)]
    return tuple(dict.fromkeys(labels))


def _held_back(decision: Decision, rests_on: tuple[str, ...]) -> list[Pending]:
    """What a predicted operation may alter; one that would not change may yet have to."""
    op = decision.bound.op
    if decision.settled:
        return [Pending(label=label, alters=op.alters()) for label in rests_on]
    alters = EVERYTHING if decision.alters_facts else op.alters()
    return [Pending(label=op.label(), alters=alters)]


def _assumed(decision: Decision, facts: Facts) -> Decision:
    """The decision if the prerequisite were there; without an assumption it stays as it is."""
    if not isinstance(decision.error, UnmetError) or decision.error.assumed is None:
        return decision
    state = decision.error.assumed
    try:
        change = decision.bound.handler.change(decision.bound.op, state, facts)
    except HostError as error:
        return replace(decision, error=error)
    notes = _notes(decision.bound, state, facts)
    return replace(decision, state=state, change=change, error=None, notes=notes)
