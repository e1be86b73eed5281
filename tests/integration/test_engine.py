"""The engine over this machine's own shell: failures apart, order kept, clean ends."""

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
    Event,
    ExitCode,
    HostEnded,
    HostStatus,
    OperationEnded,
    RunEnded,
    RunStarted,
    each,
    walk,
)
from kubexm.errors import HostError, PlanError, UsageError
from kubexm.inventory import load
from kubexm.plan import Plan, Step, StepContext
from kubexm.runner import Host, Status
from kubexm.runner.operations import CommandRun, FileContent
from kubexm.runner.procedures import Get, Put
from kubexm.runtime import Runtime, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kubexm.runner import Operation

pytestmark = pytest.mark.integration


class Recorder:
    """A listener that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)


def runtime_of(directory: Path, names: Iterable[str], settings: Settings | None = None) -> Runtime:
    path = directory / "hosts.yaml"
    hosts = "".join(f"    {name}:\n" for name in names)
    path.write_text(
        f"all:\n  hosts:\n{hosts}  vars: {{kubexm_connection: local, kubexm_become: false}}\n"
    )
    inventory = load(path)
    return Runtime(inventory, inventory.hosts, settings)


def file_of(directory: Path, text: str = "x") -> Step:
    def body(context: StepContext) -> Iterable[Operation]:
        yield FileContent(path=str(directory / context.host.name), content=text)

    return Step(name=f"file {text}", body=body)


def broken(host: str) -> Step:
    def body(context: StepContext) -> Iterable[Operation]:
        if context.host.name == host:
            yield CommandRun(command="echo it broke >&2; exit 4", creates="/nowhere/at-all")

    return Step(name="broken", body=body)


def test_files_go_and_come_as_steps_of_a_plan(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").write_text("content")
    there = tmp_path / "there"
    steps = (
        Step(name="put", body=(Put(source=tmp_path / "source", path=str(there)),)),
        Step(name="get", body=(Get(path=str(there), local=tmp_path / "back/{host}"),)),
    )
    plan = Plan(name="p", steps=steps)
    checked = walk(plan, runtime_of(tmp_path, ("a",), Settings(check=True)), Bus(()))
    assert not there.exists()
    assert [one.status for one in checked.hosts[0].steps[0].outcomes] == [Status.CHANGED]
    for status in (Status.CHANGED, Status.OK):
        report = walk(plan, runtime_of(tmp_path, ("a",)), Bus(()))
        outcomes = [outcome for step in report.hosts[0].steps for outcome in step.outcomes]
        assert [outcome.status for outcome in outcomes] == [status, status]
    assert (tmp_path / "back/a/file").read_text() == "content"
    (tmp_path / "source/file").unlink()
    (tmp_path / "source").rmdir()
    report = walk(plan, runtime_of(tmp_path, ("a",)), Bus(()))
    assert report.exit_code() == ExitCode.FAILED
    assert "cannot be put" in str(report.hosts[0].steps[0].outcomes[0].error)


def test_one_hosts_failure_is_its_own_and_its_later_steps_are_skipped(tmp_path: Path) -> None:
    recorder = Recorder()
    runtime = runtime_of(tmp_path, ("a", "b", "c"))
    plan = Plan(name="p", steps=(file_of(tmp_path, "1"), broken("b"), file_of(tmp_path, "2")))
    with Bus([recorder]) as bus:
        report = walk(plan, runtime, bus)
    assert [host.host for host in report.hosts] == ["a", "b", "c"]
    assert [host.status for host in report.hosts] == [
        HostStatus.CHANGED,
        HostStatus.FAILED,
        HostStatus.CHANGED,
    ]
    failed = report.hosts[1]
    assert [outcome.status for _, outcome in failed.outcomes] == [
        Status.CHANGED,
        Status.FAILED,
        Status.SKIPPED,
    ]
    assert "it broke" in str(failed.error)
    assert isinstance(failed.error, HostError)
    assert failed.error.host == "b"
    assert report.exit_code() is ExitCode.FAILED
    assert (tmp_path / "a").read_text() == "2"
    assert (tmp_path / "b").read_text() == "1"
    assert isinstance(recorder.events[0], RunStarted)
    assert isinstance(recorder.events[-1], RunEnded)
    assert sum(isinstance(event, HostEnded) for event in recorder.events) == 3
    assert sum(isinstance(event, OperationEnded) for event in recorder.events) == 7


def test_steps_of_a_host_share_their_round_trips(tmp_path: Path) -> None:
    runtime = runtime_of(tmp_path, ("a",))
    steps = tuple(
        Step(name=f"s{n}", body=(FileContent(path=str(tmp_path / f"f{n}"), content="x"),))
        for n in range(40)
    )
    with Bus([]) as bus:
        first = walk(Plan(name="p", steps=steps), runtime, bus)
        second = walk(Plan(name="p", steps=steps), runtime, bus)
    assert first.hosts[0].trips == 3
    assert second.hosts[0].trips == 2
    assert not second.changed


def test_check_changes_nothing_and_says_what_would_change(tmp_path: Path) -> None:
    runtime = runtime_of(tmp_path, ("a",), Settings(check=True))
    with Bus([]) as bus:
        report = walk(Plan(name="p", steps=(file_of(tmp_path),)), runtime, bus)
    assert report.changed
    assert report.exit_code(detailed=True) is ExitCode.CHANGES
    assert not (tmp_path / "a").exists()


def test_a_fault_in_a_plan_fails_its_host_and_not_the_run(tmp_path: Path) -> None:
    def body(context: StepContext) -> Iterable[Operation]:
        if context.host.name == "a":
            message = "a bug"
            raise KeyError(message)
        return ()

    runtime = runtime_of(tmp_path, ("a", "b"))
    with Bus([]) as bus:
        report = walk(Plan(name="p", steps=(Step(name="s", body=body),)), runtime, bus)
    assert [host.status for host in report.hosts] == [HostStatus.FAILED, HostStatus.OK]
    assert "a bug" in str(report.hosts[0].error)


def test_a_listener_that_fails_is_detached_and_the_others_go_on(tmp_path: Path) -> None:
    class Failing:
        calls = 0

        def on_event(self, event: Event) -> None:
            del event
            self.calls += 1
            message = "no"
            raise OSError(message)

    failing, recorder = Failing(), Recorder()
    runtime = runtime_of(tmp_path, ("a", "b"))
    with Bus([failing, recorder]) as bus:
        report = walk(Plan(name="p", steps=(file_of(tmp_path),)), runtime, bus)
    assert report.exit_code() is ExitCode.DONE
    assert failing.calls == 1
    assert isinstance(recorder.events[-1], RunEnded)


def test_a_step_runs_only_on_the_hosts_of_its_selector(tmp_path: Path) -> None:
    runtime = runtime_of(tmp_path, ("a", "b"))
    step = Step(name="s", body=file_of(tmp_path).body, selector="b")
    with Bus([]) as bus:
        walk(Plan(name="p", steps=(step,)), runtime, bus)
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b").exists()


def test_a_selector_that_matches_nothing_is_told_before_anything_runs(tmp_path: Path) -> None:
    runtime = runtime_of(tmp_path, ("a",))
    plan = Plan(name="p", steps=(file_of(tmp_path), Step(name="s", body=(), selector="typo")))
    with Bus([]) as bus, pytest.raises(UsageError, match="typo"):
        walk(plan, runtime, bus)
    assert not (tmp_path / "a").exists()


def test_two_steps_of_one_name_are_refused() -> None:
    with pytest.raises(PlanError, match="two steps"):
        Plan(name="p", steps=(Step(name="s", body=()), Step(name="s", body=())))


def test_imperative_work_on_each_host_is_recorded(tmp_path: Path) -> None:
    def work(host: Host) -> None:
        if host.files.write(str(tmp_path / host.name), "one\n").changed:
            host.files.line(str(tmp_path / host.name), "two")

    runtime = runtime_of(tmp_path, ("a", "b"))
    with Bus([]) as bus:
        report = each("work", work, runtime, bus)
        again = each("work", work, runtime, bus)
    assert (tmp_path / "a").read_text() == "one\ntwo\n"
    assert [len(host.outcomes) for host in report.hosts] == [2, 2]
    assert [host.host for host in again.hosts] == ["a", "b"]


def test_imperative_work_that_fails_fails_its_host(tmp_path: Path) -> None:
    def work(host: Host) -> None:
        host.files.write(str(tmp_path), "a directory is in the way")

    runtime = runtime_of(tmp_path, ("a",))
    with Bus([]) as bus:
        report = each("work", work, runtime, bus)
    assert report.hosts[0].status is HostStatus.FAILED
    assert "is not a regular file" in str(report.hosts[0].error)


def test_what_was_changed_before_imperative_work_failed_is_told(tmp_path: Path) -> None:
    def work(host: Host) -> None:
        host.files.write(str(tmp_path / "made"), "x")
        message = "a bug"
        raise KeyError(message)

    runtime = runtime_of(tmp_path, ("a",))
    with Bus([]) as bus:
        (report,) = each("work", work, runtime, bus).hosts
    assert report.status is HostStatus.FAILED
    assert [outcome.status for _, outcome in report.outcomes] == [Status.CHANGED]
    assert "a bug" in str(report.error)


SLOW = """
import sys
from pathlib import Path
from kubexm.engine import Bus, walk
from kubexm.inventory import load
from kubexm.plan import Plan, Step
from kubexm.runner.operations import CommandRun
from kubexm.runtime import Runtime, Settings

