"""`inv runs.*`: what the journal knows, and going on with it. No host is touched but by resume."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.exceptions import Exit

from kubexm.errors import UsageError
from kubexm.tasks.flags import fleet_task

if TYPE_CHECKING:
    from kubexm.engine.journal import Journal, RunLine
    from kubexm.tasks.fleet import Fleet


@fleet_task
def list_(fleet: Fleet) -> None:
    """Show the runs that the journal knows, the oldest first."""
    from kubexm.ui.history import run_table

    with _journal(fleet) as journal:
        lines = journal.runs()
    if fleet.flags.output == "json":
        for line in lines:
            _json("run.listed", line.run, dataclasses.asdict(line))
    else:
        print(run_table(lines))


@fleet_task
def show(fleet: Fleet, run: str = "") -> None:
    """Show what a run did, and what is left of it; without --run the last one."""
    from kubexm.ui.history import run_story

    with _journal(fleet) as journal:
        record = journal.record(run or _last(journal, 1)[0].run)
    if fleet.flags.output == "json":
        _json("run.shown", record.line.run, dataclasses.asdict(record))
        return
    for line in run_story(record, fleet.look):
        print(line)


@fleet_task
def diff(fleet: Fleet, before: str = "", after: str = "") -> None:
    """Show what two runs found in different states; without ids the last two checks of one task.

    With --detailed-exitcode the exit code is 3 when they differ.
    """
    from kubexm.engine.journal import compare
    from kubexm.engine.report import ExitCode
    from kubexm.ui.history import drift_story

    with _journal(fleet) as journal:
        if not before or not after:
            last, *others = _last(journal, 2, check=True)
            before, after = before or others[0].run, after or last.run
        old, new = journal.record(before), journal.record(after)
    if old.line.plan != new.line.plan:
        message = (
            f"{old.line.run} is of the plan {old.line.plan}, {new.line.run} of {new.line.plan}"
        )
        raise UsageError(message, hint="name two runs of one plan")
    found = compare(old, new)
    if fleet.flags.output == "json":
        for drift in found.drifts:
            _json("run.drifted", new.line.run, dataclasses.asdict(drift))
        for host, reason in found.unseen:
            _json("run.unseen", new.line.run, {"host": host, "reason": reason})
    else:
        for line in drift_story(found, old.line, new.line, fleet.look):
            print(line)
    if fleet.flags.detailed_exitcode and (found.drifts or found.unseen):
        fleet.exit_code = ExitCode.CHANGES


@fleet_task
def resume(fleet: Fleet, run: str = "") -> None:
    """Go on with a run, with the task and the flags that it was started with.

    Without --run it is the last one of which something is left.
    """
    with _journal(fleet) as journal:
        if run:
            line = journal.find(run)
        else:
            left = [line for line in journal.runs() if line.is_left]
            if not left:
                print("nothing is left of any run", file=sys.stderr)
                return
            line = left[-1]
    command = [*_program(), line.task, *_flags(line, fleet), f"--resume={line.run}"]
    print(f"inv {' '.join(command[len(_program()) :])}", file=sys.stderr)
    sys.stderr.flush()
    # the task is the user's own: only the program that she started knows where it is
    code = subprocess.run(command, check=False).returncode
    if code:
        raise Exit(code=code)


@fleet_task
def settle(fleet: Fleet, host: str, step: str, how: str, run: str = "") -> None:
    """Say whether what was at work in a killed run is "done", or is to be done "again".

    That is asked for procedures whose end nobody saw; without --run of the last run with one.
    """
    if how not in ("done", "again"):
        message = f'say "done" or "again", not {how!r}'
        raise UsageError(message)
    with _journal(fleet) as journal:
        if run:
            chosen = journal.find(run).run
        else:
            left = [line.run for line in journal.runs() if line.is_left]
            known = (name for name in reversed(left) if journal.past(name).unknown)
            chosen = next(known, left[-1] if left else _last(journal, 1)[0].run)
        journal.answer(chosen, host, step, is_done=how == "done")
    print(f"{step} on {host}: {how}; inv runs.resume --run {chosen} goes on", file=sys.stderr)


@fleet_task
def prune(fleet: Fleet, keep: int = 50, run: str = "") -> None:
    """Forget old runs with their files: all but the last --keep, or the one that --run names.

    Runs at work stay, and so do those of which something is left, unless --run names them.
    """
    if keep < 0:
        message = "--keep must be at least 0"
        raise UsageError(message)
    with _journal(fleet) as journal:
        if run:
            wanted = [journal.find(run).run]
        else:
            lines = journal.runs()
            old = lines[: max(0, len(lines) - keep)]
            wanted = [line.run for line in old if not line.is_left]
        gone = journal.forget(wanted)
    for name in wanted:
        if name not in gone:
            print(f"{name} is at work and stays", file=sys.stderr)
    print(f"{len(gone)} runs are forgotten")


def _journal(fleet: Fleet) -> Journal:
    from kubexm.engine.journal import Journal

    directory = fleet.work_directory
    if not directory.journal.exists():
        message = f"there is no journal {directory.journal}"
        hint = "runs are recorded by inventory: name it with --inventory, or see --work-dir"
        raise UsageError(message, hint=hint)
    return Journal(directory)


def _last(journal: Journal, count: int, *, check: bool = False) -> list[RunLine]:
    """The last runs, the newest first; with `check` the last checks of the last checked plan."""
    lines = [line for line in reversed(journal.runs()) if line.check or not check]
    if check and lines:
        lines = [line for line in lines if line.plan == lines[0].plan]
    if len(lines) < count:
        kind = "checks" if check else "runs"
        message = f"the journal has {len(lines)} {kind}, and {count} are needed"
        raise UsageError(message, hint="inv runs.list shows what there is")
    return lines[:count]


def _program() -> list[str]:
    """What the user started, up to the task's name."""
    words = sys.orig_argv
    at = next((n for n, word in enumerate(words) if word.endswith("runs.resume")), None)
    return words[:at] if at is not None else [sys.executable, "-m", "invoke"]


def _flags(line: RunLine, fleet: Fleet) -> list[str]:
    if line.flags is None or not line.task:
        message = f"the run {line.run} had --extra-var or arguments of its task, which are not kept"
        raise UsageError(message, hint=f"give them again: inv {line.task} … --resume={line.run}")
    flags = list(line.flags)
    flags += [f"--output={fleet.flags.output}", *(["--diff"] if fleet.flags.diff else [])]
    flags += ["--accept-changes"] if fleet.flags.accept_changes else []
    return flags + ["-v"] * fleet.flags.verbose


def _json(event: str, run: str, body: dict[str, object]) -> None:
    from kubexm.engine.event import SCHEMA
    from kubexm.engine.fleet import now

    time = now().isoformat(timespec="milliseconds")
    head = {"schema": SCHEMA, "event": event, "time": time, "run": run}
    print(json.dumps(head | {key: body[key] for key in body if key != "run"}, default=_plain))


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)


ns = Collection("runs")
ns.add_task(list_, name="list")
ns.add_task(show)
ns.add_task(diff)
ns.add_task(resume)
ns.add_task(settle)
ns.add_task(prune)
