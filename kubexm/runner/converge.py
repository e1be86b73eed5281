"""Bring one host to a state: one trip when nothing changes, two when something does.

Trip 1 reads everything. Trip 2 applies, in order, from the first operation that changes;
each operation's reading is taken again on the machine and compared with the one that the
decision rests on (optimistic concurrency), so a decision is never applied to a state that it
was not made for; but for lasting readings that no change of the batch alters. See DESIGN §5 for
the rules by number.
"""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from kubexm.errors import DeadlineError, HostError, KubexmError, UnsupportedError, as_host_error
from kubexm.runner.decide import PROBE_CAP_BYTES, Bound, Decision, Pending, decide, predict
from kubexm.runner.judge import judge, unstable
from kubexm.runner.outcome import Outcome, Status
from kubexm.shell import BatchReply, Frame, GuardedReply, Reply, Script, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kubexm.runner.host import Host
    from kubexm.runner.operation import Operation
    from kubexm.shell.frame import FrameReply

_PATIENCE = 2

Announce: TypeAlias = "Callable[[tuple[int, ...]], None]"
"""Told before each batch that changes something: which operations, by their position."""


def _silent(positions: tuple[int, ...]) -> None:
    del positions


def converge(
    host: Host, operations: Sequence[Operation], *, announce: Announce = _silent
) -> tuple[Outcome, ...]:
    """Bring the host to the state that the operations describe, in order.

    Args:
        host: An open host; its facts are replaced when a change altered them.
        operations: What should be. Sequential meaning: an operation may rest on those before.
        announce: See `Announce`; an error of ours that it raises is the outcome of the first of
            them, and the batch is not sent.

    Returns:
        One outcome per operation, in order. Failures are outcomes, not exceptions.

    Raises:
        UnsupportedError: An operation has no handler on this host; nothing was done.
        SessionLostError: The link broke during trip 1; nothing was done.
        DeadlineError: Time ran out during trip 1; nothing was done.
    """
    if not operations:
        return ()
    return _Run(host, operations, announce).apply()


def check(
    host: Host, operations: Sequence[Operation], pending: tuple[Pending, ...] = ()
) -> tuple[tuple[Outcome, ...], tuple[Pending, ...]]:
    """What `converge` would do: the same code without the second trip.

    Args:
        host: An open host.
        operations: What should be.
        pending: Changes that earlier checks on this host held back.

    Returns:
        The outcomes, and every change held back so far.

    Raises:
        HostError: As `converge` does.
    """
    if not operations:
        return (), pending
    return predict(_Run(host, operations).read(), host.facts, pending)


