"""A user's own project: `tasks.py`, an inventory, and the commands as she types them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

TASKS = '''\
from kubexm.runner.operations import FileContent
from kubexm.tasks import Fleet, fleet_task, ns


@fleet_task
def motd(fleet: Fleet, path: str, text: str = "hello") -> None:
    """Write the message of the day."""
    fleet.apply("motd", FileContent(path=path, content=text + "\\n"))


ns.add_task(motd)
'''
INVENTORY = """\
all:
  hosts:
    one: {kubexm_connection: local, kubexm_become: false}
    two: {kubexm_connection: local, kubexm_become: false}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "default.yaml").write_text(INVENTORY)
    return tmp_path


def inv(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_task_of_her_own_appears_beside_the_built_in_ones(project: Path) -> None:
    listed = inv(project, "--list")
    assert listed.returncode == 0, listed.stderr
    for name in ("motd", "node.prepare", "hosts.list", "hosts.ping", "hosts.facts", "hosts.run"):
        assert f"  {name} " in listed.stdout
    assert "Write the message of the day." in listed.stdout


def test_a_task_of_her_own_takes_every_flag_of_a_fleet_task(project: Path) -> None:
    shown = inv(project, "--help", "motd").stdout
    for flag in ("--inventory", "--limit", "--check", "--diff", "--output", "--ask-become-pass"):
        assert flag in shown
    assert "--text" in shown


def test_a_task_of_her_own_predicts_applies_and_then_finds_nothing_to_do(project: Path) -> None:
    target = project / "motd"
    predicted = inv(project, "motd", str(target), "--check", "--diff", "--limit", "one")
    assert predicted.returncode == 0, predicted.stderr
    assert "+hello" in predicted.stdout
    assert not target.exists()

    applied = inv(project, "motd", str(target), "--diff", "--limit", "one")
    assert applied.returncode == 0, applied.stderr
    assert "+hello" in applied.stdout
    assert target.read_text() == "hello\n"

    again = inv(project, "motd", str(target))
    assert again.returncode == 0
    assert "changed" not in again.stdout.split("\nhost ")[0]


def test_a_check_that_finds_changes_exits_with_3_when_asked(project: Path) -> None:
    target = str(project / "motd")
    assert inv(project, "motd", target, "--check", "--detailed-exitcode").returncode == 3
    assert inv(project, "motd", target, "--limit", "one").returncode == 0
    assert inv(project, "motd", target, "--check", "--detailed-exitcode").returncode == 0


def test_json_output_is_json_lines_of_the_schema_and_nothing_else(project: Path) -> None:
    done = inv(project, "motd", str(project / "motd"), "--output", "json", "--limit", "one")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["schema"] for event in events} == {"kubexm.event/1"}
    assert [event["event"] for event in events] == [
        "run.started",
        "host.started",
        "host.connected",
        "host.planned",
        "operation.ended",
        "step.ended",
        "host.ended",
        "run.ended",
    ]
    operation = events[4]
    assert operation["host"] == "one"
    assert operation["step"] == "motd"
    assert operation["changed"] is True
    assert operation["failed"] is False
    assert "+hello" in operation["diff"]
    assert len({event["run"] for event in events}) == 1


def test_a_command_runs_on_every_host_and_its_failure_is_exit_code_2(project: Path) -> None:
    good = inv(project, "hosts.run", "echo hi from $((1 + 1))")
    assert good.returncode == 0, good.stderr
    assert "one, two: exit status 0\n    hi from 2\n" in good.stdout
    bad = inv(project, "hosts.run", "echo no good >&2; exit 7")
    assert bad.returncode == 2
    assert "exit status 7" in bad.stdout
    assert "no good" in bad.stdout


def test_hosts_are_listed_without_a_connection(project: Path) -> None:
    listed = inv(project, "hosts.list", "--limit", "two")
    assert listed.returncode == 0
    assert "two" in listed.stdout
    assert "one" not in listed.stdout


def test_facts_are_json_by_host(project: Path) -> None:
    done = inv(project, "hosts.facts", "--limit", "one", "--output", "json")
    assert done.returncode == 0, done.stderr
    facts = next(
        event["facts"]
        for event in map(json.loads, done.stdout.splitlines())
        if event["event"] == "facts.read"
    )
    assert facts["arch"]
    assert facts["os"]["id"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("motd", "/nowhere/x", "--limit", "ome"), "one"),
        (("motd", "/nowhere/x", "--inventory", "nowhere.yaml"), "nowhere.yaml"),
        (("motd", "/nowhere/x", "--output", "xml"), "--output"),
        (("motd", "/nowhere/x", "--only", "nothing"), "motd"),
        (("motd", "/nowhere/x", "--ask-become-pass"), "terminal"),
        (("motd", "/nowhere/x", "--extra-var", "novalue"), "name=value"),
        (("motd", "/nowhere/x", "--forks", "0"), "--forks"),
    ],
)
def test_a_mistake_is_told_with_the_way_out_and_exit_code_5(
    project: Path, words: tuple[str, ...], said: str
) -> None:
    done = inv(project, *words)
    assert done.returncode == 5
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_listing_the_commands_loads_nothing_heavy(project: Path) -> None:
    script = (
        "import sys, kubexm.tasks; "
        "print([m for m in ('fabric', 'paramiko', 'rich', 'jinja2', 'ruamel.yaml')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_command_has_no_check_mode(project: Path) -> None:
    done = inv(project, "hosts.run", f"touch {project}/ran", "--check")
    assert done.returncode == 5
    assert "no check mode" in done.stderr
    assert not (project / "ran").exists()


SEVERAL = '''\
from kubexm.runner.operations import CommandRun, FileContent
from kubexm.tasks import Fleet, fleet_task, ns


@fleet_task
def several(fleet: Fleet, path: str) -> None:
    """A change, then a failure."""
    fleet.apply("first", FileContent(path=path, content="x"))
    fleet.apply("second", CommandRun(command="exit 7", only_if="true"))


ns.add_task(several)
'''


def test_of_several_runs_the_worst_decides_the_exit_code(project: Path) -> None:
    (project / "tasks.py").write_text(SEVERAL)
    target = project / "several"
    skipped = inv(project, "several", str(target), "--only", "second")
    assert skipped.returncode == 2
    assert not target.exists()
    checked = inv(project, "several", str(target), "--check", "--detailed-exitcode")
    assert checked.returncode == 3
    assert inv(project, "several", str(target)).returncode == 2
    assert target.exists()


def test_a_number_that_is_none_is_told_without_a_traceback(project: Path) -> None:
    done = inv(project, "hosts.list", "--forks", "many")
    assert done.returncode == 1
    assert "'many' is not a whole number" in done.stderr
    assert "Traceback" not in done.stderr
