"""The journal's side of a task: each run is recorded, and goes on where the flags say so."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.engine import Past
from kubexm.engine.journal import About, Journal, RunLine, RunState
from kubexm.errors import ResumeError
from kubexm.tasks.flags import LAST, Flags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.engine import Recorder
    from kubexm.runtime import WorkDirectory

_KEPT = (
    "inventory",
    "limit",
    "forks",
    "only",
    "skip",
    "max_fail",
    "undo",
    "timeout",
    "deadline",
    "executor",
    "user",
    "private_key",
    "ask_pass",
    "become",
    "ask_become_pass",
    "merge_vars",
    "ask_vault_pass",
    "vault_password_file",
    "vault_id",
    "work_dir",
)
"""Flags that lead to the same run. Not `extra_var`, whose values may be secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrusted:
    """What a run is walked with: where it is recorded, and what it has behind it."""

    recorder: Recorder
    past: Past


class Records:
    """The journal of a task's runs, in the order in which the task makes them.

    Args:
        flags: The task's.
        task: The task's name as it was typed.
        directory: The inventory's work directory.
        inventory: The inventory's path.
        repeatable: Nothing led to the runs besides the flags that are kept.

    Raises:
        JournalError: The journal cannot be written; nothing has begun.
    """

    def __init__(
        self,
        flags: Flags,
        task: str,
        directory: WorkDirectory,
        inventory: str,
        *,
        repeatable: bool = True,
    ) -> None:
        self._flags = flags
        self._task = task
        self._inventory = inventory
        self._repeatable = repeatable and not flags.extra_var
        self._journal = Journal(directory)
        self._count = 0
        self._invocation = ""

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    @contextmanager
    def of(self, run: str, plan: str) -> Iterator[Entrusted | None]:
        """Have the task's next run recorded.

        Args:
            run: Its id.
            plan: The name of its plan.

        Yields:
            What to walk it with; `None` when it is to be resumed and nothing is left of it.

        Raises:
            ResumeError: There is no such run, or it cannot go on.
        """
        ordinal = self._count
        self._count += 1
        old = self._old(ordinal, plan) if self._flags.resume else None
        self._invocation = self._invocation or run
        if old is not None and not old.is_left and not self._flags.check:
            _say(f"nothing is left of the run {old.run}: {old.state}")
            yield None
            return
        if not self._flags.resume and not self._flags.check:
            self._remind()
        about = About(
            task=self._task,
            flags=kept(self._flags) if self._repeatable else None,
            inventory=self._inventory,
            invocation=self._invocation,
            ordinal=ordinal,
        )
        past = Past() if old is None else self._journal.past(old.run)
        with self._journal.recording(
            run,
            about,
            resumes="" if old is None else old.run,
            accept_changes=self._flags.accept_changes,
            narrowed=bool(self._flags.only or self._flags.skip),
        ) as recording:
            yield Entrusted(recorder=recording, past=past)
            for line in recording.notices:
                _say(f"resumed from {recording.resumes}: {line}")

    def _old(self, ordinal: int, plan: str) -> RunLine | None:
        """The run to go on with; `None` when the task had not come to it."""
        known = self._journal.runs()
        if not self._invocation:
            self._invocation = self._wanted(known, plan).invocation
        found = [
            line
            for line in known
            if (line.invocation, line.ordinal) == (self._invocation, ordinal)
            and not line.resumed_by
            and not line.check
        ]
        if not found:
            return None
        old = found[-1]
        if old.plan != plan:
            message = f"the run {old.run} is of the plan {old.plan}, not of {plan}"
            raise ResumeError(message, hint="run it from the start, without --resume")
        return old

    def _wanted(self, known: tuple[RunLine, ...], plan: str) -> RunLine:
        if self._flags.resume != LAST:
            line = self._journal.find(self._flags.resume)
            if line.resumed_by:
                message = f"the run {line.run} has gone on as {line.resumed_by}"
                raise ResumeError(message, hint=f"resume that: --resume {line.resumed_by}")
            if line.task != self._task:
                message = f"the run {line.run} is of the task {line.task}, not of {self._task}"
                raise ResumeError(message, hint=f"inv {line.task} --resume {line.run}")
            return line
        mine = [
            line
            for line in known
            if (line.task, line.plan, line.ordinal) == (self._task, plan, 0) and not line.check
        ]
        if not mine:
            message = f"there is no run of {self._task} to go on with"
            where = self._journal.directory.path
            raise ResumeError(message, hint=f"leave --resume out; the journal is in {where}")
        return mine[-1]

    def _remind(self) -> None:
        """Say which restarts nobody will do unless an earlier run goes on."""
        for line in self._journal.runs():
            if line.task == self._task and line.owed and line.state is not RunState.AT_WORK:
                what = "restart or the like" if line.owed == 1 else "restarts and the like"
                _say(
                    f"warning: the run {line.run} ({line.state}) still owes {line.owed} {what}:"
                    f" --resume {line.run} does that, inv runs.prune --run {line.run} forgets it"
                )


def kept(flags: Flags) -> tuple[str, ...]:
    """The flags that are kept, as they are typed."""
    defaults = Flags()
    found: list[str] = []
    for name in _KEPT:
        value, flag = getattr(flags, name), f"--{name.replace('_', '-')}"
        if value is True:
            found.append(flag)
        elif isinstance(value, tuple):
            found += [f"{flag}={item}" for item in value]
        elif value != getattr(defaults, name):
            found.append(f"{flag}={value}")
    return tuple(found)


def typed(name: str) -> str:
    """A task's whole name as it was typed ("node.prepare"), by its last part.

    invoke tells a task everything but that; where the command line is not clear, it is the
    last part alone.
    """
    own = name.strip("_").replace("_", "-")
    words = {word for word in sys.argv[1:] if word.rpartition(".")[2].replace("_", "-") == own}
    return words.pop() if len(words) == 1 else own


def _say(text: str) -> None:
    print(text, file=sys.stderr)
