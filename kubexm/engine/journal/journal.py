"""The journal of one inventory: its runs, and what is left of them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Self

from kubexm.engine.fleet import now
from kubexm.engine.journal import history
from kubexm.engine.journal.database import Database
from kubexm.engine.journal.history import RunLine, RunRecord, RunState
from kubexm.engine.journal.recording import About, Recording, at_work
from kubexm.engine.record import WHOLE, Past, Published
from kubexm.engine.report import StepStatus
from kubexm.errors import ResumeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.engine.journal.database import Statement
    from kubexm.runtime import WorkDirectory

_SETTLED = (StepStatus.OK, StepStatus.CHANGED, StepStatus.NOT_NEEDED)
_LEAST_PREFIX = 4


class Journal:
    """What runs with one inventory have left behind. A context manager: leaving closes the file.

    Args:
        directory: The inventory's work directory.

    Raises:
        JournalError: Its file cannot be made or opened.
        UsageError: The directory cannot be made.
    """

    def __init__(self, directory: WorkDirectory) -> None:
        self.directory = directory
        directory.make()
        self._database = Database(directory.journal)

    def __repr__(self) -> str:
        return f"<Journal {self.directory.journal}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        self._database.close()

    def recording(
        self,
        run: str,
        about: About,
        *,
        resumes: str = "",
        accept_changes: bool = False,
        narrowed: bool = False,
    ) -> Recording:
        """A recorder for a new run; see `Recording`."""
        return Recording(
            self._database,
            self.directory,
            run,
            about,
            resumes=resumes,
            accept_changes=accept_changes,
            narrowed=narrowed,
        )

    def runs(self) -> tuple[RunLine, ...]:
        """Every run, the oldest first."""
        return history.runs(self._database, self.directory)

    def find(self, run: str) -> RunLine:
        """The run of that id, or of an id that begins or ends so.

        Raises:
            UsageError: There is none, or more than one.
        """
        known = self.runs()
        found = [line for line in known if line.run == run]
        if not found and len(run) >= _LEAST_PREFIX:
            found = [line for line in known if line.run.startswith(run) or line.run.endswith(run)]
        match found:
            case [line]:
                return line
            case []:
                message = f"there is no run {run!r} in {self.directory.journal}"
                raise UsageError(message, hint="inv runs.list shows all of them")
            case _:
                message = f"{len(found)} runs have {run!r} in their id"
                raise UsageError(message, hint=", ".join(line.run for line in found[:5]))

    def record(self, run: str) -> RunRecord:
        """Everything about a run.

        Raises:
            UsageError: See `find`.
        """
        return history.record(self._database, self.find(run))

    def past(self, run: str) -> Past:
        """From where a run goes on.

        Args:
            run: The whole id of a run.

        Raises:
            ResumeError: It has been resumed, is at work, or was a check.
        """
        line = self.find(run)
        if line.resumed_by:
            message = f"the run {run} has gone on as {line.resumed_by}"
            raise ResumeError(message, hint=f"resume that: --resume {line.resumed_by}")
        if line.state is RunState.AT_WORK:
            raise at_work(run, "")
        if line.check:
            message = f"the run {run} was a check: it began nothing that could go on"
            raise ResumeError(message, hint="run it without --check and without --resume")
        return self._past(run)

    def _past(self, run: str) -> Past:
        read = self._database.read
        lost = {
            (row["host"], row["step"])
            for row in read("SELECT host, step FROM value WHERE run = ? AND is_secret", run)
        }
        done = {
            (row["host"], row["step"])
            for row in read("SELECT host, step, status FROM step WHERE run = ?", run)
            if row["status"] in _SETTLED
        } - lost
        ended: set[tuple[str, str, int]] = set()
        unknown: set[tuple[str, str, int]] = set()
        for row in read("SELECT * FROM intent WHERE run = ? AND is_procedure", run):
            place = (row["host"], row["step"])
            if place in done or (place in lost and row["state"] == "done"):
                continue
            match row["state"]:
                case "done":
                    ended.add((*place, row["item"]))
                case "begun" | "unknown":
                    unknown.add((*place, row["item"]))
                case _:
                    pass
        owed: dict[str, tuple[str, ...]] = {}
        for row in read(
            "SELECT host, step FROM owed LEFT JOIN plan_step USING(run, step)"
            " WHERE run = ? AND repaid IS NULL ORDER BY position",
            run,
        ):
            owed[row["host"]] = (*owed.get(row["host"], ()), row["step"])
        values = tuple(
            Published(
                host=row["host"],
                step=row["step"],
                name=row["name"],
                value=json.loads(row["body"]),
            )
            for row in read("SELECT * FROM value WHERE run = ? AND NOT is_secret ORDER BY id", run)
        )
        return Past(
            done=frozenset(done),
            procedures=frozenset(ended),
            unknown=frozenset(unknown),
            owed=owed,
            values=values,
        )

    def answer(self, run: str, host: str, step: str, *, is_done: bool) -> None:
        """Say what nobody saw: whether the procedures that were at work in a step are done.

        Args:
            run: The whole id of a run that is not at work.
            host: Where.
            step: Which.
            is_done: They are; else the step does them again when the run goes on.

        Raises:
            UsageError: Nothing of the step is unknown there.
            ResumeError: See `past`.
        """
        unknown = self.past(run).unknown
        items = {item for name, of, item in unknown if (name, of) == (host, step)}
        if not items:
            message = f"nothing is unknown about the step {step!r} on {host!r} in the run {run}"
            listed = ", ".join(f"{of} on {name}" for name, of, _ in sorted(unknown)) or "nothing"
            raise UsageError(message, hint=f"unknown in that run: {listed}")
        where = (run, host, step)
        written: list[Statement] = [
            (
                (
                    "UPDATE intent SET state = ? WHERE run = ? AND host = ? AND step = ?"
                    " AND is_procedure AND state IN ('begun', 'unknown')"
                ),
                ("done" if is_done else "failed", *where),
            )
        ]
        if is_done and WHOLE in items:
            written.append(
                (
                    (
                        "INSERT OR REPLACE INTO step(run, host, step, status, reason, operations,"
                        " duration_s, time) VALUES (?, ?, ?, 'changed', ?, 0, 0, ?)"
                    ),
                    (*where, "its operator said so", now().isoformat(timespec="milliseconds")),
                )
            )
        self._database.write(written)

    def forget(self, runs: Iterable[str]) -> tuple[str, ...]:
        """Delete runs with all their files; those at work stay.

        Returns:
            The ids of those that are gone.

        Raises:
            JournalError: The file cannot be written.
        """
        known = {line.run: line for line in self.runs()}
        gone = [run for run in runs if run in known and known[run].state is not RunState.AT_WORK]
        self._database.write([("DELETE FROM run WHERE run = ?", (run,)) for run in gone])
        self._database.write(
            [
                (
                    (
                        "DELETE FROM text WHERE digest NOT IN"
                        " (SELECT diff FROM outcome WHERE diff IS NOT NULL)"
                    ),
                    (),
                )
            ]
        )
        for run in gone:
            shutil.rmtree(self.directory.run(run), ignore_errors=True)
        self._database.shrink()
        return tuple(gone)

    def faults(self) -> tuple[str, ...]:
        """What is wrong with the file; empty when it is sound."""
        return self._database.faults()
