"""What the journal knows about runs, as values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from kubexm.engine.journal.claim import is_at_work
from kubexm.engine.report import ExitCode, HostStatus, StepStatus

if TYPE_CHECKING:
    import sqlite3

    from kubexm.engine.journal.database import Database
    from kubexm.runtime import WorkDirectory


class RunState(StrEnum):
    """How a run stands."""

    DONE = "done"
    CHANGES = "changes found"
    """A check that found what a run would change."""
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    KILLED = "killed"
    """It has no end, and no process works on it."""
    AT_WORK = "at work"
    RESUMED = "resumed"
    """Another run has gone on with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run in a line.

    Args:
        run: Its id.
        plan: The plan's name.
        task: The task's name as it was typed; empty when no task made it.
        flags: The flags that lead to it; `None` when not all of them are known.
        inventory: The inventory's path.
        invocation: The id of the task's first start.
        ordinal: Which of that task's runs it is, counted from 0.
        check: Nothing was changed.
        began: In UTC.
        duration_s: `None` when it has no end.
        state: How it stands.
        hosts: How many hosts it was for.
        owed: How many pieces of `on_change` work are owed.
        is_left: Whether something failed, was not reached or is owed.
        resumes: The run that it went on with.
        resumed_by: The run that went on with it.
    """

    run: str
    plan: str
    task: str
    flags: tuple[str, ...] | None
    inventory: str
    invocation: str
    ordinal: int
    check: bool
    began: datetime
    duration_s: float | None
    state: RunState
    hosts: int
    owed: int
    is_left: bool
    resumes: str
    resumed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeLine:
    """An operation's outcome that was not a plain "ok"; `diff` is empty when it is secret."""

    operation: str
    type: str
    status: str
    is_secret: bool
    diff: str
    rests_on: tuple[str, ...]
    error: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLine:
    """A step on a host: over, or begun and not seen to end.

    Args:
        step: Its name.
        status: A `StepStatus`; "begun" when it has no end.
        reason: Why it was skipped, or what was at work when there is no end.
        error: Why it failed.
        hint: What to do next.
        operations: How many it had.
        carried: It was done by a run that this one resumes.
        owed: Its `on_change` work is owed.
        outcomes: Those worth a line.
    """

    step: str
    status: str
    reason: str = ""
    error: str = ""
    hint: str = ""
    operations: int = 0
    carried: bool = False
    owed: bool = False
    outcomes: tuple[OutcomeLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLine:
    """A host's part of a run; `status` is empty while it has no end."""

    host: str
    status: str
    error: str
    hint: str
    duration_s: float | None
    steps: tuple[StepLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """All that is kept about a run."""

    line: RunLine
    hosts: tuple[HostLine, ...]


_BAD_STEPS = (
    StepStatus.FAILED,
    StepStatus.UNKNOWN,
    StepStatus.SKIPPED,
    StepStatus.NOT_REACHED,
)
_BAD_HOSTS = (HostStatus.FAILED, HostStatus.UNREACHABLE, HostStatus.INTERRUPTED)


def _listed(values: tuple[StrEnum, ...]) -> str:
    return ", ".join(f"'{value.value}'" for value in values)


_RUNS = f"""
    SELECT run.*,
        (SELECT count(*) FROM host WHERE host.run = run.run) AS hosts,
        (SELECT count(*) FROM owed WHERE owed.run = run.run AND repaid IS NULL) AS owed,
        EXISTS(SELECT * FROM step WHERE step.run = run.run
            AND status IN ({_listed(_BAD_STEPS)})) AS bad_steps,
        EXISTS(SELECT * FROM host WHERE host.run = run.run
            AND (status IS NULL OR status IN ({_listed(_BAD_HOSTS)}))) AS bad_hosts
    FROM run
"""  # noqa: S608 - the words are ours


def runs(database: Database, directory: WorkDirectory) -> tuple[RunLine, ...]:
    """Every run, the oldest first."""
    rows = database.read(f"{_RUNS} ORDER BY run.rowid")
    return tuple(_run(row, directory) for row in rows)


def record(database: Database, line: RunLine) -> RunRecord:
    """Everything about a run."""
    steps = _steps(database, line.run)
    rows = database.read("SELECT * FROM host WHERE run = ? ORDER BY position, host", line.run)
    hosts = tuple(
        HostLine(
            host=row["host"],
            status=row["status"] or "",
            error=row["error"] or "",
            hint=row["hint"] or "",
            duration_s=row["duration_s"],
            steps=tuple(steps.get(row["host"], ())),
        )
        for row in rows
    )
    return RunRecord(line=line, hosts=hosts)


def _run(row: sqlite3.Row, directory: WorkDirectory) -> RunLine:
    flags = json.loads(row["flags"])
    return RunLine(
        run=row["run"],
        plan=row["plan"],
        task=row["task"],
        flags=None if flags is None else tuple(flags),
        inventory=row["inventory"],
        invocation=row["invocation"],
        ordinal=row["ordinal"],
        check=bool(row["is_check"]),
        began=datetime.fromisoformat(row["began"]),
        duration_s=row["duration_s"],
        state=_state(row, directory),
        hosts=row["hosts"],
        owed=0 if row["resumed_by"] else row["owed"],
        is_left=not row["is_check"]
        and row["resumed_by"] is None
        and bool(row["ended"] is None or row["owed"] or row["bad_steps"] or row["bad_hosts"]),
        resumes=row["resumes"] or "",
        resumed_by=row["resumed_by"] or "",
    )


def _state(row: sqlite3.Row, directory: WorkDirectory) -> RunState:
    if row["resumed_by"] is not None:
        return RunState.RESUMED
    if row["ended"] is None:
        return RunState.AT_WORK if is_at_work(directory.run(row["run"])) else RunState.KILLED
    if row["interrupted"]:
        return RunState.INTERRUPTED
    if row["exit_code"] != ExitCode.DONE:
        return RunState.FAILED
    return RunState.CHANGES if row["is_check"] and row["changed"] else RunState.DONE


def _steps(database: Database, run: str) -> dict[str, list[StepLine]]:
    """The steps of each host, in the plan's order."""
    outcomes: dict[tuple[str, str], list[OutcomeLine]] = {}
    for row in database.read(
        "SELECT outcome.*, text.body FROM outcome LEFT JOIN text ON text.digest = outcome.diff"
        " WHERE run = ? ORDER BY host, step, position",
        run,
    ):
        line = OutcomeLine(
            operation=row["operation"],
            type=row["type"],
            status=row["status"],
            is_secret=bool(row["is_secret"]),
            diff=row["body"] or "",
            rests_on=tuple(json.loads(row["rests_on"])),
            error=row["error"] or "",
            hint=row["hint"] or "",
        )
        outcomes.setdefault((row["host"], row["step"]), []).append(line)
    owed = {
        (row["host"], row["step"])
        for row in database.read(
            "SELECT host, step FROM owed WHERE run = ? AND repaid IS NULL", run
        )
    }
    begun: dict[tuple[str, str], list[str]] = {}
    for row in database.read(
        "SELECT host, step, labels FROM intent WHERE run = ? AND state = 'begun' ORDER BY item", run
    ):
        begun.setdefault((row["host"], row["step"]), []).extend(json.loads(row["labels"]))
    order = {
        row["step"]: row["position"]
        for row in database.read("SELECT step, position FROM plan_step WHERE run = ?", run)
    }
    found: dict[tuple[str, str], StepLine] = {
        place: StepLine(step=place[1], status="begun", reason=", ".join(labels), owed=place in owed)
        for place, labels in begun.items()
    }
    for row in database.read("SELECT * FROM step WHERE run = ?", run):
        place = (row["host"], row["step"])
        found[place] = StepLine(
            step=row["step"],
            status=row["status"],
            reason=row["reason"],
            error=row["error"] or "",
            hint=row["hint"] or "",
            operations=row["operations"],
            carried=bool(row["carried"]),
            owed=place in owed,
            outcomes=tuple(outcomes.get(place, ())),
        )
    by_host: dict[str, list[StepLine]] = {}
    for host, step in sorted(found, key=lambda place: order.get(place[1], len(order))):
        by_host.setdefault(host, []).append(found[host, step])
    return by_host
