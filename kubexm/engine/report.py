"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubexm.errors import KubexmError
    from kubexm.runner import Outcome


class HostStatus(StrEnum):
    """How a host's part of a run ended."""

    OK = "ok"
    CHANGED = "changed"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    INTERRUPTED = "interrupted"
    """The run was stopped before or while the host was at work."""
    STOPPED = "stopped"
    """Steps were left out because of failures on other hosts; it has none of its own."""


class StepStatus(StrEnum):
    """How a step ended on a host."""

    OK = "ok"
    """It was so already."""
    CHANGED = "changed"
    """It was changed (in check mode: would be)."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Whether it took effect is not known: the link, the time or the process ended meanwhile."""
    SKIPPED = "skipped"
    """It was not begun, because of a failure elsewhere."""
    NOT_NEEDED = "not needed"
    """Its condition does not hold here."""
    UNPREDICTED = "not predicted"
    """Check mode cannot say: it reads a value that an earlier step would publish."""
    RESUMED = "resumed"
    """An earlier run, which this one resumes, has done it."""
    NOT_REACHED = "not reached"
    """The run ended before its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What became of one step on one host.

    Args:
        step: Its name.
        status: How it ended.
        reason: Why it was skipped, not needed, not predicted or not reached; empty otherwise.
        outcomes: Of its operations and procedures, in order.
        error: Why it failed.
        owes: It changed the host, and its `on_change` work has not been done.
        duration_s: From its beginning to its end; steps that share round trips share it.
    """

    step: str
    status: StepStatus
    reason: str = ""
    outcomes: tuple[Outcome, ...] = ()
    error: KubexmError | None = None
    owes: bool = False
    duration_s: float = 0


class ExitCode(IntEnum):
    """Of the `inv` commands (DESIGN §10)."""

    DONE = 0
    FAILED = 2
    CHANGES = 3
    """Only with --detailed-exitcode: the check found changes."""
    UNREACHABLE = 4
    USAGE = 5
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """One host's part of a run.

    Args:
        host: The inventory's name.
        status: How it ended.
        outcomes: Step name and outcome of every operation, in order.
        duration_s: Connecting included.
        error: What ended it early, or the first failed operation's error.
        trips: Round trips of its sessions, facts included.
        steps: What became of each step, in the plan's order; empty when no plan was walked.
    """

    host: str
    status: HostStatus
    outcomes: tuple[tuple[str, Outcome], ...] = ()
    duration_s: float = 0
    error: KubexmError | None = None
    trips: int = 0
    steps: tuple[StepReport, ...] = ()

    def count(self, status: str) -> int:
        """How many operations ended so."""
        return sum(outcome.status == status for _, outcome in self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Every host's part, in inventory order."""

    run: str
    hosts: tuple[HostReport, ...]
    check: bool = False
    interrupted: bool = False
    duration_s: float = 0

    @property
    def changed(self) -> bool:
        """Whether any host was changed (in check mode: would be)."""
        return any(outcome.changed for host in self.hosts for _, outcome in host.outcomes)

    def exit_code(self, *, detailed: bool = False) -> ExitCode:
        """The process's exit code.

        Args:
            detailed: A check that found changes is told apart.
        """
        statuses = {host.status for host in self.hosts}
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if HostStatus.FAILED in statuses:
            return ExitCode.FAILED
        if HostStatus.UNREACHABLE in statuses:
            return ExitCode.UNREACHABLE
        if statuses & {HostStatus.STOPPED, HostStatus.INTERRUPTED}:
            # nobody failed, and still not everything was done: the run's time was up
            return ExitCode.FAILED
        if detailed and self.check and self.changed:
            return ExitCode.CHANGES
        return ExitCode.DONE
