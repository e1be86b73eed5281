"""What became of an operation on a host."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubexm.runner.operation import Operation
    from kubexm.runner.procedure import Plain, Procedure
    from kubexm.secret import Secret


def _nothing() -> Mapping[str, Plain | Secret]:
    return MappingProxyType({})


class Status(StrEnum):
    """How an operation ended."""

    OK = "ok"
    """It was so already."""
    CHANGED = "changed"
    """It was changed, and read again: it is so now. In check mode: it would be changed."""
    FAILED = "failed"
    """The change failed, or did not lead to the state, or nothing could be read."""
    SKIPPED = "skipped"
    """Not attempted, because an operation before it failed."""
    UNKNOWN = "unknown"
    """The link or the time ran out while it may have been at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one operation, or of one procedure.

    Args:
        operation: What should be, or what was to be done.
        status: How it ended.
        before: The state that was read first, when there is one; `None` when secret.
        after: The state afterwards (in check mode the predicted one); `None` when secret, or
            when nobody could read it.
        diff: Unified, before to after; empty when nothing changed or it is secret. Of a change
            that failed: what it was to do.
        rests_on: Labels of pending changes that may alter this prediction (check mode only).
        notes: What does not apply on this machine.
        stdout: Of the change, decoded; empty when secret.
        stderr: Of the change, decoded; empty when secret.
        exit_status: Of the change; `None` when none ran.
        duration_s: Its share of the time of the trips it took part in.
        error: Why it failed.
        values: What a procedure has published.
    """

    operation: Operation | Procedure
    status: Status
    before: object = None
    after: object = None
    diff: str = ""
    rests_on: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stdout: str = ""
    stderr: str = ""
    exit_status: int | None = None
    duration_s: float = 0
    error: HostError | None = None
    values: Mapping[str, Plain | Secret] = field(default_factory=_nothing, repr=False)

    @property
    def changed(self) -> bool:
        """Whether it changed the host (in check mode: would)."""
        return self.status is Status.CHANGED

    @property
    def failed(self) -> bool:
        """Whether it is not known to be as it should be."""
        return self.status in (Status.FAILED, Status.UNKNOWN)

    @property
    def label(self) -> str:
        """The operation in a few words."""
        return self.operation.label()

    def must(self) -> Outcome:
        """Itself.

        Raises:
            HostError: It failed, or whether it took effect is unknown.
        """
        if self.error is not None:
            raise self.error
        if self.failed:
            message = f"{self.label}: whether it took effect is unknown"
            raise HostError(message, operation=self.label, hint="run again")
        return self


def first_error(outcomes: Sequence[Outcome]) -> HostError | None:
    """The error that ended or marred the sequence, if any."""
    return next((outcome.error for outcome in outcomes if outcome.error is not None), None)