directory = Path(sys.argv[1])
inventory = load(directory / "hosts.yaml")
runtime = Runtime(inventory, inventory.hosts, Settings(forks=1))
done = directory / "done"
command = CommandRun(command=f"touch {directory}/at-work; sleep 2; touch {done}", creates=str(done))
with Bus([]) as bus:
    report = walk(Plan(name="p", steps=(Step(name="s", body=(command,)),)), runtime, bus)
print([host.status.value for host in report.hosts], int(report.exit_code()))
"""


def test_an_interrupt_lets_the_host_at_work_finish_and_starts_no_other(tmp_path: Path) -> None:
    runtime_of(tmp_path, ("a", "b", "c"))
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    limit = time.monotonic() + 20
    while not (tmp_path / "at-work").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert output.split() == ["['changed',", "'interrupted',", "'interrupted']", "130"]
    assert (tmp_path / "done").exists()


STEPS = """
import sys
from pathlib import Path
from kubexm.engine import Bus, walk
from kubexm.inventory import load
from kubexm.plan import Plan, Step
from kubexm.runner.procedures import RunCommand
from kubexm.runtime import Runtime, Settings

directory = Path(sys.argv[1])
inventory = load(directory / "hosts.yaml")
runtime = Runtime(inventory, inventory.hosts, Settings())
def run(command):
    return (RunCommand(command=f"cd {directory}; {command}"),)
