"""`hosts.wait` beside machines that boot, configure themselves and install packages."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

import pytest

from tests.lab.operator import Operator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

CLOUD_INIT = "mkdir -p /run/cloud-init && touch /run/cloud-init/enabled"
CLOUD_INIT_ENDS = "touch /run/cloud-init/result.json"
LOCK = """\
use Fcntl;
open(F, "+>", "/var/lib/dpkg/lock-frontend") or die;
my ($$lock) = pack("s s l! l! i", F_WRLCK, 0, 0, 0, 0);
fcntl(F, F_SETLK, $$lock) or die;
open(T, ">", "/run/holder") or die;
sleep 60;
"""
"""What apt does first, and a file that says so; systemd-run makes one $ of two."""


def await_lock(host: LabHost) -> None:
    limit = time.monotonic() + 30
    while host.exec("test", "-e", "/run/holder").returncode != 0:
        assert time.monotonic() < limit, "nobody has taken the lock"
        time.sleep(0.05)


class Waiting:
    """`inv hosts.wait` in the background, for as long as the `with` block lasts."""

    def __init__(self, operator: Operator) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "invoke", "hosts.wait", "--timeout", "90"],
            cwd=operator.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def hear(self, words: str) -> None:
        """Wait until it says that."""
        assert self._process.stderr is not None
        said = ""
        for line in self._process.stderr:
            said += line
            if words in line:
                return
        pytest.fail(f"it ended, and has said: {said}")

    def end(self) -> int:
        """Its exit code, when it has ended."""
        self._process.communicate(timeout=60)
        return self._process.returncode


def test_a_host_that_is_switched_on_meanwhile_is_waited_for(
    tmp_path: Path, lab: Laboratory, lab_hosts: tuple[LabHost, ...]
) -> None:
    host = lab_hosts[0]
    operator = Operator.with_hosts(tmp_path, lab, (host,), user="plain")
    host.machine.stop()
    try:
        with Waiting(operator) as waiting:
            waiting.hear("lab1: waiting: it cannot be opened")
            host.start()
            assert waiting.end() == 0
    finally:
        if not host.is_running:
            host.start()


def test_cloud_init_and_then_a_package_manager_are_waited_for(
    tmp_path: Path, lab: Laboratory, lab_hosts: tuple[LabHost, ...]
) -> None:
    host = lab_hosts[0]
    operator = Operator.with_hosts(tmp_path, lab, (host,), user="plain")
    host.exec("sh", "-c", CLOUD_INIT, check=True)
    try:
        with Waiting(operator) as waiting:
            waiting.hear("lab1: waiting: cloud-init is at work")
            host.exec("systemd-run", "--unit", "holder", "perl", "-e", LOCK, check=True)
            await_lock(host)
            host.exec("sh", "-c", CLOUD_INIT_ENDS, check=True)
            waiting.hear("lab1: waiting: a package manager is at work")
            host.exec("systemctl", "stop", "holder", check=True)
            assert waiting.end() == 0
    finally:
        host.exec("systemctl", "stop", "holder")
        host.exec("rm", "-rf", "/run/cloud-init", "/run/holder")


def test_a_host_that_stays_busy_fails_when_the_time_is_up(
    tmp_path: Path, lab: Laboratory, lab_hosts: tuple[LabHost, ...]
) -> None:
    host = lab_hosts[0]
    operator = Operator.with_hosts(tmp_path, lab, (host,), user="plain")
    host.exec("sh", "-c", CLOUD_INIT, check=True)
    try:
        done = operator.inv("hosts.wait", "--timeout", "1")
    finally:
        host.exec("rm", "-rf", "/run/cloud-init", "/run/holder")
    assert done.exit_code == 2
    assert "lab1: not ready after 1 s: cloud-init is at work" in done.stdout
