"""What the batch that changes a host holds, and what can be left out of it: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.shell import GuardedReply, Script, Verdict
from kubexm.shell.frame import may_read_later

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kubexm.facts import Facts
    from kubexm.runner.decide import Decision
    from kubexm.runner.operation import Scope


class _Altered:
    """What some changes alter. Two paths that end alike may lead to one file."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._last_parts: set[str] = set()
        self._beginnings: tuple[str, ...] = ()

    def add(self, scope: Scope) -> None:
        """One more change alters this."""
        for name in scope:
            if name.endswith("*"):
                self._beginnings += (name[:-1],)
            else:
                self._names.add(name)
                self._last_parts.add(name.rpartition("/")[2])

    def meets(self, scope: Scope) -> bool:
        """Whether what depends on this may be another thing now."""
        return any(map(self._meets, scope))

    def _meets(self, name: str) -> bool:
        if name.endswith("*"):
            start = name[:-1]
            return any(one.startswith(start) for one in (*self._names, *self._beginnings)) or (
                start.startswith(self._beginnings)
            )
        return (
            name in self._names
            or name.rpartition("/")[2] in self._last_parts
            or name.startswith(self._beginnings)
        )


def cut(decisions: Sequence[Decision]) -> tuple[Sequence[Decision], Sequence[Decision]]:
    """Up to and with the first change that alters facts, and what is decided after it."""
    first = next((n for n, d in enumerate(decisions) if d.alters_facts), len(decisions) - 1)
    return decisions[: first + 1], decisions[first + 1 :]


def undisturbed(batch: Iterable[Decision], facts: Facts) -> frozenset[int]:
    """Operations that are as they should be, and stay so behind the changes before them.

    What was read before the batch is as true for them as for those in front of the first change:
    their readings are lasting (see `Script`), and none of these changes alters what they touch.
    """
    altered = _Altered()
    found: set[int] = set()
    for position, decision in enumerate(batch):
        op = decision.bound.op
        if decision.change is not None:
            altered.add(op.alters())
        elif decision.settled and _lasts(decision, facts) and not altered.meets(op.touches()):
            found.add(position)
    return frozenset(found)


def _lasts(decision: Decision, facts: Facts) -> bool:
    return decision.bound.probe(facts).lasting


def with_undisturbed(
    replies: Iterable[GuardedReply], batch: Sequence[Decision], left_out: frozenset[int]
) -> list[GuardedReply]:
    """The replies of a batch together with what those that were left out of it would have answered.

    It ends where the replies do.
    """
    said = iter(replies)
    found: list[GuardedReply] = []
    mode = Verdict.SAME
    for position, decision in enumerate(batch):
        if position in left_out:
            reading = decision.reading if mode is Verdict.STALE else None
            found.append(GuardedReply(verdict=mode, reading=reading))
            continue
        reply = next(said, None)
        if reply is None:
            break
        found.append(reply)
        match reply.verdict:
            case Verdict.STALE:
                mode = Verdict.STALE
            case Verdict.FAILED | Verdict.UNMET:
                mode = Verdict.SKIPPED
            case _:
                pass
    return found


def read_together(batch: Sequence[Decision], facts: Facts) -> Mapping[int, Script]:
    """The probes that are left to the end of a batch, by the position of their operation.

    There one look tells the state of all of them (`Script.answer`). It is still the state after
    their own changes, because no change behind them alters what they read.
    """
    found: dict[int, Script] = {}
    altered = _Altered()
    for position, decision in reversed(list(enumerate(batch))):
        op, change = decision.bound.op, decision.change
        if change is None:
            continue
        probe = decision.bound.probe(facts)
        if may_read_later(probe, change.script) and not altered.meets(op.touches()):
            found[position] = probe
        altered.add(op.alters())
    return dict(reversed(found.items()))
