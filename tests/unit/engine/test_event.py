"""Every event in its JSON form is what docs/events.md says, key by key."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, get_args

import pytest

from kubexm.engine import (
    CommandEnded,
    Event,
    FactsRead,
    HostConnected,
    HostEnded,
    HostNotice,
    HostPlanned,
    HostReport,
    HostStarted,
    HostStatus,
    HostWaiting,
    OperationEnded,
    OutputReceived,
    RunEnded,
    RunInterrupted,
    RunReport,
    RunStarted,
    StepEnded,
    StepReport,
    StepStatus,
    TransferProgressed,
    as_json,
)
from kubexm.engine.event import SCHEMA
from kubexm.errors import CommandError
from kubexm.facts import parse
from kubexm.runner import Outcome, Status
from kubexm.runner.operations import FileContent
from kubexm.shell import Reply
from kubexm.ui.file.metrics import FAMILIES
from tests.tasks import ROOT
from tests.unit.facts.reply import recorded
from tests.unit.ui.story import RUN, at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOCUMENT = (ROOT / "docs" / "events.md").read_text("utf-8")
COMMON = {"schema", "event", "time", "run"}


def samples() -> Iterator[Event]:
    """Of each event one that has every key it can have, and one that has no more than it must."""
    error = CommandError("it broke", command="c", exit_status=1, stderr="no", hint="mend it")
    operation = FileContent(path="/etc/motd", content="x")
    full = Outcome(
        operation=operation,
        status=Status.FAILED,
        rests_on=("y",),
        notes=("n",),
        exit_status=1,
        stderr="no",
        error=error,
    )
    bare = Outcome(operation=operation, status=Status.OK)
    step = StepReport(step="s", status=StepStatus.FAILED, reason="r", error=error, owes=True)
    host = HostReport(host="h", status=HostStatus.FAILED, error=error)
    run, time = RUN, at(0)
    yield RunStarted(run=run, time=time, plan="p", hosts=("h",), check=False)
    yield RunInterrupted(run=run, time=time)
    yield HostStarted(run=run, time=time, host="h")
    yield HostConnected(run=run, time=time, host="h")
    yield HostPlanned(run=run, time=time, host="h", steps=1, operations=1)
    yield HostWaiting(run=run, time=time, host="h")
    yield HostNotice(run=run, time=time, host="h", message="m")
    for outcome in (full, bare):
        yield OperationEnded(run=run, time=time, host="h", step="s", outcome=outcome)
    for report in (step, StepReport(step="s", status=StepStatus.OK)):
        yield StepEnded(run=run, time=time, host="h", report=report)
    yield OutputReceived(run=run, time=time, host="h", stream="stdout", text="t")
    yield TransferProgressed(
        run=run, time=time, host="h", operation="put", moved_bytes=1, total_bytes=2
    )
    answer = Reply(exit_status=0, stdout=b"\xff", stderr=b"")
    yield CommandEnded(run=run, time=time, host="h", command="c", reply=answer, duration_s=1)
    yield FactsRead(run=run, time=time, host="h", facts=parse(recorded("debian-12-nspawn")))
    for ended in (host, HostReport(host="h", status=HostStatus.OK)):
        yield HostEnded(run=run, time=time, report=ended)
    yield RunEnded(run=run, time=time, report=RunReport(run=run, hosts=(host,)))


def documented() -> Mapping[str, tuple[set[str], set[str]]]:
    """The keys of each event that it always has, and those that it may have."""
    found = {}
    for section in re.split(r"^### ", DOCUMENT, flags=re.MULTILINE)[1:]:
        name = re.match(r"`([a-z.]+)`\n", section)
        assert name is not None
        body = re.split(r"^## ", section, flags=re.MULTILINE)[0]
        always = set(re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE))
        perhaps = set(re.findall(r"^\| \*`(\w+)`\* \|", body, re.MULTILINE))
        found[name[1]] = (always, perhaps)
    return found


def test_every_event_is_documented_and_nothing_else_is() -> None:
    assert {kind.NAME for kind in get_args(Event)} == documented().keys()
    assert {type(sample) for sample in samples()} == set(get_args(Event))


@pytest.mark.parametrize("name", sorted(kind.NAME for kind in get_args(Event)))
def test_the_keys_of_an_event_are_those_that_are_documented(name: str) -> None:
    always, perhaps = documented()[name]
    shown = [as_json(sample) for sample in samples() if name == sample.NAME]
    assert shown[0].keys() == COMMON | always | perhaps
    assert shown[-1].keys() == COMMON | always | (perhaps if len(shown) == 1 else set())


def test_every_event_is_json_and_of_the_schema() -> None:
    for sample in samples():
        found = json.loads(json.dumps(as_json(sample)))
        assert found["schema"] == SCHEMA
        assert (found["event"], found["run"]) == (sample.NAME, RUN)
        assert found["time"] == "2026-01-31T12:00:00.000+00:00"


@pytest.mark.parametrize("statuses", [Status, StepStatus, HostStatus])
def test_every_status_is_documented(statuses: type[Status | StepStatus | HostStatus]) -> None:
    (line,) = (
        line
        for line in DOCUMENT.splitlines()
        if line.startswith("| `status` |")
        and {word.strip("`") for word in line.split("|")[3].strip().split(", ")}
        == {status.value for status in statuses}
    )
    assert line


def test_every_metric_is_documented_with_its_kind_and_labels() -> None:
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        assert f"| `{family.name}` | {family.kind} | {labels} |" in DOCUMENT
    assert len(re.findall(r"^\| `kubexm_", DOCUMENT, re.MULTILINE)) == len(FAMILIES)
