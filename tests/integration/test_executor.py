"""A fleet through a process pool: what crosses pickles, and nothing is lost on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from kubexm.engine import (
    Bus,
    ExitCode,
    HostEnded,
    HostStatus,
    Intended,
    OperationEnded,
    StepEnded,
    StepSettled,
    StepStatus,
    walk,
)
from kubexm.engine.parcel import pack, unpack
from kubexm.errors import CommandError, InventoryError, PluginError, UsageError
from kubexm.inventory import load
from kubexm.plan import Plan, Step
from kubexm.runtime import Settings
from kubexm.secret import Secret
from tests.integration.carried import PLAN
from tests.integration.test_engine import Recorder, runtime_of
from tests.tasks import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from kubexm.engine import Entry

pytestmark = pytest.mark.integration

PROCESSES = Settings(executor="processes", forks=2)


class Book:
    """A recorder that keeps entries."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def record(self, entry: Entry) -> None:
        self.entries.append(entry)


def test_a_fleet_is_carried_by_other_processes(tmp_path: Path) -> None:
    recorder, book = Recorder(), Book()
    runtime = runtime_of(tmp_path, ("a", "b", "c"), PROCESSES)
    with Bus([recorder]) as bus:
        report = walk(PLAN, runtime, bus, recorder=book)
    assert [host.status for host in report.hosts] == [
        HostStatus.CHANGED,
        HostStatus.FAILED,
        HostStatus.CHANGED,
    ]
    for name in ("a", "c"):
        assert (tmp_path / f"hosts.yaml.{name}").read_text() == f"for {name}\n"
        assert (tmp_path / f"hosts.yaml.{name}.token").read_text() == "token of a"
    error = report.hosts[1].error
    assert isinstance(error, CommandError)
    assert (error.host, error.exit_status) == ("b", 4)
    assert "it broke" in str(error)
    assert [step.status for step in report.hosts[1].steps] == [
        StepStatus.CHANGED,
        StepStatus.FAILED,
        StepStatus.SKIPPED,
    ]
    kinds = [type(event) for event in recorder.events]
    assert kinds.count(HostEnded) == 3
    assert kinds.count(StepEnded) == 10
    assert kinds.count(OperationEnded) == 7
    settled = [entry for entry in book.entries if isinstance(entry, StepSettled)]
    assert len(settled) == 10
    for entry in settled:
        before = book.entries[: book.entries.index(entry)]
        intents = [(one.host, one.step) for one in before if isinstance(one, Intended)]
        is_begun = entry.report.status is not StepStatus.SKIPPED
        assert ((entry.host, entry.report.step) in intents) == is_begun or entry.host == "b"


def test_what_cannot_cross_is_told_with_the_way_out(tmp_path: Path) -> None:
    runtime = runtime_of(tmp_path, ("a",), PROCESSES)
    step = Step(name="s", body=lambda _: ())
    with Bus([]) as bus:
        report = walk(Plan(name="p", steps=(step,)), runtime, bus)
    assert report.exit_code() is ExitCode.FAILED
    assert isinstance(report.hosts[0].error, UsageError)
    assert "--executor threads" in report.hosts[0].error.hint


def test_an_executor_that_is_not_installed_is_refused_before_anything_runs(tmp_path: Path) -> None:
    runtime = runtime_of(tmp_path, ("a",), Settings(executor="celery"))
    with Bus([]) as bus, pytest.raises(PluginError, match="no plugin named 'celery'") as caught:
        walk(PLAN, runtime, bus)
    assert "processes, threads" in caught.value.hint


def test_errors_and_secrets_cross_whole() -> None:
    error = PluginError("no", group="g", name="n", distribution="d", hint="h")
    back = unpack(pack((error, Secret("s"))))
    assert isinstance(back[0], PluginError)
    assert (str(back[0]), back[0].group, back[0].hint) == ("no", "g", "h")
    assert back[1] == Secret("s")


def test_the_variables_of_a_host_cross_as_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text(
        "all: {hosts: {a: {port: 80, url: 'http://x:{{ port }}', bad: '{{ nope }}'}}}\n"
    )
    variables = unpack(pack(load(path).host("a").variables))
    assert variables["url"] == "http://x:80"
    assert set(variables) >= {"port", "url", "bad"}
    with pytest.raises(InventoryError, match="nope"):
        variables["bad"]


def test_a_second_interrupt_ends_other_processes_too(tmp_path: Path) -> None:
    runtime_of(tmp_path, ("a",))
    command = [sys.executable, "-m", "tests.integration.carried", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    limit = time.monotonic() + 60
    while not (tmp_path / "at-work").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.5)
    output, _ = process.communicate(timeout=60)
    assert output.split() == ["failed", "130"]
    assert not (tmp_path / "done").exists()
