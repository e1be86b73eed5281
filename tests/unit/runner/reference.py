"""What `converge` has to come to: the operations one by one, each with a shell of its own.

The design departs from plain sequence in two places, and so does this: after an operation
that did not converge, what the same batch had decided already is still applied; and what was as
it should be and lasting is not read again when no change of its batch alters what it depends on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import HostError, UnsupportedError
from kubexm.facts import parse, script
from kubexm.runner import Status
from kubexm.runner.operation import overlaps
from tests.unit.runner.keyed import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubexm.facts import Facts
    from kubexm.runner import Scope
    from kubexm.runner.operation import AnyHandler
    from kubexm.shell import Reply, Script
    from tests.unit.runner.keyed import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Status of each operation, and round trips."""

    statuses: tuple[Status, ...]
    trips: int


def probes(operations: Sequence[Key], facts: Facts) -> list[Script]:
    """Those that can be made with these facts, up to the first that cannot."""
    found = []
    for op in operations:
        try:
            found.append(CATALOGUE.handler(op, CATALOGUE.family(facts), facts).probe(op, facts))
        except UnsupportedError:
            break
    return found


def _is_settled(handler: AnyHandler, op: Key, reading: Reply, facts: Facts) -> bool:
    try:
        return handler.change(op, handler.read(op, reading, facts), facts) is None
    except HostError:
        return False


def sequence(run: Callable[[Script], Reply], operations: Sequence[Key], facts: Facts) -> Expected:
    """Bring the machine to the state step by step, and count what the batches would cost."""
    statuses: list[Status] = []
    trips, batch, doomed = 1, False, False  # batch: one that changes things is under way
    altered: Scope = frozenset()  # by that batch
    texts = probes(operations, facts)
    readings = [run(text) for text in texts]
    for number, op in enumerate(operations):
        if number == len(texts):
            statuses += [] if doomed else [Status.FAILED]
            break
        handler = CATALOGUE.handler(op, CATALOGUE.family(facts), facts)
        is_left_out = (
            batch
            and op.lasting
            and not overlaps(altered, op.touches())
            and _is_settled(handler, op, readings[number], facts)
        )
        now = readings[number] if is_left_out else run(texts[number])
        if batch and now != readings[number]:  # stale: decided again on fresh readings
            batch = False
            if doomed:
                break
            readings = readings[:number] + [run(text) for text in texts[number:]]
        try:
            change = handler.change(op, handler.read(op, now, facts), facts)
        except HostError:
            statuses.append(Status.FAILED)
            break
        if change is None:
            statuses.append(Status.OK)
            continue
        if not batch and op.flaps:  # three batches find another reading than the decision's
            statuses.append(Status.FAILED)
            trips += 3
            break
        trips += not batch
        altered = op.alters() | (altered if batch else frozenset())
        batch = True
        if run(change.script).exit_status != 0:
            statuses.append(Status.FAILED)
            break
        after = handler.change(op, handler.read(op, run(texts[number]), facts), facts)
        statuses.append(Status.CHANGED if after is None else Status.FAILED)
        doomed = doomed or after is not None
        if change.alters_facts:
            batch = False
            if doomed:
                break
            facts = parse(run(script()))
            old, new = texts[number + 1 :], probes(operations[number + 1 :], facts)
            trips += old[: len(new)] != new
            texts = texts[: number + 1] + new
            readings = readings[: number + 1] + [run(text) for text in new]
    statuses += [Status.SKIPPED] * (len(operations) - len(statuses))
    return Expected(statuses=tuple(statuses), trips=trips)
