"""Runs in a user's own project: recorded, shown, killed, resumed, compared, forgotten."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from kubexm.engine.journal import Journal, RunState
from kubexm.runtime import WorkDirectory
from tests.fork import inv

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

SECRET = "hunter2xyzzy"
TASKS = f'''\
from pathlib import Path

from kubexm.plan import Plan, Step
from kubexm.runner.operations import FileContent
from kubexm.runner.procedures import RunCommand
from kubexm.secret import Secret
from kubexm.tasks import Fleet, fleet_task, ns

HERE = Path(__file__).parent


def configuration(context):
    yield FileContent(path=f"{{HERE}}/out/{{context.host.name}}.conf", content="a = 1\\n")
    yield FileContent(path=f"{{HERE}}/out/{{context.host.name}}.key", content=Secret("{SECRET}"))


def restart(context):
    yield RunCommand(command=f"echo {{context.host.name}} >>{{HERE}}/out/restarts")


def fill(context):
    yield RunCommand(command=f"dd if=/dev/zero of={{HERE}}/.kubexm/zeros bs=4k 2>/dev/null; true")


def slow(context):
    wait = f"touch {{HERE}}/out/at-work; while test -e {{HERE}}/wait; do sleep 0.1; done"
    yield RunCommand(command=f"{{wait}}; echo {{context.host.name}} >>{{HERE}}/out/slow")


def last(context):
    unbroken = f"test ! -e {{HERE}}/broken"
    yield RunCommand(command=f"{{unbroken}} && echo {{context.host.name}} >>{{HERE}}/out/last")


PLAN = Plan(
    name="site",
    steps=(
        Step(name="configuration", body=configuration, on_change=restart),
        Step(name="slow", body=slow),
        Step(name="last", body=last),
    ),
)


@fleet_task
def site(fleet: Fleet) -> None:
    """Bring up the site."""
    fleet.run(PLAN)


@fleet_task
def full(fleet: Fleet) -> None:
    """Fill the disk that the journal is on, in mid-run."""
    steps = (Step(name="fill", body=fill), Step(name="configuration", body=configuration))
    fleet.run(Plan(name="full", steps=steps))


@fleet_task
def twice(fleet: Fleet, text: str = "x") -> None:
    """Two runs."""
    fleet.apply("one", FileContent(path=f"{{HERE}}/out/one", content=text))
    fleet.apply("two", FileContent(path=f"{{HERE}}/broken/two", content=text))


ns.add_task(site)
ns.add_task(full)
ns.add_task(twice)
'''
INVENTORY = """\
all:
  hosts:
    one: {kubexm_connection: local, kubexm_become: false}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    path: Path

    @property
    def out(self) -> Path:
        return self.path / "out"

    @property
    def journal(self) -> Journal:
        return Journal(WorkDirectory(path=self.path / ".kubexm" / "default"))

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "invoke", *words]

    def inv(self, *words: str) -> subprocess.CompletedProcess[str]:
        return inv(self.path, *words)

    def kill_at(self, name: str, *words: str) -> None:
        """Run a command and kill it without warning once a file is there."""
        with subprocess.Popen(
            self.command(*words),
            cwd=self.path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            limit = time.monotonic() + 60
            while not (self.out / name).exists():
                assert time.monotonic() < limit
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)

    def lines(self, name: str) -> list[str]:
        path = self.out / name
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "default.yaml").write_text(INVENTORY)
    (tmp_path / "out").mkdir()
    return Project(path=tmp_path)


def done(process: subprocess.CompletedProcess[str], code: int = 0) -> str:
    assert process.returncode == code, process.stdout + process.stderr
    return process.stdout + process.stderr


def test_a_run_that_failed_goes_on_where_it_failed_and_nowhere_else(project: Project) -> None:
    (project.path / "broken").touch()
    done(project.inv("site"), 2)
    (project.path / "broken").unlink()
    (project.out / "one.conf").write_text("not looked at again\n")
    done(project.inv("site", "--resume"))
    assert project.lines("slow") == project.lines("last") == project.lines("restarts") == ["one"]
    assert (project.out / "one.conf").read_text() == "not looked at again\n"
    assert "nothing is left" in done(project.inv("site", "--resume"))
    assert "nothing is left" in done(project.inv("runs.resume"))


