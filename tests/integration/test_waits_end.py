"""Ctrl-C reaches those who wait: for a host to answer, for a port to be listened on."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.sshd import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
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


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=20) as server:
        yield server.getsockname()[1]


def started(project: Path, *words: str) -> subprocess.Popen[str]:
    """A command at work; its stdout has all that it says."""
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", *words],
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def interrupted(project: Path, *words: str, sign: str, times: int) -> tuple[int, str]:
    """Exit code and output of a command that gets Ctrl-C, again and again once `sign` is told."""
    process = started(project, *words)
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


@pytest.mark.parametrize(("words", "times"), [(("hosts.ping",), 1), (("port", "--number", "9"), 2)])
def test_connecting_ends_with_the_interrupt_that_drops_the_hosts(
    project: Path, silent: int, words: tuple[str, ...], times: int
) -> None:
    """Far from its end: the hosts have ten minutes to answer."""
    (project / "inventories" / "default.yaml").write_text(
        "all:\n  hosts:\n    h[1:3]: {}\n  vars:\n"
        f"    {{kubexm_host: 127.0.0.1, kubexm_port: {silent}, kubexm_user: x,"
        " kubexm_connect_timeout: 600}\n"
    )
    process = started(project, *words)
    try:
        time.sleep(3)
        assert process.poll() is None
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        said, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, said
    assert said.count("interrupted") >= 3, said
    assert "Traceback" not in said
