"""What an operator sees in a real terminal, and what is left of it in a pipe."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.pty_session import PtySession

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

TASKS = '''\
from pathlib import Path

from kubexm.runner.operations import CommandRun, FileContent
from kubexm.tasks import Fleet, fleet_task, ns


@fleet_task
def slow(fleet: Fleet, directory: str, seconds: str = "1") -> None:
    """Take some time."""
    fleet.apply(
        "slow",
        FileContent(path=f"{directory}/file", content="one\\n"),
        CommandRun(
            command=f"sleep {seconds}; test ! -e {directory}/broken",
            unless=f"test -e {directory}/never",
            name="sleep",
        ),
    )


@fleet_task
def each(fleet: Fleet) -> None:
    """Print from many threads."""
    import time

    fleet.each(lambda host: (time.sleep(0.5), print("hello from", host.name)) and None)


ns.add_task(slow)
ns.add_task(each)
'''
INVENTORY = """\
all:
  hosts:
    one:
    two:
    three:
  vars: {kubexm_connection: local, kubexm_become: false}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "default.yaml").write_text(INVENTORY)
    return tmp_path


def timeless(text: str) -> str:
    """The text with every time replaced, and the blanks before it."""
    return re.sub(r" +\d+\.\d s", "  # s", text)


def test_the_display_follows_the_run_and_leaves_the_final_text(project: Path) -> None:
    with PtySession(project, "hosts.run", "sleep 1; uname -s") as terminal:
        live = terminal.wait_for("working")
        assert "hosts.run: 0 of 3 hosts done" in live
        assert terminal.hides_cursor()
        assert terminal.end() == 0
        assert timeless(terminal.seen) == (
            "one, two, three: exit status 0\n"
            "    Linux\n"
            "\n"
            "host   status   time\n"
            "one    ok  # s\n"
            "two    ok  # s\n"
            "three  ok  # s\n"
            "\n"
            "3 hosts: 3 ok;  # s\n"
        )
        assert not terminal.hides_cursor()
        assert b"\x1b[32m" in terminal.written


def test_a_plan_shows_what_its_hosts_are_at_and_its_changes_once(project: Path) -> None:
    with PtySession(project, "slow", str(project), "--diff", "--check") as terminal:
        assert terminal.end() == 0
        assert "~ one, two, three: file" in terminal.seen
        assert terminal.seen.count("+one") == 1
    with PtySession(project, "slow", str(project), "--limit", "one", columns=120) as terminal:
        live = terminal.wait_for("2 operations")
        row = next(line for line in live.splitlines() if line.startswith("one "))
        assert row.split()[:2] == ["one", "working"]
        assert terminal.end() == 2, terminal.seen
        assert "! one: command sleep" in terminal.seen


def test_an_interrupt_restores_the_terminal_and_prints_the_table(project: Path) -> None:
    words = ("slow", str(project), "--seconds", "2", "--forks", "1")
    with PtySession(project, *words) as terminal:
        terminal.wait_for("operations")
        terminal.type(b"\x03")
        terminal.wait_for("Ctrl-C again drops them")
        assert terminal.end() == 130
        rows = [line.split()[:2] for line in terminal.seen.splitlines()]
        assert ["two", "interrupted"] in rows
        assert ["three", "interrupted"] in rows
        assert "Ctrl-C again" not in terminal.seen
        assert not terminal.hides_cursor()


def test_a_second_interrupt_drops_the_hosts_at_work(project: Path) -> None:
    words = ("slow", str(project), "--seconds", "25", "--forks", "1")
    with PtySession(project, *words) as terminal:
        terminal.wait_for("operations")
        terminal.type(b"\x03")
        terminal.wait_for("Ctrl-C again drops them")
        terminal.type(b"\x03")
        assert terminal.end(timeout_s=15) == 130
        assert "3 hosts:" in terminal.seen
        assert "Traceback" not in terminal.seen
        assert not terminal.hides_cursor()


def test_an_interrupt_drops_the_commands_of_a_user_at_once(project: Path) -> None:
    with PtySession(project, "hosts.run", "sleep 25", "--forks", "1") as terminal:
        terminal.wait_for("working")
        terminal.type(b"\x03")
        assert terminal.end(timeout_s=15) == 130
        assert "3 hosts:" in terminal.seen
        assert "Traceback" not in terminal.seen


def test_output_streams_with_its_host_while_the_display_goes_on(project: Path) -> None:
    command = "echo first; sleep 1; echo second"
    with PtySession(project, "hosts.run", command, "-v", "--limit", "one") as terminal:
        live = terminal.wait_for("one | first")
        assert "second" not in live
        assert terminal.end() == 0
        assert terminal.seen.startswith("one | first\none | second\none: exit status 0\n\nhost")


def test_what_a_task_prints_stands_above_the_display(project: Path) -> None:
    with PtySession(project, "each") as terminal:
        assert terminal.end() == 0
        lines = terminal.seen.splitlines()
        assert sorted(lines[:3]) == ["hello from one", "hello from three", "hello from two"]


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (("--output", "plain"), {"NO_COLOR": "1"}),
        (("--output", "json"), {}),
        ((), {"TERM": "dumb", "NO_COLOR": "1"}),
    ],
)
def test_a_terminal_that_shall_not_be_steered_is_not(
    project: Path, words: tuple[str, ...], environment: dict[str, str]
) -> None:
    with PtySession(project, "hosts.run", "sleep 1", *words, environment=environment) as terminal:
        assert terminal.end() == 0
    assert b"\x1b" not in terminal.written


def test_no_color_has_the_display_without_colours(project: Path) -> None:
    with PtySession(project, "hosts.run", "sleep 1", environment={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("working")
        assert terminal.end() == 0
    assert not re.search(rb"\x1b\[[0-9;]*m", terminal.written)


def test_a_pipe_gets_no_escape_sequences_and_the_same_text(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "slow", str(project), "--check", "--diff"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stdout.startswith(f"~ one, two, three: file {project}/file: would change\n")
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words", [("--list",), ("hosts.run", "true"), ("hosts.ping", "--output=json")]
)
def test_rich_is_not_loaded_without_a_display(project: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "invoke", *words],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert "kubexm.tasks" in done.stderr
    assert not re.search(r"\| +rich(\.|$)", done.stderr, re.MULTILINE)