def test_a_killed_run_reports_what_is_unknown_and_goes_on_once_it_is_answered(
    project: Project,
) -> None:
    (project.path / "wait").touch()
    project.kill_at("at-work", "site")
    (project.path / "wait").unlink()
    with project.journal as journal:
        (line,) = journal.runs()
        assert (line.state, line.is_left, journal.faults()) == (RunState.KILLED, True, ())
    limit = time.monotonic() + 30
    while not project.lines("slow"):
        assert time.monotonic() < limit
        time.sleep(0.05)
    resumed = project.inv("site", "--resume", "--output", "json")
    assert "nobody saw how it ended" in done(resumed, 2)
    assert project.lines("slow") == ["one"]
    assert project.lines("last") == []
    done(project.inv("runs.settle", "one", "slow", "done"))
    done(project.inv("runs.resume"))
    assert project.lines("slow") == project.lines("last") == project.lines("restarts") == ["one"]


def test_a_changed_plan_is_explained_and_nothing_is_touched(project: Project) -> None:
    (project.path / "broken").touch()
    done(project.inv("site"), 2)
    (project.path / "broken").unlink()
    tasks = project.path / "tasks.py"
    tasks.write_text(tasks.read_text().replace("a = 1", "a = 2"))
    told = done(project.inv("site", "--resume"), 5)
    assert "steps that ask for something else now: configuration" in told
    assert "--accept-changes" in told
    assert project.lines("last") == []
    done(project.inv("site", "--resume", "--accept-changes"))
    assert project.lines("last") == ["one"]
    assert (project.out / "one.conf").read_text() == "a = 1\n"


def test_a_changed_inventory_is_explained(project: Project) -> None:
    (project.path / "broken").touch()
    done(project.inv("site"), 2)
    inventory = project.path / "inventories" / "default.yaml"
    inventory.write_text(
        INVENTORY.replace("}", ", x: 1}") + "    two: {kubexm_connection: local}\n"
    )
    told = done(project.inv("site", "--resume"), 5)
    assert "hosts of which the inventory says something else now: one" in told
    assert "new hosts: two" in told


def test_there_is_nothing_to_resume_before_the_first_run(project: Project) -> None:
    assert "no run of site" in done(project.inv("site", "--resume"), 5)
    done(project.inv("site"))
    assert "of the task site" in done(
        project.inv("twice", "--resume", project.journal.runs()[0].run), 5
    )


def test_a_task_of_several_runs_goes_on_in_the_one_that_failed(project: Project) -> None:
    (project.path / "broken").touch()
    done(project.inv("twice"), 2)
    (project.path / "broken").unlink()
    (project.out / "one").unlink()
    assert "nothing is left of the run" in done(project.inv("twice", "--resume"))
    assert (project.path / "broken" / "two").read_text() == "x"
    assert not (project.out / "one").exists()


def test_runs_resume_types_no_arguments_that_were_not_kept(project: Project) -> None:
    (project.path / "broken").touch()
    done(project.inv("twice", "--text", SECRET), 2)
    told = done(project.inv("runs.resume"), 5)
    assert "inv twice … --resume=" in told
    done(project.inv("site", "--forks", "3"), 2)
    assert "inv site --forks=3 --output=rich --resume=" in done(project.inv("runs.resume"), 2)


def test_a_fresh_run_says_what_an_earlier_one_still_owes(project: Project) -> None:
    tasks = project.path / "tasks.py"
    tasks.write_text(tasks.read_text().replace("echo {context.host.name} >>{HERE}/out/r", "false"))
    done(project.inv("site"), 2)
    told = done(project.inv("site"))
    (first, _) = project.journal.runs()
    assert f"the run {first.run} (failed) still owes 1 restart" in told
    assert first.owed == 1


