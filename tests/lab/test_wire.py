"""The wire over ssh when something breaks it: nothing goes on, and nothing is claimed or left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.operator import Done, Operator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

STEPS = 12
TASKS = f"""\
from kubexm.runner.operations import CommandRun
from kubexm.tasks import Fleet, fleet_task, ns


@fleet_task
def crawl(fleet: Fleet) -> None:
    \"\"\"Make a dozen files, slowly.\"\"\"
    paths = [f"/root/crawl-{{number}}" for number in range({STEPS})]
    fleet.apply(
        "crawl",
        *(CommandRun(command=f"sleep 0.4; touch {{path}}", creates=path) for path in paths),
    )


ns.add_task(crawl)
"""


@pytest.fixture
def host(lab_hosts: tuple[LabHost, ...]) -> LabHost:
    lab_hosts[0].exec("sh", "-c", "rm -f /root/crawl-*")
    return lab_hosts[0]


@pytest.fixture
def operator(tmp_path: Path, lab: Laboratory, host: LabHost) -> Operator:
    operator = Operator.with_hosts(tmp_path, lab, (host,))
    (tmp_path / "tasks.py").write_text(TASKS)
    return operator


def made(host: LabHost) -> int:
    return len(host.exec("sh", "-c", "ls /root/crawl-* 2>/dev/null").stdout.split())


def sessions(host: LabHost) -> set[str]:
    """The ids of the processes of kubexm's sessions on the host."""
    return set(host.exec("pgrep", "-f", "kubexm").stdout.split())


def wait_for(condition: Callable[[], bool], limit_s: float = 20) -> None:
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def crawl(operator: Operator) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", "crawl", "--output", "json"],
        cwd=operator.project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_controller_killed_in_mid_batch_applies_nothing_further(
    operator: Operator, host: LabHost
) -> None:
    others = sessions(host)
    process = crawl(operator)
    wait_for(lambda: made(host) >= 2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = made(host)
    time.sleep(3)
    assert made(host) <= before + 1 < STEPS
    assert sessions(host) <= others
    again = operator.inv("crawl")
    assert again.exit_code == 0, again.stdout
    assert made(host) == STEPS


def test_a_connection_lost_in_mid_batch_is_told_with_what_is_known_to_be_applied(
    operator: Operator, host: LabHost
) -> None:
    process = crawl(operator)
    wait_for(lambda: made(host) >= 3)
    host.exec("sh", "-c", "kill -9 $(pgrep -f 'sshd: asks')")
    stdout, stderr = process.communicate(timeout=60)
    done = Done(exit_code=process.returncode, stdout=stdout, stderr=stderr)
    assert done.exit_code == 2, stdout + stderr
    statuses = [str(event["status"]) for event in done.of("operation.ended")]
    applied = statuses.index("unknown")
    assert 2 <= applied < STEPS
    assert set(statuses[:applied]) == {"changed"}
    assert set(statuses[applied:]) == {"unknown"}
    first = done.of("operation.ended")[applied]
    assert "the connection was lost" in str(first["error"])
    time.sleep(1)
    assert applied <= made(host) <= applied + 1
    assert operator.inv("crawl").exit_code == 0


def test_a_command_past_its_deadline_leaves_nothing_running(
    operator: Operator, host: LabHost
) -> None:
    command = "setsid sleep 4321 & (sh -c 'sleep 4322' &) ; sleep 4323"
    began = time.monotonic()
    done = operator.inv("hosts.run", command, "--timeout", "2", "--become")
    assert time.monotonic() - began < 20
    assert done.exit_code == 2
    assert "the deadline passed" in done.stdout
    assert host.exec("pgrep", "-f", "sleep 432").stdout == ""


def test_fifty_megabytes_of_output_arrive_whole(operator: Operator) -> None:
    size = 50 << 20
    done = operator.inv("hosts.run", f"head -c {size} /dev/zero | tr '\\0' x", "--output", "json")
    assert done.exit_code == 0, done.stderr
    (event,) = done.of("command.ended")
    assert len(str(event["stdout"])) == size


MANY = """\
from kubexm.runner.operations import FileContent
from kubexm.tasks import Fleet, fleet_task, ns


@fleet_task
def many(fleet: Fleet) -> None:
    \"\"\"Forty files.\"\"\"
    paths = [f"/root/crawl-many-{number}" for number in range(40)]
    fleet.apply("many", *(FileContent(path=path, content="x") for path in paths))


ns.add_task(many)
"""


def test_forty_operations_cost_two_round_trips_over_ssh_and_three_to_change(
    operator: Operator, host: LabHost
) -> None:
    (operator.project / "tasks.py").write_text(MANY)
    (first,) = operator.inv("many", "--output", "json").of("host.ended")
    assert (first["status"], first["trips"]) == ("changed", 3)
    assert host.exec("sh", "-c", "ls /root/crawl-many-* | wc -l").stdout.strip() == "40"
    (second,) = operator.inv("many", "--output", "json").of("host.ended")
    assert (second["status"], second["trips"]) == ("ok", 2)


def test_scripts_share_one_round_trip_over_ssh(operator: Operator) -> None:
    operator.inv("crawl")
    done = operator.inv("crawl", "--output", "json")
    (ended,) = done.of("host.ended")
    assert ended["trips"] == 2
    assert json.loads(done.stdout.splitlines()[-1])["changed"] is False
