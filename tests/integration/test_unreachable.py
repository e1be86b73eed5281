"""`--unreachable`: what a user's run does about hosts that cannot be opened, and its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.sshd import free_port
from tests.integration.test_own_project import TASKS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "default.yaml").write_text(
        "all:\n"
        "  hosts:\n"
        "    here: {kubexm_connection: local, kubexm_become: false}\n"
        f"    gone: {{kubexm_host: 127.0.0.1, kubexm_port: {free_port()}, kubexm_user: x}}\n"
        "    shut: {kubexm_connection: local, kubexm_become: true, kubexm_become_method: sudo,\n"
        "      kubexm_become_user: nobody-of-that-name}\n"
    )
    return tmp_path


def inv(project: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def test_by_default_the_others_are_changed(project: Path) -> None:
    done = inv(project, "motd", str(project / "motd"), "--limit", "here,gone")
    assert done.returncode == 4
    assert (project / "motd").read_text() == "hello\n"


def test_strictly_nothing_is_changed_and_no_run_is_recorded(project: Path) -> None:
    words = ("motd", str(project / "motd"), "--limit", "here,gone")
    done = inv(project, *words, "--unreachable", "fail")
    assert done.returncode == 4
    assert "! gone: 127.0.0.1 port" in done.stdout
    assert "error: could not be opened: gone\n" in done.stderr
    assert "nothing was begun on any host" in done.stderr
    assert not (project / "motd").exists()
    assert "motd" not in inv(project, "runs.list").stdout


def test_strictly_a_host_that_was_reached_and_refused_is_a_failure(project: Path) -> None:
    done = inv(project, "motd", str(project / "motd"), "--unreachable", "fail")
    assert done.returncode == 2
    assert "error: could not be opened: gone, shut\n" in done.stderr
    assert not (project / "motd").exists()


def test_strictly_a_command_is_run_nowhere(project: Path) -> None:
    command = ("hosts.run", f"touch {project / 'ran'}")
    broken = inv(project, *command, "--limit", "here,gone", KUBEXM_UNREACHABLE="fail")
    assert broken.returncode == 4
    assert not (project / "ran").exists()
    assert inv(project, *command, "--limit", "here", KUBEXM_UNREACHABLE="fail").returncode == 0
    assert (project / "ran").exists()


def test_a_policy_that_does_not_exist_is_a_usage_error(project: Path) -> None:
    done = inv(project, "hosts.ping", "--unreachable", "nope")
    assert done.returncode == 5
    assert "ignore, fail" in done.stderr
