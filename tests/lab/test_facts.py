"""Facts of real hosts that boot systemd, against what independent commands say."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.local import LocalConnector
from kubexm.facts import FACTS, Facts, Firewall, Init, Machine, PackageManager, parse, script
from kubexm.shell import Reply, Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

IMAGE = """\
mount -t tmpfs tmpfs /mnt
mkdir /mnt/usr /mnt/etc /mnt/proc /mnt/dev
mount --bind /usr /mnt/usr
mount --bind /dev /mnt/dev
mount --rbind /proc /mnt/proc
ln -s usr/bin usr/lib usr/lib64 usr/sbin /mnt
cp -a /etc/os-release /etc/alternatives /mnt/etc
exec chroot /mnt sh -c "$1"
"""
"""A tree of its own with a /proc that is the host's, in a mount namespace of its own."""


@pytest.fixture
def host(lab_hosts: tuple[LabHost, ...]) -> LabHost:
    return lab_hosts[0]


@pytest.fixture
def session(host: LabHost) -> Iterator[Session]:
    """A session as root on the host, by a way in that needs no sshd."""
    leader = host.machine.leader()
    connector = LocalConnector()
    connector.connect()
    enter = f"exec nsenter --target {leader} --all --wd=/ env -i sh -c "
    session = Session.open(lambda command: connector.open(enter + shlex.quote(command)))
    yield session
    session.close()


def said(host: LabHost, *argv: str) -> str:
    return host.exec(*argv, check=True).stdout.strip()


def facts_of(host: LabHost, *before: str) -> Facts:
    """What the script says as run by a program in the host."""
    answer = host.exec(*before, f"{FACTS.text}\nkx_facts")
    assert answer.returncode == 0, answer.stderr
    return parse(Reply(exit_status=0, stdout=answer.stdout.encode()))


def test_facts_are_what_independent_commands_say(host: LabHost, session: Session) -> None:
    facts = parse(session.ask(script()))
    assert session.trips == 1
    assert facts.machine is Machine.CONTAINER
    assert facts.hostname == said(host, "hostname")
    assert facts.machine_id == said(host, "cat", "/etc/machine-id")
    assert facts.boot_id == host.boot_id()
    assert facts.kernel == said(host, "uname", "-r")
    assert facts.arch == said(host, "uname", "-m")
    assert facts.memory_mib == int(said(host, "free", "-m").split("\n")[1].split()[1])
    assert facts.cpus == int(said(host, "getconf", "_NPROCESSORS_ONLN"))
    assert facts.virtualisation == said(host, "systemd-detect-virt")
    assert facts.swap == ()
    assert said(host, "swapon", "--show") == ""
    assert (facts.init, facts.systemd_offline) == (Init.SYSTEMD, False)
    assert facts.package_manager is PackageManager.APT
    assert (facts.os.id, facts.os.codename) == ("debian", "bookworm")
    assert (facts.uid, facts.user, facts.group) == (0, "root", "root")
    sysfs = said(host, "stat", "-f", "-c", "%T", "/sys/fs/cgroup")
    assert (facts.cgroup == "2") == (sysfs == "cgroup2fs")
    blocks = said(host, "stat", "-f", "-c", "%a %S", "/var/lib").split()
    expected_mib = int(blocks[0]) * int(blocks[1]) // 2**20
    assert facts.available_mib("/var/lib") == pytest.approx(expected_mib, rel=0.1)


def test_network_is_what_ip_says(host: LabHost, session: Session) -> None:
    facts = parse(session.ask(script()))
    links = json.loads(said(host, "ip", "-json", "address", "show"))
    assert [one.name for one in facts.interfaces] == [link["ifname"] for link in links]
    for one, link in zip(facts.interfaces, links, strict=True):
        assert one.mtu == link["mtu"]
        assert one.mac == ("" if one.name == "lo" else link["address"])
        assert set(one.addresses) == {
            f"{address['local']}/{address['prefixlen']}" for address in link["addr_info"]
        }
    (route,) = json.loads(said(host, "ip", "-json", "-4", "route", "show", "default"))
    assert facts.default_ipv4 is not None
    assert facts.default_ipv4.interface == route["dev"]
    assert facts.default_ipv4.gateway == route["gateway"]
    source = json.loads(said(host, "ip", "-json", "route", "get", route["gateway"]))
    assert facts.default_ipv4.address == source[0]["prefsrc"] == host.address
    assert facts.has_default_route is True


def test_second_reading_is_the_same(session: Session) -> None:
    first, second = (session.ask(script()).text.splitlines() for _ in range(2))
    assert [line for line in first if not line.startswith("free ")] == [
        line for line in second if not line.startswith("free ")
    ]


def test_ordinary_user_learns_the_same(host: LabHost) -> None:
    user = ("setpriv", "--reuid=plain", "--regid=plain", "--init-groups")
    root, plain = facts_of(host, "sh", "-c"), facts_of(host, *user, "sh", "-c")
    assert (plain.user, plain.group) == ("plain", "plain")
    theirs, ours = plain.to_dict(), root.to_dict()
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert differing <= {"uid", "user", "group", "free_space"}


def test_active_firewall_is_seen_and_its_end_too(host: LabHost) -> None:
    assert facts_of(host, "sh", "-c").firewall is Firewall.NONE
    host.exec("systemctl", "start", "nftables", check=True)
    try:
        assert facts_of(host, "sh", "-c").firewall is Firewall.NFTABLES
    finally:
        host.exec("systemctl", "stop", "nftables", check=True)
    assert facts_of(host, "sh", "-c").firewall is Firewall.NONE


def test_chroot_on_a_booted_host_is_an_image(host: LabHost) -> None:
    facts = facts_of(host, "unshare", "--mount", "sh", "-ec", IMAGE, "sh")
    assert facts.machine is Machine.IMAGE
    assert (facts.init, facts.systemd_offline) == (Init.NONE, True)
    assert facts.os.id == "debian"
    assert facts.kernel == said(host, "uname", "-r")
