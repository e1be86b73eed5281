"""What an entry of the journal is in SQL: pure."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, assert_never

from kubexm.engine.record import (
    OWED,
    WHOLE,
    Intended,
    ProcedureEnded,
    Published,
    Repaid,
    RunBegan,
    RunSettled,
    StepSettled,
)
from kubexm.engine.report import StepStatus
from kubexm.runner import Outcome, Status
from kubexm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.engine.journal.database import Statement
    from kubexm.engine.record import Entry
    from kubexm.engine.report import HostReport, RunReport, StepReport


_NOT_BEGUN = (StepStatus.SKIPPED, StepStatus.NOT_REACHED)


def statements(
    run: str, entry: Entry, time: str, *, is_first: bool = False
) -> tuple[Statement, ...]:
    """What keeps an entry of a run.

    Args:
        run: Whose entry it is; its row is there already.
        entry: What happened.
        time: When, in ISO 8601.
        is_first: Nothing is known of its host and step yet, so nothing has to be taken back.
    """
    return tuple(_statements(run, entry, time, is_first=is_first))


def _statements(run: str, entry: Entry, time: str, *, is_first: bool) -> Iterator[Statement]:
    match entry:
        case RunBegan():
            yield from _began(entry)
        case Intended():
            yield from _intended(run, entry, time)
        case ProcedureEnded():
            yield (
                "UPDATE intent SET state = ? WHERE run = ? AND host = ? AND step = ? AND item = ?",
                (_state(entry.outcome), run, entry.host, entry.step, entry.item),
            )
        case Published():
            yield _published(run, entry)
        case StepSettled(host=host, report=report):
            yield from _settled(run, host, report, time, is_first=is_first)
        case Repaid(host=host, steps=steps):
            yield from _repaid(run, host, steps, time)
        case RunSettled(report=report):
            yield from _over(run, report, time)
        case _:
            assert_never(entry)


def _state(outcome: Outcome) -> str:
    """Of a procedure that was begun."""
    match outcome.status:
        case Status.OK | Status.CHANGED:
            return "done"
        case Status.UNKNOWN:
            return "unknown"
        case Status.FAILED | Status.SKIPPED:
            return "failed"
        case _:
            assert_never(outcome.status)


def _began(entry: RunBegan) -> Iterator[Statement]:
    for position, (step, digest) in enumerate(entry.steps.items()):
        yield "INSERT INTO plan_step VALUES (?, ?, ?, ?)", (entry.run, step, position, digest)
    for position, (host, digest) in enumerate(entry.hosts.items()):
        yield (
            "INSERT INTO host(run, host, position, digest) VALUES (?, ?, ?, ?)",
            (entry.run, host, position, digest),
        )


def _intended(run: str, entry: Intended, time: str) -> Iterator[Statement]:
    where = (run, entry.host, entry.step)
    labels = json.dumps(entry.labels)
    yield (
        "INSERT OR REPLACE INTO intent VALUES (?, ?, ?, ?, ?, ?, 'begun', ?)",
        (*where, entry.item, labels, entry.procedure, time),
    )
    if entry.owes:
        yield from _owes(where, time)


def _owes(where: tuple[str, str, str], time: str) -> Iterator[Statement]:
    yield (
        (
            "INSERT INTO owed VALUES (?, ?, ?, ?, NULL, 0)"
            " ON CONFLICT(run, host, step) DO UPDATE SET"
            " repaid = NULL, since = excluded.since, carried = 0 WHERE repaid IS NOT NULL"
        ),
        (*where, time),
    )


def _published(run: str, entry: Published) -> Statement:
    is_secret = isinstance(entry.value, Secret)
    body = None if is_secret else json.dumps(entry.value)
    return (
        (
            "INSERT OR REPLACE INTO value(run, host, step, name, body, is_secret)"
            " VALUES (?, ?, ?, ?, ?, ?)"
        ),
        (run, entry.host, entry.step, entry.name, body, is_secret),
    )


def _settled(
    run: str, host: str, report: StepReport, time: str, *, is_first: bool
) -> Iterator[Statement]:
    where = (run, host, report.step)
    error = report.error
    row = (
        *where,
        report.status.value,
        report.reason,
        None if error is None else str(error),
        None if error is None else error.hint,
        len(report.outcomes),
        round(report.duration_s, 6),
        time,
    )
    if report.status is StepStatus.RESUMED:
        # what the resumed run knew of it was carried over, and says more
        return
    if report.status in _NOT_BEGUN:
        # so is what that run did of a step whose turn does not come in this one
        yield (
            (
                "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
                " ON CONFLICT(run, host, step) DO UPDATE SET status = excluded.status,"
                " reason = excluded.reason, time = excluded.time, carried = 0"
                " WHERE step.status IN (?, ?)"
            ),
            (*row, *(status.value for status in _NOT_BEGUN)),
        )
        return
    if not is_first:
        yield "DELETE FROM outcome WHERE run = ? AND host = ? AND step = ?", where
    for position, outcome in enumerate(report.outcomes):
        if outcome.status is not Status.OK:
            yield from _outcome(where, position, outcome)
    yield "INSERT OR REPLACE INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", row
    if not is_first:
        yield from _ended(where, is_unknown=report.status is StepStatus.UNKNOWN)
    if report.owes:
        yield from _owes(where, time)
    elif not is_first:
        # seen to its end, and it changed nothing; a debt of an earlier run stays
        yield (
            (
                "DELETE FROM owed WHERE run = ? AND host = ? AND step = ? AND repaid IS NULL"
                " AND NOT carried"
            ),
            where,
        )


def _ended(where: tuple[str, str, str], *, is_unknown: bool) -> Iterator[Statement]:
    """What was intended in a step has ended with it; a procedure's own end says more."""
    yield (
        (
            "DELETE FROM intent WHERE run = ? AND host = ? AND step = ? AND item >= 0"
            " AND NOT is_procedure"
        ),
        where,
    )
    if not is_unknown:
        yield (
            "DELETE FROM intent WHERE run = ? AND host = ? AND step = ? AND item = ?",
            (*where, WHOLE),
        )
    yield (
        (
            "UPDATE intent SET state = ? WHERE run = ? AND host = ? AND step = ? AND item >= 0"
            " AND state = 'begun'"
        ),
        ("unknown" if is_unknown else "failed", *where),
    )


