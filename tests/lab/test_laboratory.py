import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import cgroup
from tests.lab.command import CommandError, LabError
from tests.lab.conftest import HOSTS, require_laboratory
from tests.lab.host import LabHost, Part
from tests.lab.image import PASSWORD, USERS
from tests.lab.laboratory import Laboratory
from tests.lab.package import PACKAGES
from tests.lab.tasks import ns

pytestmark = pytest.mark.lab

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def own_lab() -> Iterator[Laboratory]:
    """A laboratory beside everybody's: what happens to it disturbs nobody."""
    require_laboratory()
    laboratory = Laboratory.unused()
    try:
        laboratory.up(2)
        yield laboratory
    finally:
        laboratory.down()


@pytest.fixture
def host(own_lab: Laboratory) -> LabHost:
    """Its first host, with whatever earlier tests left on it."""
    return own_lab.up(2)[0]


def ssh(
    laboratory: Laboratory, host: LabHost, user: str, command: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    argv = laboratory.ssh_command(host, user, command)
    return subprocess.run(
        argv, input=stdin, capture_output=True, text=True, timeout=20, check=False
    )


def leftovers(laboratory: Laboratory) -> list[str]:
    """Everything of a laboratory that this machine still has."""
    network = laboratory.network
    found = [str(path) for path in Path("/sys/class/net").glob(f"{network.bridge}*")]
    found += [str(path) for path in Path("/run/netns").glob(f"kxlab-{network.number}-*")]
    nspawn = Path("/run/systemd/nspawn/propagate")
    found += [str(path) for path in nspawn.glob(f"kxlab-{network.number}-*")]
    groups = (root / f"kubexm-lab-{network.number}" for root in cgroup.hierarchies())
    found += [str(path) for path in (*groups, laboratory.directory) if path.exists()]
    mounts = Path("/proc/self/mounts").read_text("utf-8").splitlines()
    found += [line for line in mounts if str(laboratory.directory) in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if str(laboratory.directory) in words or f"kxlab-{network.number}-" in words:
            found.append(words.replace("\0", " "))
    return found


def nspawn_locks() -> set[str]:
    """Those that nobody holds: other laboratories of this machine have hosts that are up."""
    held = {
        line.split()[-3].rpartition(":")[2] for line in Path("/proc/locks").read_text().splitlines()
    }
    found: set[str] = set()
    for path in Path("/run/systemd/nspawn/locks").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if str(path.stat().st_ino) not in held:
                found.add(path.name)
    return found


def test_hosts_are_named_addressed_and_settled(own_lab: Laboratory) -> None:
    hosts = own_lab.up(2)
    assert [(each.name, each.address) for each in hosts] == [
        ("lab1", f"{own_lab.network.prefix}.11"),
        ("lab2", f"{own_lab.network.prefix}.12"),
    ]
    assert [each.state() for each in hosts] == ["running", "running"]
    assert [each.exec("hostname").stdout for each in hosts] == ["lab1\n", "lab2\n"]


def test_hosts_differ_in_what_tells_machines_apart(own_lab: Laboratory) -> None:
    first, second = own_lab.hosts()
    assert len(first.host_keys) == len(second.host_keys) == 3
    assert set(first.host_keys).isdisjoint(second.host_keys)
    for command in (("cat", "/etc/machine-id"), ("cat", "/sys/class/net/eth0/address")):
        assert first.exec(*command).stdout != second.exec(*command).stdout


def test_second_up_leaves_healthy_hosts_alone(own_lab: Laboratory) -> None:
    before = [each.boot_id() for each in own_lab.hosts()]
    assert [each.boot_id() for each in own_lab.up(2)] == before


def test_up_replaces_a_host_that_is_down(own_lab: Laboratory) -> None:
    first, second = own_lab.hosts()
    before = second.boot_id()
    first.exec("touch", "/root/trace", check=True)
    first.machine.stop()
    own_lab.up(2)
    assert first.is_healthy()
    assert first.exec("test", "-e", "/root/trace").returncode == 1
    assert second.boot_id() == before


def test_exec_needs_no_ssh(host: LabHost) -> None:
    host.exec("systemctl", "stop", "ssh", check=True)
    assert not host.answers()
    assert host.exec("id", "-un").stdout == "root\n"
    assert host.exec("sh", "-c", "cat; exit 3", stdin="here\n").returncode == 3
    assert host.exec("cat", stdin="here\n").stdout == "here\n"
    with pytest.raises(CommandError, match="false"):
        host.exec("false", check=True)
    with pytest.raises(subprocess.TimeoutExpired):
        host.exec("sleep", "60", timeout_s=0.3)
    host.exec("systemctl", "start", "ssh", check=True)
    assert host.answers()


@pytest.mark.parametrize("user", ["root", *USERS])
def test_key_logs_in(own_lab: Laboratory, host: LabHost, user: str) -> None:
    assert ssh(own_lab, host, user, "id -un").stdout == f"{user}\n"


@pytest.mark.parametrize(("user", "status"), [("root", 255), *((user, 0) for user in USERS)])
def test_password_logs_in_except_as_root(
    own_lab: Laboratory, host: LabHost, user: str, status: int, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n", "utf-8")
    askpass = tmp_path / "askpass"
    askpass.write_text(f"#!/bin/sh\ncat {tmp_path / 'password'}\n", "utf-8")
    askpass.chmod(0o700)
    command = [
        *("ssh", "-F", "none", "-o", f"UserKnownHostsFile={own_lab.known_hosts}"),
        *("-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"),
        *(f"{user}@{host.address}", "true"),
    ]
    environment = {**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    result = subprocess.run(command, env=environment, capture_output=True, timeout=20, check=False)
    assert result.returncode == status


def test_sudo_asks_refuses_or_lets_pass(own_lab: Laboratory, host: LabHost) -> None:
    password = PASSWORD + "\n"
    assert ssh(own_lab, host, "nopass", "sudo -n id -u").stdout == "0\n"
    assert ssh(own_lab, host, "asks", "sudo -n id -u").returncode == 1
    assert ssh(own_lab, host, "asks", "sudo -S -k -p '' id -u", password).stdout == "0\n"
    assert ssh(own_lab, host, "asks", "sudo -S -k -p '' id -u", "wrong\n").returncode == 1
    refused = ssh(own_lab, host, "plain", "sudo -S -k -p '' id -u", password)
    assert "not in the sudoers file" in refused.stderr


def test_packages_install_from_the_only_source(host: LabHost) -> None:
    host.reset()
    sources = host.exec("sh", "-c", "cat /etc/apt/sources.list /etc/apt/sources.list.d/*").stdout
    assert sources.split() == ["deb", "[trusted=yes]", "file:/opt/lab-repo", "./"]
    host.exec("apt-get", "-q", "update", check=True)
    host.exec("apt-get", "-qy", "install", "chrony", "versioned-demo=1.0", check=True)
    assert host.exec("systemctl", "is-enabled", "chrony").stdout == "enabled\n"
    assert host.exec("systemctl", "is-active", "chrony", "chronyd").stdout == "active\nactive\n"
    assert host.exec("dpkg", "-V", "chrony").stdout == ""
    versions = host.exec("apt-cache", "policy", "versioned-demo").stdout
    assert "Installed: 1.0" in versions
    assert "Candidate: 1.1" in versions
    assert host.exec("apt-get", "-qy", "install", "broken-demo").returncode == 100


def test_policy_rc_d_keeps_services_from_starting(host: LabHost) -> None:
    host.reset()
    forbid = (
        "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"
    )
    host.exec("sh", "-c", f"{forbid}; apt-get -q update", check=True)
    host.exec("apt-get", "-qy", "install", "open-iscsi", check=True)
    assert host.exec("systemctl", "is-active", "iscsid").stdout == "inactive\n"


def test_every_tiny_package_is_offered(host: LabHost) -> None:
    host.exec("apt-get", "-q", "update", check=True)
    offered = host.exec("apt-cache", "pkgnames").stdout.split()
    assert {package.name for package in PACKAGES} <= set(offered)


def test_reboot_from_inside_is_a_real_one(own_lab: Laboratory, host: LabHost) -> None:
    before, keys = host.boot_id(), host.exec("cat", "/etc/ssh/ssh_host_rsa_key.pub").stdout
    host.exec("sh", "-c", "echo kept >/etc/kept; echo gone >/run/gone", check=True)
    host.exec("sysctl", "-w", "net.ipv4.ip_forward=1", check=True)
    ssh(own_lab, host, "nopass", "sudo systemctl reboot")
    host.wait_booted_since(before)
    assert host.exec("cat", "/etc/kept").stdout == "kept\n"
    assert host.exec("test", "-e", "/run/gone").returncode == 1
    assert host.exec("cat", "/proc/sys/net/ipv4/ip_forward").stdout == "0\n"
    assert host.exec("cat", "/etc/ssh/ssh_host_rsa_key.pub").stdout == keys
    assert ssh(own_lab, host, "plain", "true").returncode == 0


def test_reboot_power_cycle_and_power_off(host: LabHost) -> None:
    boots = [host.boot_id()]
    host.reboot()
    boots.append(host.boot_id())
    host.power_cycle()
    boots.append(host.boot_id())
    host.exec("systemctl", "poweroff")
    deadline = time.monotonic() + 20
    while host.is_running:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert host.state() == "down"
    with pytest.raises(LabError, match="lab1 is down"):
        host.exec("true")
    host.start()
    boots.append(host.boot_id())
    assert len(set(boots)) == 4


def test_reset_gives_a_fresh_disk_and_the_same_host(host: LabHost) -> None:
    keys, machine_id = host.host_keys, host.exec("cat", "/etc/machine-id").stdout
    host.exec("sh", "-c", "rm -rf /etc/ssh /home; echo x >/etc/fixed; chattr +i /etc/fixed")
    host.reset()
    assert host.exec("ls", "/etc/fixed").returncode == 2
    assert host.host_keys == keys
    assert host.exec("cat", "/etc/machine-id").stdout == machine_id


def test_reset_can_give_a_new_identity(own_lab: Laboratory, host: LabHost) -> None:
    machine_id = host.exec("cat", "/etc/machine-id").stdout
    host.reset(new_identity=True)
    assert host.exec("cat", "/etc/machine-id").stdout != machine_id
    assert "IDENTIFICATION HAS CHANGED" in ssh(own_lab, host, "root", "true").stderr
    own_lab.up(2)
    assert ssh(own_lab, host, "root", "true").returncode == 0


@pytest.mark.parametrize("part", Part)
def test_frozen_host_is_silent_until_it_thaws(host: LabHost, part: Part) -> None:
    host.freeze(part)
    try:
        assert not host.answers(0.3)
        assert host.exec("echo", "exec", "works").stdout == "exec works\n"
    finally:
        host.thaw()
    assert host.answers()
    assert host.state() == "running"


def test_unplugged_host_loses_packets(host: LabHost) -> None:
    host.unplug()
    try:
        assert not host.answers(0.3)
    finally:
        host.plug()
    host.wait_ready()


def test_hosts_reach_each_other_and_nothing_else(own_lab: Laboratory) -> None:
    first, second = own_lab.hosts()
    probe = "exec 3<>/dev/tcp/$0/22 && head -c 4 <&3"
    reached = first.exec("timeout", "5", "bash", "-c", probe, second.address)
    assert reached.stdout == "SSH-"
    assert first.exec("timeout", "5", "bash", "-c", probe, "192.0.2.1").returncode != 0
    gateway = first.exec("ip", "route", "show", "default").stdout.split()[2]
    assert gateway == f"{own_lab.network.prefix}.254"


def test_hosts_cannot_move_the_clock(host: LabHost) -> None:
    status = host.exec("cat", "/proc/1/status").stdout
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd"))
    assert not int(bounding, 16) >> 25 & 1


def test_reset_detaches_loop_devices(host: LabHost) -> None:
    attach = "truncate -s 8M /image && mkfs.ext4 -q /image && losetup --find --show /image"
    device = host.exec("sh", "-c", attach, check=True).stdout.strip()
    host.exec("mount", device, "/mnt", check=True)
    backing = Path("/sys/block", Path(device).name, "loop/backing_file")
    assert backing.exists()
    host.reset()
    assert not backing.exists()


def test_down_leaves_nothing(own_lab: Laboratory) -> None:
    locks = nspawn_locks()
    own_lab.up(2)
    own_lab.down()
    assert leftovers(own_lab) == []
    assert nspawn_locks() <= locks
    assert own_lab.hosts() == ()
    own_lab.down()


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.4, 0.8])
def test_down_cleans_up_after_a_killed_up(after_s: float) -> None:
    require_laboratory()
    laboratory = Laboratory.unused()
    code = (
        f"from tests.lab.laboratory import Laboratory; Laboratory(number={laboratory.number}).up(2)"
    )
    locks = nspawn_locks()
    with subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT) as process:
        deadline = time.monotonic() + 60
        while not laboratory.network.is_up():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(after_s)
        process.kill()
    laboratory.down()
    # What the killed process had just started finds its control group gone, and ends.
    deadline = time.monotonic() + 5
    while leftovers(laboratory) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert leftovers(laboratory) == []
    assert nspawn_locks() <= locks


def test_fixture_gives_three_ready_hosts(lab: Laboratory, lab_hosts: tuple[LabHost, ...]) -> None:
    assert len(lab_hosts) == HOSTS
    assert all(each.is_healthy() for each in lab_hosts)
    assert lab.host("2") == lab.host("lab2") == lab_hosts[1]
    with pytest.raises(LabError, match="lab1, lab2, lab3"):
        lab.host("db1")


def test_tasks_are_there() -> None:
    assert set(ns.task_names) == {"up", "down", "ssh", "status"}
