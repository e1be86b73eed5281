"""Entries as the engine would send them, with as little as a test wants to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.engine import (
    HostReport,
    HostStatus,
    Intended,
    ProcedureEnded,
    RunBegan,
    RunReport,
    RunSettled,
    StepReport,
    StepSettled,
    StepStatus,
)
from kubexm.engine.journal import About, Journal
from kubexm.runner import Outcome, Status
from kubexm.runner.operations import CommandRun, FileContent
from kubexm.runtime import WorkDirectory

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kubexm.engine import Entry
    from kubexm.runner import Operation

FILE = FileContent(path="/etc/motd", content="hello\n")
COMMAND = CommandRun(command="kubeadm init", creates="/etc/kubernetes/admin.conf")


def journal_in(directory: Path) -> Journal:
    return Journal(WorkDirectory(path=directory / "work"))


def began(
    run: str,
    *,
    hosts: Iterable[str] = ("a", "b"),
    steps: Iterable[str] = ("one", "two", "three"),
    check: bool = False,
) -> RunBegan:
    return RunBegan(
        run=run,
        plan="p",
        digest="d" + "".join(steps),
        steps={step: f"d-{step}" for step in steps},
        hosts={host: f"d-{host}" for host in hosts},
        check=check,
    )


def intended(
    host: str, step: str, item: int = 0, *, procedure: bool = False, owes: bool = False
) -> Intended:
    return Intended(
        host=host, step=step, item=item, labels=("do it",), procedure=procedure, owes=owes
    )


def ended(host: str, step: str, item: int = 0, status: Status = Status.CHANGED) -> ProcedureEnded:
    outcome = Outcome(operation=COMMAND, status=status)
    return ProcedureEnded(host=host, step=step, item=item, outcome=outcome)


def settled(
    host: str,
    step: str,
    status: StepStatus = StepStatus.CHANGED,
    *outcomes: Outcome,
    owes: bool = False,
) -> StepSettled:
    report = StepReport(step=step, status=status, outcomes=outcomes, owes=owes)
    return StepSettled(host=host, report=report)


def changed(operation: Operation = FILE, diff: str = "-a\n+b\n") -> Outcome:
    return Outcome(operation=operation, status=Status.CHANGED, diff=diff)


def over(run: str, **hosts: HostStatus) -> RunSettled:
    reports = tuple(HostReport(host=name, status=status) for name, status in hosts.items())
    return RunSettled(report=RunReport(run=run, hosts=reports))


def write(journal: Journal, run: str, *entries: Entry, resumes: str = "") -> None:
    """A run that began and said this; it came to its end if the entries have one."""
    with journal.recording(run, About(task="t"), resumes=resumes) as recording:
        recording.record(began(run))
        for entry in entries:
            recording.record(entry)