def _outcome(where: tuple[str, str, str], position: int, outcome: Outcome) -> Iterator[Statement]:
    is_secret = outcome.operation.is_secret
    digest = None
    if outcome.diff and not is_secret:
        digest = hashlib.sha256(outcome.diff.encode("utf-8", "replace")).hexdigest()
        yield "INSERT OR IGNORE INTO text VALUES (?, ?)", (digest, outcome.diff)
    error = outcome.error
    yield (
        "INSERT INTO outcome VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *where,
            position,
            outcome.label,
            type(outcome.operation).__name__,
            outcome.status.value,
            is_secret,
            digest,
            json.dumps(outcome.rests_on),
            outcome.exit_status,
            round(outcome.duration_s, 6),
            None if error is None else str(error),
            None if error is None else error.hint,
        ),
    )


def _repaid(run: str, host: str, steps: tuple[str, ...], time: str) -> Iterator[Statement]:
    for step in steps:
        where = (run, host, step)
        yield "UPDATE owed SET repaid = ? WHERE run = ? AND host = ? AND step = ?", (time, *where)
        yield (
            "DELETE FROM intent WHERE run = ? AND host = ? AND step = ? AND item = ?",
            (*where, OWED),
        )


def _over(run: str, report: RunReport, time: str) -> Iterator[Statement]:
    yield (
        (
            "UPDATE run SET ended = ?, duration_s = ?, exit_code = ?, interrupted = ?, changed = ?"
            " WHERE run = ?"
        ),
        (
            time,
            round(report.duration_s, 3),
            int(report.exit_code()),
            report.interrupted,
            report.changed,
            run,
        ),
    )
    for host in report.hosts:
        yield _host(run, host)


def _host(run: str, host: HostReport) -> Statement:
    error = host.error
    return (
        (
            "UPDATE host SET status = ?, error = ?, hint = ?, duration_s = ?, trips = ?"
            " WHERE run = ? AND host = ?"
        ),
        (
            host.status.value,
            None if error is None else str(error),
            None if error is None else error.hint,
            round(host.duration_s, 3),
            host.trips,
            run,
            host.host,
        ),
    )