class _Run:
    """One convergence. What has an outcome is done; everything else starts behind it."""

    def __init__(
        self, host: Host, operations: Sequence[Operation], announce: Announce = _silent
    ) -> None:
        self._host = host
        self._announce = announce
        self._operations = tuple(operations)
        self._bound = [Bound(op=op, handler=host.handler(op)) for op in operations]
        self._unbound: UnsupportedError | None = None
        self._outcomes: list[Outcome] = []
        self._stale = [0] * len(operations)
        self._seconds = [0.0] * len(operations)

    def read(self) -> list[Decision]:
        """Trip 1."""
        return self._decide(_plain(self._ask().whole()))

    def apply(self) -> tuple[Outcome, ...]:
        """All trips, until every operation has its outcome."""
        decisions = self._settle(self.read())
        while decisions:
            decisions = self._settle(self._change(decisions))
        if self._unbound is not None:
            self._stop(self._unbound)
        for op in self._operations[len(self._outcomes) :]:
            self._skip(op)
        return tuple(
            replace(outcome, duration_s=round(seconds, 6))
            for outcome, seconds in zip(self._outcomes, self._seconds, strict=True)
        )

    def _ask(self) -> BatchReply:
        probes = [bound.probe(self._host.facts) for bound in self._rest]
        return self._trip(probes, operations=len(probes))

    def _decide(self, readings: Iterable[Reply]) -> list[Decision]:
        pairs = zip(self._rest, readings, strict=True)
        return [decide(bound, reading, self._host.facts) for bound, reading in pairs]

    def _settle(self, decisions: Sequence[Decision]) -> Sequence[Decision]:
        """Record what needs nothing; what is left begins with a change.

        Nothing of ours may have run since the readings, because what is recorded here is not
        read again.
        """
        for number, decision in enumerate(decisions):
            if decision.error is not None:
                self._outcomes.append(decision.outcome(Status.FAILED, error=decision.error))
                return []
            if decision.change is not None:
                return decisions[number:]
            self._outcomes.append(decision.outcome(Status.OK))
        return []

    def _change(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Trip 2 for decisions whose first one changes.

        Returns:
            What is left, decided on readings that no change since has altered; nothing when this
            was the end.
        """
        # whoever only pings loads this module, not those
        from kubexm.facts import parse, script
        from kubexm.runner.batch import cut, read_together, undisturbed, with_undisturbed

        facts = self._host.facts
        batch, later = cut(decisions)
        probes = [decision.bound.probe(facts) for decision in later]
        together = read_together(batch, facts)
        left_out = undisturbed(batch, facts)
        frames: list[Frame] = [
            decision.guarded(facts, read_later=number in together)
            for number, decision in enumerate(batch)
            if number not in left_out
        ]
        frames += together.values()
        if batch[-1].alters_facts:
            frames += [script(), *probes]
        at = len(self._outcomes)
        try:
            self._announce(tuple(at + n for n, d in enumerate(batch) if d.change is not None))
        except KubexmError as error:
            self._stop(as_host_error(error))
            return []
        trips = self._host.session.trips
        result = self._trip(frames, operations=len(batch))
        guarded = (reply for reply in result.replies if isinstance(reply, GuardedReply))
        replies = with_undisturbed(guarded, batch, left_out)
        plain = _plain(result.replies)
        readings = dict(zip(together, plain, strict=False))
        del plain[: len(together)]
        attempted = [r for r in replies if r.verdict not in (Verdict.STALE, Verdict.SKIPPED)]
        for number, (decision, reply) in enumerate(zip(batch, attempted, strict=False)):
            if number in readings and reply.verdict is Verdict.CHANGED:
                reply = replace(reply, reading=readings[number])  # noqa: PLW2901 - made whole
            self._outcomes.append(_with_cause(judge(decision, reply, facts), result.ended_by))
        left = batch[len(attempted) :]
        if plain and not left:
            self._host.facts = parse(plain[0], image=self._host.image)
        if result.ended_by is not None:
            has_begun = self._host.session.trips > trips and len(replies) == len(attempted)
            halted = attempted and attempted[-1].verdict in (Verdict.FAILED, Verdict.UNMET)
            self._ended(left if has_begun and not halted else [], result.ended_by)
        if self._failed:
            return []
        if not left:
            return self._on_new_facts(probes, plain[1:]) if plain else []
        fresh = [r.reading for r in replies if r.verdict is Verdict.STALE and r.reading is not None]
        if not attempted and self._is_unstable(left[0], fresh[0]):
            return []
        return self._decide([*fresh, *plain[1:]])

    def _on_new_facts(self, probes: list[Script], readings: list[Reply]) -> list[Decision]:
        """What is left after a change that altered facts, decided on the new ones.

        The readings came with the batch; they are of use when the new facts lead to the same
        probes.
        """
        facts = self._host.facts
        self._unbound = None
        del self._bound[len(self._outcomes) :]
        try:
            for op in self._operations[len(self._bound) :]:
                self._bound.append(Bound(op=op, handler=self._host.handler(op)))
        except UnsupportedError as error:
            self._unbound = error
        if [bound.probe(facts) for bound in self._rest] != probes[: len(self._rest)]:
            result = self._ask()
            if result.ended_by is not None:
                self._stop(result.ended_by)
                return []
            readings = _plain(result.replies)
        return self._decide(readings[: len(self._rest)])

    def _ended(self, at_work: Sequence[Decision], error: HostError) -> None:
        """Record a batch that broke off: of the operations at work the first is unknown.

        After a lost link so is every change behind it, because the machine may have gone on
        before it noticed. With none at work, it is known that nothing more was changed.
        """
        if not at_work:
            self._stop(error)
            return
        self._outcomes.append(at_work[0].outcome(Status.UNKNOWN, error=error))
        alone = isinstance(error, DeadlineError)
        for decision in at_work[1:]:
            if decision.change is None or alone:
                self._skip(decision.bound.op)
            else:
                self._outcomes.append(decision.outcome(Status.UNKNOWN))

    def _is_unstable(self, decision: Decision, fresh: Reply) -> bool:
        """Count a reading that changed although nothing of ours ran since; fail at last."""
        at = len(self._outcomes)
        self._stale[at] += 1
        if self._stale[at] > _PATIENCE:
            self._stop(unstable(decision, fresh))
        return self._failed

    def _stop(self, error: HostError) -> None:
        """Fail the next operation, which has not been changed; none after a failure."""
        if self._failed or len(self._outcomes) == len(self._operations):
            return
        op = self._operations[len(self._outcomes)]
        shown = error.during(op.label())
        self._outcomes.append(Outcome(operation=op, status=Status.FAILED, error=shown))

    def _skip(self, op: Operation) -> None:
        self._outcomes.append(Outcome(operation=op, status=Status.SKIPPED))

    @property
    def _rest(self) -> list[Bound]:
        return self._bound[len(self._outcomes) :]

    @property
    def _failed(self) -> bool:
        return any(outcome.failed for outcome in self._outcomes)

    def _trip(self, frames: Sequence[Frame], *, operations: int) -> BatchReply:
        at = len(self._outcomes)
        began = time.monotonic()
        result = self._host.session.run(
            frames, deadline_s=self._host.deadline_s, cap_bytes=PROBE_CAP_BYTES
        )
        share = (time.monotonic() - began) / operations
        for position in range(at, at + operations):
            self._seconds[position] += share
        return result


def _plain(replies: Iterable[FrameReply]) -> list[Reply]:
    return [reply for reply in replies if isinstance(reply, Reply)]


def _with_cause(outcome: Outcome, ended_by: HostError | None) -> Outcome:
    """A change that nobody has read, with what kept it from being read."""
    if outcome.status is not Status.UNKNOWN or ended_by is None:
        return outcome
    return replace(outcome, error=copy.copy(ended_by).during(outcome.label))