steps = (
    Step(name="one", body=run(sys.argv[2]), on_change=run("touch restarted")),
    Step(name="two", body=run("touch two")),
)
with Bus([]) as bus:
    report = walk(Plan(name="p", steps=steps), runtime, bus)
(host,) = report.hosts
print(host.status.value, int(report.exit_code()), *(s.status.value for s in host.steps), sep=",")
print([step.owes for step in host.steps])
"""


def interrupted(directory: Path, command: str, times: int) -> list[str]:
    """What a run says that gets Ctrl-C so many times while its first step is at work."""
    runtime_of(directory, ("a",))
    process = subprocess.Popen(
        [sys.executable, "-c", STEPS, str(directory), command], stdout=subprocess.PIPE, text=True
    )
    limit = time.monotonic() + 60
    while not (directory / "at-work").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    for _ in range(times):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.5)
    output, _ = process.communicate(timeout=60)
    return output.splitlines()


def test_an_interrupt_lets_what_is_on_the_wire_finish_and_begins_nothing(tmp_path: Path) -> None:
    said = interrupted(tmp_path, "touch at-work; sleep 2; touch one", times=1)
    assert said == ["interrupted,130,changed,not reached", "[True, False]"]
    assert (tmp_path / "one").exists()
    assert not (tmp_path / "restarted").exists()
    assert not (tmp_path / "two").exists()


def test_a_second_interrupt_drops_what_is_on_the_wire(tmp_path: Path) -> None:
    began = time.monotonic()
    said = interrupted(tmp_path, "touch at-work; sleep 50; touch one", times=2)
    assert said == ["failed,130,unknown,not reached", "[True, False]"]
    assert time.monotonic() - began < 45
    assert not (tmp_path / "one").exists()
