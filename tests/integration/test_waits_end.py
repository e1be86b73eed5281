"""Ctrl-C reaches those who wait: for a host to answer, for a port to be listened on."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.sshd import free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

TASKS = """\
from kubexm.plan import Plan, Step
from kubexm.runner.procedures import WaitForPort
from kubexm.tasks import Fleet, fleet_task, ns


@fleet_task
def port(fleet: Fleet, number: int = 0) -> None:
    wait = WaitForPort(port=number, address="127.0.0.1", timeout_s=600, interval_s=300)
    fleet.run(Plan(name="port", steps=(Step(name="wait", body=(wait,)),)))


ns.add_task(port)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "default.yaml").write_text(
        "all:\n"
        "  hosts:\n"
        "    here: {kubexm_connection: local, kubexm_become: false}\n"
        f"    gone: {{kubexm_host: 127.0.0.1, kubexm_port: {free_port()}, kubexm_user: x}}\n"
    )
    return tmp_path


def interrupted(project: Path, *words: str, sign: str, times: int) -> tuple[int, str]:
    """Exit code and output of a command that gets Ctrl-C, again and again once `sign` is told."""
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", *words],
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while sign not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                continue
            break
        rest, _ = process.communicate(timeout=100)
        return process.returncode, said + rest
    finally:
        process.kill()
        process.communicate()


def test_waiting_for_a_host_ends_with_the_first_interrupt(project: Path) -> None:
    words = ("hosts.wait", "--limit", "gone", "--timeout", "600")
    code, said = interrupted(project, *words, sign="gone: waiting: it cannot be opened", times=1)
    assert code == 130, said
    assert "gone  interrupted" in said


def test_waiting_for_a_port_ends_with_the_second_interrupt(project: Path) -> None:
    words = ("port", "--number", str(free_port()), "--limit", "here", "--output", "json")
    code, said = interrupted(project, *words, sign='"host.planned"', times=2)
    assert code == 130, said
    assert '"status": "interrupted"' in said
