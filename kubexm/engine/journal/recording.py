"""One run on its way into the journal."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from kubexm import __version__
from kubexm.engine.fleet import now
from kubexm.engine.journal.claim import Claim, process
from kubexm.engine.journal.difference import Differences, differences
from kubexm.engine.journal.statement import statements
from kubexm.engine.record import Intended, RunBegan, RunSettled, StepSettled
from kubexm.errors import JournalError, ResumeError

if TYPE_CHECKING:
    import sqlite3

    from kubexm.engine.journal.database import Database
    from kubexm.engine.record import Entry
    from kubexm.runtime import WorkDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """How a run came to be, without anything secret.

    Args:
        task: The task's name as it was typed.
        flags: The flags that lead to the same run once more; `None` when the task had further
            arguments, which are not kept.
        inventory: The inventory's path.
        invocation: The id of the task's first start: one task may have several runs.
        ordinal: Which of them, counted from 0.
    """

    task: str = ""
    flags: tuple[str, ...] | None = ()
    inventory: str = ""
    invocation: str = ""
    ordinal: int = 0


class Recording:
    """A `Recorder` for one run. A context manager: inside it the run is this process's.

    Args:
        database: The journal's.
        directory: Where the inventory's runs keep their files.
        run: The run's id.
        about: How it came to be.
        resumes: The run that it goes on with; its journal is carried over.
        accept_changes: Go on even though plan or inventory have changed since.
        narrowed: Steps were left out on purpose (`--only`, `--skip`).
    """

    def __init__(
        self,
        database: Database,
        directory: WorkDirectory,
        run: str,
        about: About,
        *,
        resumes: str = "",
        accept_changes: bool = False,
        narrowed: bool = False,
    ) -> None:
        self.run = run
        self.resumes = resumes
        self._database = database
        self._about = about
        self._accepts = accept_changes
        self._narrowed = narrowed
        self._directory = directory.make("runs", run)
        self._claim = Claim(self._directory)
        self._old = Claim(directory.make("runs", resumes)) if resumes else None
        self._differences = Differences()
        self._has_begun = False
        self._lost: tuple[str, ...] = ()
        self._known: set[tuple[str, str]] = set()
        """Hosts and steps of which there is an entry; one host is one thread's at a time."""

    def __enter__(self) -> Self:
        if self._old is not None and not self._old.take():
            raise at_work(self.resumes, self._old.holder())
        # nobody else knows the id of a new run
        self._claim.take()
        self._claim.sign()
        return self

    def __exit__(self, *error: object) -> None:
        if not self._has_begun:
            shutil.rmtree(self._directory)
        self._claim.release()
        if self._old is not None:
            self._old.release()

    def record(self, entry: Entry) -> None:
        """See `Recorder.record`.

        Raises:
            JournalError: It cannot be written.
            ResumeError: The run to go on with has gone on elsewhere, or differs from this one.
        """
        match entry:
            case RunBegan():
                self._begin(entry)
            case RunSettled():
                self._end(entry)
            case StepSettled(host=host, report=report):
                # without it the step would be looked at once more, and that is all
                is_first = not self.resumes and (host, report.step) not in self._known
                self._known.add((host, report.step))
                found = statements(self.run, entry, _time(), is_first=is_first)
                self._database.write(found, durable=False)
            case Intended(host=host, step=step):
                self._known.add((host, step))
                self._database.write(statements(self.run, entry, _time()))
            case _:
                self._database.write(statements(self.run, entry, _time()))

    @property
    def notices(self) -> tuple[str, ...]:
        """What the operator should know: differences from the resumed run, a lost end."""
        return (*self._differences.lines(), *self._lost)

    def _end(self, entry: RunSettled) -> None:
        try:
            self._database.write(statements(self.run, entry, _time()))
        except JournalError as error:
            # all was done and each step's end is kept: the report is worth more than an error
            self._lost = (f"{error}; the run will be listed as killed",)

    def _begin(self, entry: RunBegan) -> None:
        with self._database.transaction() as connection:
            if self.resumes:
                self._compare(connection, entry)
            about = self._about
            connection.execute(
                "INSERT INTO run(run, plan, digest, is_check, task, flags, inventory, invocation,"
                " ordinal, process, version, began, resumes)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self.run,
                    entry.plan,
                    entry.digest,
                    entry.check,
                    about.task,
                    json.dumps(about.flags),
                    about.inventory,
                    about.invocation,
                    about.ordinal,
                    process(),
                    __version__,
                    _time(),
                    self.resumes or None,
                ),
            )
            for sql, values in statements(self.run, entry, _time()):
                connection.execute(sql, values)
            if self.resumes and not entry.check:
                _carry(connection, self.resumes, self.run)
        self._has_begun = True

    def _compare(self, connection: sqlite3.Connection, entry: RunBegan) -> None:
        row = connection.execute(
            "SELECT resumed_by FROM run WHERE run = ?", (self.resumes,)
        ).fetchone()
        if row is None:
            message = f"there is no run {self.resumes} any more"
            raise ResumeError(message)
        if row["resumed_by"] is not None:
            message = f"the run {self.resumes} has gone on as {row['resumed_by']}"
            raise ResumeError(message, hint=f"resume that: --resume {row['resumed_by']}")
        self._differences = differences(connection, self.resumes, entry)
        if self._differences.matter(narrowed=self._narrowed) and not self._accepts:
            told = "".join(f"\n  {line}" for line in self._differences.lines())
            message = f"this is not the run {self.resumes} any more:{told}"
            raise ResumeError(
                message,
                hint="run it from the start, without --resume; or, to finish what is left as it"
                " is now and to leave alone what was done, add --accept-changes",
            )


def at_work(run: str, holder: str) -> ResumeError:
    """The error about a run that some process works on."""
    by = f" ({holder})" if holder else ""
    message = f"the run {run} is still at work{by}"
    return ResumeError(message, hint="wait for its end, or end that process")


def _time() -> str:
    return now().isoformat(timespec="milliseconds")


_CARRY = (
    (
        "INSERT OR IGNORE INTO host SELECT :new, host, position, digest, status, error, hint,"
        " duration_s, trips FROM host WHERE run = :old"
    ),
    (
        "INSERT INTO step SELECT :new, host, step, status, reason, error, hint, operations,"
        " duration_s, time, 1 FROM step WHERE run = :old"
    ),
    (
        "INSERT INTO outcome SELECT :new, host, step, position, operation, type, status, is_secret,"
        " diff, rests_on, exit_status, duration_s, error, hint FROM outcome WHERE run = :old"
    ),
    (
        "INSERT INTO intent SELECT :new, host, step, item, labels, is_procedure, state, time"
        " FROM intent WHERE run = :old AND is_procedure"
    ),
    (
        "INSERT INTO owed SELECT :new, host, step, since, NULL, 1 FROM owed"
        " WHERE run = :old AND repaid IS NULL"
    ),
    (
        "INSERT INTO value(run, host, step, name, body, is_secret)"
        " SELECT :new, host, step, name, body, is_secret FROM value WHERE run = :old ORDER BY id"
    ),
    "UPDATE run SET resumed_by = :new WHERE run = :old",
)


def _carry(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Make the new run know all that the old one knew, and the old one a thing of the past."""
    for sql in _CARRY:
        connection.execute(sql, {"old": old, "new": new})
