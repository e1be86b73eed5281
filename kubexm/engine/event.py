"""Everything that happens in a run, as values, and their JSON form `kubexm.event/1`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, TypeAlias, assert_never

if TYPE_CHECKING:
    from datetime import datetime

    from kubexm.engine.report import HostReport, RunReport, StepReport
    from kubexm.facts import Facts
    from kubexm.runner import Outcome
    from kubexm.shell import Reply

SCHEMA = "kubexm.event/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The first event of a run."""

    NAME: ClassVar = "run.started"
    run: str
    time: datetime
    plan: str
    hosts: tuple[str, ...]
    check: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInterrupted:
    """Ctrl-C: no further host is started; those at work finish, or with `at_once` are dropped."""

    NAME: ClassVar = "run.interrupted"
    run: str
    time: datetime
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStarted:
    """A host's turn: it is being connected to."""

    NAME: ClassVar = "host.started"
    run: str
    time: datetime
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConnected:
    """A host has let us in; where a run needs its facts, they have been read."""

    NAME: ClassVar = "host.connected"
    run: str
    time: datetime
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlanned:
    """What a plan asks of a host is known, and is looked at there from now on."""

    NAME: ClassVar = "host.planned"
    run: str
    time: datetime
    host: str
    steps: int
    operations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostWaiting:
    """A host waits for others, at a barrier or for its wave; its connection is given back."""

    NAME: ClassVar = "host.waiting"
    run: str
    time: datetime
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """A step is over on a host: done, failed, or left out with the reason."""

    NAME: ClassVar = "step.ended"
    run: str
    time: datetime
    host: str
    report: StepReport


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNotice:
    """Something about a host that its operator should know: a new host key was accepted."""

    NAME: ClassVar = "host.notice"
    run: str
    time: datetime
    host: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEnded:
    """One operation has its outcome."""

    NAME: ClassVar = "operation.ended"
    run: str
    time: datetime
    host: str
    step: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReceived:
    """A user's command has printed something: whole lines, as they come.

    `stream` is "stdout" or "stderr". `CommandEnded` has all of it once more, as bytes.
    """

    NAME: ClassVar = "output.received"
    run: str
    time: datetime
    host: str
    stream: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferProgressed:
    """A transfer has come so far; told about once a second while content moves."""

    NAME: ClassVar = "transfer.progressed"
    run: str
    time: datetime
    host: str
    operation: str
    moved_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnded:
    """A user's command has ended on a host. Of a hidden one neither text nor output is here."""

    NAME: ClassVar = "command.ended"
    run: str
    time: datetime
    host: str
    command: str
    reply: Reply
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRead:
    """What is known about a host."""

    NAME: ClassVar = "facts.read"
    run: str
    time: datetime
    host: str
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEnded:
    """A host's part is over."""

    NAME: ClassVar = "host.ended"
    run: str
    time: datetime
    report: HostReport


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The last event of a run."""

    NAME: ClassVar = "run.ended"
    run: str
    time: datetime
    report: RunReport


Event: TypeAlias = (
    RunStarted
    | RunInterrupted
    | HostStarted
    | HostConnected
    | HostPlanned
    | HostWaiting
    | HostNotice
    | OperationEnded
    | StepEnded
    | OutputReceived
    | TransferProgressed
    | CommandEnded
    | FactsRead
    | HostEnded
    | RunEnded
)


def as_json(event: Event) -> dict[str, object]:
    """An event as JSON types, in a stable order of keys.

    Every event has `schema`, `event`, `time` (UTC, ISO 8601) and `run`; further keys where
    they apply: `host`, `step`, `operation`, `status`, `changed`, `failed`, `diff`, `rests_on`,
    `notes`, `exit_status`, `stderr`, `duration_s`, `error`, `hint`; of `host.planned` the numbers
    `steps` and `operations`; of `step.ended` also `reason`, and `owes` while a restart or the like
    that its change calls for has not been done; of `output.received` also `stream` and `text`; of
    `transfer.progressed` `moved_bytes` and `total_bytes`.
    """
    head: dict[str, object] = {
        "schema": SCHEMA,
        "event": event.NAME,
        "time": event.time.isoformat(timespec="milliseconds"),
        "run": event.run,
    }
    body: dict[str, object]
    match event:
        case RunStarted():
            body = {"plan": event.plan, "hosts": list(event.hosts), "check": event.check}
        case (
            RunInterrupted()
            | HostStarted()
            | HostConnected()
            | HostWaiting()
            | HostPlanned()
            | HostNotice()
            | OutputReceived()
            | TransferProgressed()
        ):
            body = _fields(event)
        case OperationEnded():
            body = {"host": event.host, "step": event.step} | _outcome(event.outcome)
        case StepEnded():
            body = {"host": event.host} | _step(event.report)
        case CommandEnded():
            body = {
                "host": event.host,
                "command": event.command,
                "failed": event.reply.exit_status != 0,
                "exit_status": event.reply.exit_status,
                "stdout": event.reply.stdout.decode("utf-8", "replace"),
                "stderr": event.reply.stderr.decode("utf-8", "replace"),
                "duration_s": round(event.duration_s, 3),
            }
        case FactsRead():
            body = {"host": event.host, "facts": event.facts.to_dict()}
        case HostEnded():
            body = _host(event.report)
        case RunEnded():
            report = event.report
            body = {
                "check": report.check,
                "changed": report.changed,
                "failed": report.exit_code() != 0,
                "exit_code": int(report.exit_code()),
                "duration_s": round(report.duration_s, 3),
                "hosts": {host.host: host.status.value for host in report.hosts},
            }
        case _:
            assert_never(event)
    return head | body


def _fields(event: Event) -> dict[str, object]:
    """What an event of plain values has beside its head."""
    names = [field.name for field in fields(event) if field.name not in ("run", "time")]
    return {name: getattr(event, name) for name in names}


def _outcome(outcome: Outcome) -> dict[str, object]:
    found: dict[str, object] = {
        "operation": outcome.label,
        "type": type(outcome.operation).__name__,
        "status": outcome.status.value,
        "changed": outcome.changed,
        "failed": outcome.failed,
        "diff": outcome.diff,
        "duration_s": round(outcome.duration_s, 6),
    }
    if outcome.rests_on:
        found["rests_on"] = list(outcome.rests_on)
    if outcome.notes:
        found["notes"] = list(outcome.notes)
    if outcome.exit_status is not None:
        found["exit_status"] = outcome.exit_status
    if outcome.failed and outcome.stderr:
        found["stderr"] = outcome.stderr
    if outcome.error is not None:
        found |= {"error": str(outcome.error), "hint": outcome.error.hint}
    return found


def _step(report: StepReport) -> dict[str, object]:
    found: dict[str, object] = {
        "step": report.step,
        "status": report.status.value,
        "changed": any(outcome.changed for outcome in report.outcomes),
        "failed": report.error is not None,
        "duration_s": round(report.duration_s, 3),
    }
    if report.reason:
        found["reason"] = report.reason
    if report.owes:
        found["owes"] = True
    if report.error is not None:
        found |= {"error": str(report.error), "hint": report.error.hint}
    return found


def _host(report: HostReport) -> dict[str, object]:
    found: dict[str, object] = {
        "host": report.host,
        "status": report.status.value,
        "changed": any(outcome.changed for _, outcome in report.outcomes),
        "failed": report.error is not None,
        "duration_s": round(report.duration_s, 3),
        "trips": report.trips,
    }
    if report.error is not None:
        found |= {
            "error": str(report.error),
            "kind": type(report.error).__name__,
            "hint": report.error.hint,
        }
    return found
