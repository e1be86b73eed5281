"""The script itself, on this machine and in trees made up for the purpose, under every shell."""

from __future__ import annotations

import grp
import os
import platform
import pwd
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.local import LocalConnector
from kubexm.facts import (
    FACTS,
    Facts,
    Firewall,
    Init,
    Interface,
    Machine,
    OperatingSystem,
    PackageManager,
    parse,
    script,
)
from kubexm.shell import Reply, Script, Session, quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHELLS = ("dash", "bash", "busybox", "mksh")
ATTEMPTS = 10
"""This machine may change between two readings: laboratories come and go."""

CHRONY = (
    "C0000201,192.0.2.1,3,1732177000.123456789,0.000001,0.000002,0.000003,"
    "-1.5,0.001,0.02,0.03,0.001,64.2,"
)
"""What `chronyc -c tracking` says, but for the leap status at its end."""


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(shell: str, *, path: str, before: tuple[str, ...] = ()) -> tuple[Facts, Reply]:
    """Run the script without a session, with nothing but this PATH in its environment."""
    words = ("sh",) if shell.endswith("busybox") else ()
    answer = subprocess.run(
        [*before, shell, *words, "-c", f"{FACTS.text}\nkx_facts"],
        env={"PATH": path, "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    reply = Reply(exit_status=answer.returncode, stdout=answer.stdout, stderr=answer.stderr)
    return parse(reply), reply


def lasting(reply: Reply) -> list[str]:
    """The lines that a second run must repeat."""
    return [line for line in reply.text.splitlines() if not line.startswith("free ")]


@pytest.fixture(params=SHELLS)
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    """A session on this machine whose `sh` is the shell."""
    (tmp_path / "sh").symlink_to(program(str(request.param)))
    connector = LocalConnector()
    connector.connect()
    session = Session.open(
        lambda command: connector.open(f"PATH={quote(str(tmp_path))}:$PATH; {command}")
    )
    running = session.ask(Script("readlink /proc/$$/exe")).text
    assert running.rstrip().endswith(str(request.param))
    yield session
    session.close()


def test_facts_are_those_of_this_machine(session: Session) -> None:
    trips = session.trips
    reply = session.ask(script())
    facts = parse(reply)
    assert session.trips == trips + 1
    assert (reply.exit_status, reply.stderr) == (0, b"")
    uname = os.uname()
    assert facts.hostname == uname.nodename
    assert (facts.kernel, facts.arch) == (uname.release, uname.machine)
    assert facts.cpus == os.sysconf("SC_NPROCESSORS_ONLN")
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert facts.memory_mib == memory_bytes // 2**20
    user = pwd.getpwuid(os.geteuid())
    group = grp.getgrgid(os.getegid())
    assert (facts.uid, facts.user, facts.group) == (os.geteuid(), user.pw_name, group.gr_name)
    release = platform.freedesktop_os_release()
    assert facts.os.id == release["ID"]
    assert facts.os.pretty_name == release["PRETTY_NAME"]
    assert facts.os.id_like == tuple(release.get("ID_LIKE", "").split())
    for tool in facts.tools:
        assert shutil.which(tool) is not None
    assert {"tar", "mount"} <= facts.tools
    for path in ("/", "/var"):
        expected_mib = shutil.disk_usage(path).free // 2**20
        assert facts.available_mib(path) == pytest.approx(expected_mib, rel=0.2)
    assert "/" in {mount.target for mount in facts.mounts}
    known = {name for _, name in socket.if_nameindex()}
    assert any(interface.name in known for interface in facts.interfaces)
    assert (facts.init is Init.SYSTEMD) == os.path.isdir("/run/systemd/system")  # noqa: PTH112


def test_same_state_gives_the_same_reply(session: Session) -> None:
    for _ in range(ATTEMPTS):
        first, second = (session.ask(script()) for _ in range(2))
        if lasting(first) == lasting(second):
            return
    pytest.fail(f"differs every time:\n{first.text}\n{second.text}")


def test_shells_agree() -> None:
    found = [path for name in SHELLS if (path := shutil.which(name))]
    for _ in range(ATTEMPTS):
        replies = [lasting(run(shell, path=os.environ["PATH"])[1]) for shell in found]
        if all(reply == replies[0] for reply in replies):
            return
    pytest.fail(f"{found} differ every time: {replies}")


@pytest.mark.parametrize("shell", SHELLS)
def test_machine_without_programs_still_answers(shell: str, tmp_path: Path) -> None:
    facts, reply = run(program(shell), path=str(tmp_path))
    assert (reply.exit_status, reply.stderr) == (0, b"")
    assert facts.hostname == os.uname().nodename
    assert facts.machine_id or not os.access("/etc/machine-id", os.R_OK)
    assert facts.os == OperatingSystem()
    assert facts.has_default_route is None


def test_network_is_known_without_ip(tmp_path: Path) -> None:
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed, so there is nothing to compare with")
    (tmp_path / "awk").symlink_to(program("awk"))

    def stays(facts: Facts) -> dict[str, Interface]:
        route = facts.default_ipv4
        names = {"lo", route.interface if route else "lo"}
        return {one.name: one for one in facts.interfaces if one.name in names}

    without, _ = run(program("dash"), path=str(tmp_path))
    full, _ = run(program("dash"), path=os.environ["PATH"])
    assert stays(without) == stays(full)
    assert "lo" in stays(full)
    assert without.default_ipv4 == full.default_ipv4
    assert without.default_ipv6 == full.default_ipv6


class Tree:
    """A root file system with busybox and what a test puts into it, run as a machine of its own.

    Args:
        root: An empty directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("bin", "dev", "etc", "proc", "var/lib"):
            (root / name).mkdir(parents=True)
        (root / "dev/null").touch()
        busybox = program("busybox")
        listed = subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False)
        libraries = [word for word in listed.stdout.split() if word.startswith("/")]
        for path in (busybox, *libraries):
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path[1:])
        for applet in ("awk", "dd", "df", "id", "sed", "sh", "tr"):
            (root / "bin" / applet).symlink_to(busybox)

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Make a file and its directories."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def link(self, path: str) -> None:
        """Make a link that leads nowhere, as systemd does for its records."""
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to("0123456789abcdef")

    def facts(self, *, proc: bool = True) -> Facts:
        """What the script says inside, as process 1 of new namespaces; its host name is tree1."""
        mount = 'mount -t proc proc "$1/proc" &&' if proc else ""
        inner = f'hostname tree1; {mount} exec chroot "$@"'
        spaces = ("unshare", "--mount", "--pid", "--uts", "--fork")
        command = (*spaces, "sh", "-c", inner, "sh", str(self.root))
        facts, reply = run("/bin/sh", path=os.environ["PATH"], before=command)
        assert (reply.exit_status, reply.stderr) == (0, b"")
        return facts


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A tree that can be run here."""
    if os.geteuid() != 0:
        pytest.skip("needs root's rights, for namespaces and chroot")
    program("unshare")
    (tmp_path / "root").mkdir()
    tree = Tree(tmp_path / "root")
    probe = ["unshare", "--mount", "--pid", "--uts", "--fork", "mount", "-t", "proc", "proc"]
    if subprocess.run([*probe, tree.root / "proc"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount /proc in a new namespace")
    return tree


def test_bare_tree_answers(tree: Tree) -> None:
    facts = tree.facts()
    assert facts.hostname == "tree1"
    assert (facts.machine, facts.virtualisation) == (Machine.CONTAINER, "container-other")
    assert (facts.uid, facts.user, facts.group) == (0, "0", "0")
    assert (facts.init, facts.firewall) == (Init.NONE, None)
    assert (facts.selinux, facts.apparmor, facts.cgroup) == (None, None, None)
    assert facts.package_manager is PackageManager.NONE
    assert (facts.machine_id, facts.fqdn) == ("", "")


def test_tree_without_proc_is_an_image(tree: Tree) -> None:
    tree.write("usr/lib/os-release", "ID=arch\n")
    tree.write("bin/systemctl", "", mode=0o755)
    facts = tree.facts(proc=False)
    assert facts.machine is Machine.IMAGE
    assert (facts.init, facts.systemd_offline) == (Init.NONE, True)
    assert facts.os.id == "arch"
    assert (facts.swap, facts.has_default_route) == (None, None)


def test_names_come_from_the_files(tree: Tree) -> None:
    tree.write("etc/passwd", "toor:x:0:0::/:/bin/sh\nother:x:1:1::/:/bin/sh\n")
    tree.write("etc/group", "other:x:1:\nwheel:x:0:\n")
    tree.write(
        "etc/hosts",
        "# 10.0.0.1 tree1.comment.example tree1\n"
        "127.0.0.1 localhost.localdomain localhost tree1\n"
        "10.0.0.2 tree10.example.org tree10\n"
        "10.0.0.3 tree1.elsewhere.example\n"
        "10.0.0.1 tree1 tree1.example.org # tree1.late.example\n",
    )
    facts = tree.facts()
    assert (facts.user, facts.group) == ("toor", "wheel")
    assert facts.fqdn == "tree1.example.org"


def test_os_release_is_read_up_to_64_kib_and_never_run(tree: Tree) -> None:
    text = 'ID="$(touch /ran)"\nPRETTY_NAME="a \\"b\\" \\\\040"\nkx: df /\n'
    tree.write("etc/os-release", text + "# filler\n" * 20_000 + "ID=late\n")
    facts = tree.facts()
    assert facts.os == OperatingSystem(id="$(touch /ran)", pretty_name='a "b" \\040')
    assert not (tree.root / "ran").exists()


def test_systemd_with_its_services(tree: Tree) -> None:
    (tree.root / "run/systemd/system").mkdir(parents=True)
    tree.write("bin/systemctl", "", mode=0o755)
    for unit in ("firewalld", "systemd-timesyncd"):
        tree.link(f"run/systemd/units/invocation:{unit}.service")
    tree.write("run/systemd/timesync/synchronized", "")
    tree.write("run/systemd/container", "lxc\n")
    tree.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    facts = tree.facts()
    assert (facts.init, facts.systemd_offline) == (Init.SYSTEMD, False)
    assert facts.firewall is Firewall.FIREWALLD
    assert facts.time_synchronised is True
    assert (facts.machine, facts.virtualisation) == (Machine.CONTAINER, "lxc")
    assert facts.machine_id == "0123456789abcdef0123456789abcdef"
    (tree.root / "run/systemd/timesync/synchronized").unlink()
    assert tree.facts().time_synchronised is False


@pytest.mark.parametrize(
    ("leap", "time_synchronised"), [("Normal", True), ("Not synchronised", False), ("", None)]
)
def test_chrony_says_whether_the_clock_follows(
    tree: Tree, leap: str, *, time_synchronised: bool | None
) -> None:
    tree.link("run/systemd/units/invocation:chronyd.service")
    said = f"echo '{CHRONY}{leap}'" if leap else "echo '506 Cannot talk to daemon'; exit 1"
    tree.write(
        "bin/chronyc", f'#!/bin/sh\n[ "$*" = "-c tracking" ] || exit 2\n{said}\n', mode=0o755
    )
    assert tree.facts().time_synchronised is time_synchronised


def test_openrc_with_its_services(tree: Tree) -> None:
    for service in ("ntpd", "iptables"):
        tree.link(f"run/openrc/started/{service}")
    (tree.root / "run/openrc/started/iptables").unlink()
    tree.write("run/openrc/started/iptables", "")
    tree.write("bin/apk", "", mode=0o755)
    facts = tree.facts()
    assert facts.init is Init.OPENRC
    assert facts.firewall is Firewall.IPTABLES
    assert facts.package_manager is PackageManager.APK


def test_firewall_of_a_tree_that_has_not_booted_is_the_enabled_one(tree: Tree) -> None:
    tree.link("etc/systemd/system/sysinit.target.wants/nftables.service")
    assert tree.facts(proc=False).firewall is Firewall.NFTABLES
    tree.write("etc/ufw/ufw.conf", "# comment\nENABLED=yes\nLOGLEVEL=low\n")
    assert tree.facts(proc=False).firewall is Firewall.UFW


def test_container_is_told_by_the_files_that_engines_leave(tree: Tree) -> None:
    tree.write(".dockerenv", "")
    assert tree.facts().virtualisation == "docker"
    tree.write("run/.containerenv", "")
    assert tree.facts().virtualisation == "podman"