def test_drift_is_what_two_checks_found_different(project: Project) -> None:
    done(project.inv("site"))
    done(project.inv("site", "--check", "--only", "configuration", "--detailed-exitcode"))
    (project.out / "one.conf").write_text("a = 3\n")
    check = ("site", "--check", "--only", "configuration", "--detailed-exitcode")
    done(project.inv(*check), 3)
    told = done(project.inv("runs.diff", "--diff", "--detailed-exitcode"), 3)
    assert f"one: configuration: file {project.out}/one.conf: ok -> changed" in told
    assert "-a = 3" in told
    done(project.inv(*check), 3)
    assert "no difference" in done(project.inv("runs.diff", "--detailed-exitcode"))
    drifts = project.inv("runs.diff", "--output", "json", "--before", project.journal.runs()[0].run)
    assert [json.loads(line)["event"] for line in done(drifts).splitlines()] != []


def test_runs_are_listed_shown_and_forgotten(project: Project) -> None:
    told = done(project.inv("--no-dedupe", "site", "site", "site", "runs.list"))
    assert told.count(" done ") == 3
    lines = [
        json.loads(line) for line in done(project.inv("runs.list", "--output", "json")).splitlines()
    ]
    assert [line["state"] for line in lines] == ["done"] * 3
    shown = done(project.inv("runs.show", "--run", str(lines[0]["run"]), "--diff"))
    assert "+a = 1" in shown
    assert "(secret: not kept)" in shown
    record = json.loads(done(project.inv("runs.show", "--output", "json")))
    assert record["hosts"][0]["host"] == "one"
    assert "2 runs are forgotten" in done(project.inv("runs.prune", "--keep", "1"))
    assert [line.run for line in project.journal.runs()] == [lines[2]["run"]]
    assert len(list((project.path / ".kubexm" / "default" / "runs").iterdir())) == 1


def test_no_secret_is_in_anything_that_a_run_leaves_behind(project: Project) -> None:
    words = ("--log-file", "log", "--log-level", "debug", "--metrics-file", "metrics")
    heard = [f"--listener={name}" for name in ("json", "plain", "junit", "host-logs")]
    done(project.inv("site", "-e", f"token={SECRET}", *words, *heard, "--profile", "-vv"))
    with project.journal as journal:
        assert journal.runs()[0].flags is None
    left = [path for path in project.path.rglob("*") if path.is_file()]
    assert len([path for path in left if ".kubexm" in path.parts]) >= 6
    ours = {project.path / "tasks.py", project.out / "one.key"}
    with_secret = {path for path in left if SECRET.encode() in path.read_bytes()}
    assert {path for path in with_secret - ours if path.suffix != ".pyc"} == set()


def test_a_work_directory_of_ones_own_holds_the_journal(project: Project) -> None:
    done(project.inv("site", "--work-dir", "elsewhere"))
    assert (project.path / "elsewhere" / "default" / "journal.sqlite3").exists()
    assert not (project.path / ".kubexm").exists()
    assert "no journal" in done(project.inv("runs.list"), 5)
    assert "done" in done(project.inv("runs.list", "--work-dir", "elsewhere"))


needs_mount = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare"
)


def inv_on_small_disk(
    project: Project, script: str, *words: str
) -> subprocess.CompletedProcess[str]:
    """A command in a mount namespace of its own, where the work directory is a disk of 1 MiB."""
    work = project.path / ".kubexm"
    work.mkdir(exist_ok=True)
    mount = f"mount -t tmpfs -o size=1m none {work} && {script} && exec"
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{mount} "$@"', "sh", *project.command(*words)],
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@needs_mount
def test_a_full_disk_is_told_before_anything_is_changed(project: Project) -> None:
    filled = f"{{ dd if=/dev/zero of={project.path}/.kubexm/zeros bs=4k 2>/dev/null; true; }}"
    told = done(inv_on_small_disk(project, filled, "site"), 5)
    assert "No space left" in told or "disk is full" in told
    assert "--work-dir" in told
    assert list(project.out.iterdir()) == []


@needs_mount
def test_a_disk_that_fills_up_stops_a_run_before_its_next_change(project: Project) -> None:
    told = done(inv_on_small_disk(project, "true", "full"), 2)
    assert "the journal" in told
    assert "cannot be written" in told
    assert not (project.out / "one.conf").exists()


def test_a_journal_that_cannot_be_written_is_told_before_anything_is_changed(
    project: Project,
) -> None:
    (project.path / ".kubexm").write_text("a file is in the way")
    told = done(project.inv("site"), 5)
    assert "--work-dir" in told
    assert list(project.out.iterdir()) == []
