"""Plans on real hosts: waves, restarts that a change calls for, values, and reboots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.operator import Done, Operator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

TASKS = '''
from kubexm.plan import Plan, Step
from kubexm.runner.operations import FileContent, Service
from kubexm.runner.procedures import Reboot, RestartService, RunCommand, WaitForPort
from kubexm.tasks import Fleet, fleet_task, ns

UNIT = """\\
[Service]
ExecStartPre=/usr/bin/test -s /etc/greeter.conf
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


def config(context):
    text = context.shared.text("greeting")
    yield FileContent(path="/etc/greeter.conf", content=f"{text} {context.host.name}\\n")


def boot_again(context):
    yield Reboot()
    yield WaitForPort(port=22)
    yield FileContent(path="/etc/booted", content="after\\n")


@fleet_task
def greeter(fleet: Fleet, greeting: str = "hello") -> None:
    """Roll the greeter out."""
    restart = RestartService(name="greeter")
    say = RunCommand(command=f"echo {greeting}", publishes="greeting")
    unit = FileContent(path="/etc/systemd/system/greeter.service", content=UNIT)
    fleet.run(Plan(name="greeter", steps=(
        Step(name="greeting", body=(say,), run_once=True),
        Plan(name="roll", awaits=("greeting",), waves=(1, "50%"), steps=(
            Step(name="unit", body=(unit,), on_change=(restart,)),
            Step(name="config", body=config, on_change=(restart,)),
            Step(name="service", body=(Service(name="greeter"),)),
        )),
    )))


@fleet_task
def again(fleet: Fleet) -> None:
    """Boot the hosts anew, in the middle of a step."""
    fleet.run(Plan(name="again", steps=(Step(name="boot", body=boot_again, waves=(1,)),)))


ns.add_task(greeter)
ns.add_task(again)
'''


@pytest.fixture(scope="module")
def hosts(lab_hosts: tuple[LabHost, ...]) -> tuple[LabHost, ...]:
    for host in lab_hosts[:2]:
        host.reset()
    return lab_hosts[:2]


@pytest.fixture(scope="module")
def operator(
    tmp_path_factory: pytest.TempPathFactory, lab: Laboratory, hosts: tuple[LabHost, ...]
) -> Operator:
    project: Path = tmp_path_factory.mktemp("project")
    operator = Operator.with_hosts(project, lab, hosts)
    (project / "tasks.py").write_text(TASKS)
    return operator


def main_pid(host: LabHost) -> str:
    shown = host.exec("systemctl", "show", "-p", "MainPID", "--value", "greeter", check=True)
    return shown.stdout.strip()


def boot_id(host: LabHost) -> str:
    return host.exec("cat", "/proc/sys/kernel/random/boot_id", check=True).stdout.strip()


def ends(done: Done, host: str) -> dict[object, object]:
    return {event["step"]: event["status"] for event in done.of("step.ended", host)}


def test_a_change_restarts_its_service_once_and_no_change_does_not(
    operator: Operator, hosts: tuple[LabHost, ...]
) -> None:
    first = operator.inv("greeter", "--output", "json")
    assert first.exit_code == 0, first.stdout + first.stderr
    restarts = [event for event in first.of("operation.ended") if "restart" in str(event)]
    assert [event["host"] for event in restarts] == [host.name for host in hosts]
    pids = [main_pid(host) for host in hosts]
    assert "0" not in pids
    for host in hosts:
        text = host.exec("cat", "/etc/greeter.conf", check=True).stdout
        assert text == f"hello {host.name}\n"

    again = operator.inv("greeter", "--output", "json")
    assert again.exit_code == 0, again.stdout + again.stderr
    assert set(ends(again, hosts[1].name).values()) == {"ok"}
    assert [main_pid(host) for host in hosts] == pids

    other = operator.inv("greeter", "--greeting", "goodbye", "--output", "json")
    assert other.exit_code == 0, other.stdout + other.stderr
    assert ends(other, hosts[1].name)["roll/config"] == "changed"
    assert not set(pids) & {main_pid(host) for host in hosts}


def test_a_service_that_dies_after_its_restart_stops_the_waves(
    operator: Operator, hosts: tuple[LabHost, ...]
) -> None:
    """Of the first wave the configuration is emptied by hand, so that the unit does not start."""
    pid = main_pid(hosts[1])
    unit = "/etc/systemd/system/greeter.service"
    for host in hosts:
        host.exec("sh", "-c", f"sed -i s/infinity/1000000/ {unit}", check=True)
    hosts[0].exec("sh", "-c", ": >/etc/greeter.conf", check=True)
    done = operator.inv("greeter", "--skip", "config", "--output", "json")
    assert done.exit_code == 2, done.stdout + done.stderr
    assert ends(done, hosts[0].name)["roll/unit"] == "failed"
    (skipped,) = {str(event["reason"]) for event in done.of("step.ended", hosts[1].name)}
    assert skipped == "roll was stopped after wave 1 of 2: 1 of 2 hosts failed (max_fail 0)"
    assert main_pid(hosts[1]) == pid
    mended = operator.inv("greeter")
    assert mended.exit_code == 0, mended.stdout + mended.stderr
    assert main_pid(hosts[0]) != "0"


def test_hosts_reboot_and_are_waited_for(operator: Operator, hosts: tuple[LabHost, ...]) -> None:
    before = [boot_id(host) for host in hosts]
    foreseen = operator.inv("hosts.reboot", "--check")
    assert foreseen.exit_code == 0, foreseen.stdout + foreseen.stderr
    assert [boot_id(host) for host in hosts] == before
    done = operator.inv("hosts.reboot", "--wait", "100")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert not set(before) & {boot_id(host) for host in hosts}
    assert "rebooted in" in done.stdout


def test_a_step_goes_on_after_a_reboot(operator: Operator, hosts: tuple[LabHost, ...]) -> None:
    before = [boot_id(host) for host in hosts]
    done = operator.inv("again", "--output", "json")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert not set(before) & {boot_id(host) for host in hosts}
    for host in hosts:
        assert host.exec("cat", "/etc/booted", check=True).stdout == "after\n"


def test_hosts_behind_a_bastion_reboot_and_are_waited_for(
    lab: Laboratory,
    hosts: tuple[LabHost, ...],
    lab_hosts: tuple[LabHost, ...],
    tmp_path: Path,
) -> None:
    bastion = lab_hosts[2]
    bastion.reset()
    operator = Operator.with_hosts(tmp_path, lab, (*hosts, bastion))
    inventory = operator.inventory.read_text()
    for host in hosts:
        way = f"{{kubexm_host: {host.address}, kubexm_bastion: {bastion.name}}}"
        inventory = inventory.replace(f"{{kubexm_host: {host.address}}}", way)
    operator.inventory.write_text(inventory)
    assert inventory.count("kubexm_bastion") == len(hosts)
    before = [boot_id(host) for host in (*hosts, bastion)]
    names = ",".join(host.name for host in hosts)
    done = operator.inv("hosts.reboot", "--limit", names, "--wait", "100")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "rebooted in" in done.stdout
    after = [boot_id(host) for host in (*hosts, bastion)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, False, True]
