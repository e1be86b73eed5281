"""What the engine tells a journal, and what a resumed run knows of the one before it.

The engine calls `Recorder.record` from the threads of many hosts, and goes on only when it
returns: an `Intended` is on disk before the change that it announces is on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubexm.engine.report import RunReport, StepReport
    from kubexm.plan import Value
    from kubexm.runner import Outcome


OWED = -1
"""The item that stands for the `on_change` work of a step."""

WHOLE = -2
"""The item that stands for a step as a whole, which another process is about to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegan:
    """The first entry of a run; nothing has been connected to.

    Args:
        run: The run's id.
        plan: The plan's name.
        digest: Of the whole plan.
        steps: The digest of each step by its name, in the order in which hosts take them.
        hosts: The digest of what the inventory says about each host of the run, by its name.
        check: Nothing is changed; no `Intended` will follow.
    """

    run: str
    plan: str
    digest: str
    steps: Mapping[str, str]
    hosts: Mapping[str, str]
    check: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """A host is about to be changed by a step.

    What was intended has ended with the `ProcedureEnded` of that item, or the `StepSettled` or
    `Repaid` of that step; without one of them nobody knows whether it took effect.

    Args:
        host: Its name.
        step: Its name.
        item: Which of the step's items, counted from 0: the procedure, or the first of the
            operations that are to change something; or `OWED`, or `WHOLE`.
        labels: What is about to be done, in words free of secrets.
        procedure: It is a procedure: doing it again may not be the same as doing it once.
        owes: The step has `on_change` work, which is owed from now on.
    """

    host: str
    step: str
    item: int
    labels: tuple[str, ...]
    procedure: bool = False
    owes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureEnded:
    """A procedure of a step has come to its end, whatever that was. See `Intended`."""

    host: str
    step: str
    item: int
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A step has published a value; a later value of that name and host replaces it."""

    host: str
    step: str
    name: str
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSettled:
    """A step is over on a host: done, failed, or skipped with the reason.

    `report.owes` says that its `on_change` work is owed from now on, until a `Repaid`.
    """

    host: str
    report: StepReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaid:
    """The `on_change` work of these steps has been done on a host."""

    host: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettled:
    """The last entry of a run that came to its end, be it by an interrupt."""

    report: RunReport


Entry: TypeAlias = (
    RunBegan | Intended | ProcedureEnded | Published | StepSettled | Repaid | RunSettled
)


class Recorder(Protocol):
    """Where a run is written down while it happens."""

    def record(self, entry: Entry) -> None:
        """Keep an entry; called from many threads, it returns when the entry is safe.

        Raises:
            KubexmError: It cannot be kept. The host's work ends there, before the change.
        """
        ...


class Nowhere:
    """A recorder that keeps nothing."""

    def record(self, entry: Entry) -> None:
        """See `Recorder.record`."""


def _nothing() -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a run that is resumed has behind it; empty for a fresh run.

    Args:
        done: Host and step: finished, and not to be done again. A step whose secret value was
            lost is not among them, nor are its procedures.
        procedures: Host, step and item: procedures that have ended well, in steps that have not.
        unknown: Host, step and item: procedures that were begun and not seen to end.
        owed: Host name to the steps whose `on_change` work is owed there, in the plan's order;
            a change that was announced and not seen to end counts as made.
        values: What steps published and is still known, oldest first.
    """

    done: frozenset[tuple[str, str]] = frozenset()
    procedures: frozenset[tuple[str, str, int]] = frozenset()
    unknown: frozenset[tuple[str, str, int]] = frozenset()
    owed: Mapping[str, tuple[str, ...]] = field(default_factory=_nothing)
    values: tuple[Published, ...] = ()

    def of(self, host: str) -> Past:
        """What concerns one host, without the values."""
        return Past(
            done=frozenset(one for one in self.done if one[0] == host),
            procedures=frozenset(one for one in self.procedures if one[0] == host),
            unknown=frozenset(one for one in self.unknown if one[0] == host),
            owed={host: self.owed[host]} if host in self.owed else {},
        )
