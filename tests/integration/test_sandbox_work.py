"""What is done in sandboxes: operations, packages, and the main job itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.runner import Catalogue, Host, Status
from kubexm.runner.operations import (
    FileContent,
    Hostname,
    PackagesInstalled,
    PathAbsent,
    Service,
    SysctlSettings,
)
from kubexm.shell import Script, Session, quote
from tests.integration.sandboxes import opened, require_sandbox, text
from tests.integration.untouched import differences, machine
from tests.lab.package import TinyPackage
from tests.tasks import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def possible() -> None:
    require_sandbox()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A sandbox as an open host."""
    with opened(tmp_path) as session:
        yield Host.open("node", session, Catalogue.installed(), image=True)


def test_files_and_settings_converge_in_a_sandbox(host: Host) -> None:
    operations = (
        FileContent(path="/etc/kubexm/a.conf", content="a\n", mode=0o600),
        PathAbsent(path="/etc/passwd-"),
        SysctlSettings(name="99-sandbox", values={"vm.swappiness": "7"}),
        Hostname(name="node7"),
    )
    first = host.converge(*operations)
    assert {outcome.status for outcome in first} <= {Status.CHANGED, Status.OK}, first
    assert text(host.session, "cat /etc/kubexm/a.conf /etc/hostname") == "a\nnode7"
    again = host.converge(*operations)
    assert [outcome.status for outcome in again] == [Status.OK] * len(operations)
    assert Path("/proc/sys/vm/swappiness").read_text() != "7\n"


def test_a_package_is_installed_and_its_service_enabled_and_not_started(
    host: Host, tmp_path: Path
) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("packages are made with dpkg-deb, which is missing")
    package = TinyPackage(
        name="kx-daemon", version="1.0", daemon="/usr/sbin/kx-daemon", unit="kx-daemon"
    )
    scratch = tmp_path / "build"
    scratch.mkdir()
    index = package.build(tmp_path, scratch)
    content = (tmp_path / package.file_name).read_bytes()
    name = quote(package.file_name)
    for path, payload in ((name, content), ("Packages", index.encode())):
        write = Script(f"mkdir -p /srv/repo; cat >/srv/repo/{path}", payload=payload)
        assert host.session.ask(write).exit_status == 0
    text(
        host.session,
        "rm -rf /etc/apt/sources.list.d/* /etc/apt/sources.list; "
        "echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list",
    )
    operations = (
        PackagesInstalled(names=frozenset({"kx-daemon"}), cache_valid_s=0),
        Service(name="kx-daemon", enabled=True, running=True),
    )
    first = host.converge(*operations)
    assert not [outcome for outcome in first if outcome.failed], first
    assert first[0].status is Status.CHANGED
    assert text(host.session, "systemctl is-enabled kx-daemon") == "enabled"
    assert host.session.ask(Script("pgrep -x kx-daemon || pgrep -f 'sleep infinity'")).exit_status
    assert [outcome.status for outcome in host.converge(*operations)] == [Status.OK] * 2
    assert not Path("/usr/sbin/kx-daemon").exists()

    off = host.converge(Service(name="kx-daemon", enabled=False, running=False))
    assert off[0].status is Status.CHANGED
    assert text(host.session, "systemctl is-enabled kx-daemon; true") == "disabled"


def has_network(session: Session) -> bool:
    """Whether the machine's own package sources answer."""
    update = Script(
        "apt-get -q -o Acquire::Retries=0 -o Acquire::http::Timeout=10 "
        "-o APT::Update::Error-Mode=any update"
    )
    return session.run([update], deadline_s=90).whole()[0].exit_status == 0  # type: ignore[union-attr]


@pytest.mark.timeout(240)
def test_the_machines_own_package_sources_work_in_a_sandbox(host: Host) -> None:
    if not has_network(host.session):
        pytest.skip("the machine's package sources do not answer")
    text(host.session, "apt-get -y -q purge iptables 2>&1 || :")
    outcome = host.converge(PackagesInstalled(names=frozenset({"iptables"}), recommends=False))[0]
    assert outcome.status is Status.CHANGED, outcome
    assert text(host.session, "dpkg-query -W -f '${db:Status-Status}' iptables") == "installed"
    refused = host.session.ask(Script("iptables -A INPUT -j ACCEPT"))
    assert refused.exit_status != 0
    assert b"Permission denied" in refused.stderr


def inv(project: Path, *words: str, timeout_s: float = 100) -> list[dict[str, object]]:
    """The events of an `inv` command in a project, which must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words, "--output", "json"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project with the inventories that kubexm ships."""
    shutil.copytree(ROOT / "inventories", tmp_path / "inventories")
    (tmp_path / "tasks.py").write_text("from kubexm.tasks import ns\n")
    return tmp_path


def test_the_default_inventory_is_three_sandboxes_that_are_images(project: Path) -> None:
    facts = [one for one in inv(project, "hosts.facts") if one["event"] == "facts.read"]
    assert sorted(str(one["host"]) for one in facts) == ["cp1", "w1", "w2"]
    for one in facts:
        assert isinstance(one["facts"], dict)
        assert one["facts"]["machine"] == "image"
        assert one["facts"]["init"] == "none"
    kept = project / ".kubexm" / "sandbox"
    assert sorted(path.name for path in kept.iterdir()) == ["cp1", "w1", "w2"]


@pytest.mark.parametrize("name", ["local", "ha.example"])
def test_the_other_inventories_are_without_fault(project: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "hosts.list", "--inventory", f"inventories/{name}.yaml"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "kube_control_plane" in done.stdout


def test_a_check_of_the_main_job_predicts_changes_in_every_sandbox(project: Path) -> None:
    events = inv(project, "node.prepare", "--check")
    changing = {one["host"] for one in events if one.get("changed") and "host" in one}
    assert changing == {"cp1", "w1", "w2"}


@pytest.mark.full
@pytest.mark.timeout(900)
def test_the_main_job_prepares_three_sandboxes_and_then_finds_nothing_to_do(
    project: Path,
) -> None:
    with opened(project / "network") as session:
        if not has_network(session):
            pytest.skip("the machine's package sources do not answer")
    before = machine()
    first = inv(project, "node.prepare", timeout_s=800)
    assert {one["host"] for one in first if one.get("changed") and "host" in one} == {
        "cp1",
        "w1",
        "w2",
    }
    again = inv(project, "node.prepare")
    assert [one for one in again if one.get("changed")] == []
    ran = inv(project, "hosts.run", "uname -n; systemctl is-enabled chrony")
    said = {one["host"]: one["stdout"] for one in ran if one["event"] == "command.ended"}
    assert said == {name: f"{name}\nenabled\n" for name in ("cp1", "w1", "w2")}
    assert differences(before, machine()) == []


@pytest.mark.timeout(240)
def test_without_a_network_everything_but_the_packages_is_done(project: Path) -> None:
    cut = 'Acquire::http::Proxy "http://127.0.0.1:9"; Acquire::https::Proxy "http://127.0.0.1:9";'
    # Nothing to install would need no network.
    inv(
        project,
        *("hosts.run", "--limit", "cp1"),
        f"echo '{cut}' >/etc/apt/apt.conf.d/99cut; rm -f /var/lib/apt/lists/*_Packages*; "
        "dpkg --force-all --purge ethtool >/dev/null 2>&1; true",
    )
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "node.prepare", "--limit", "cp1", "--output", "plain"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "! cp1: package" in done.stdout
    assert "127.0.0.1" in done.stdout
    assert "hostname cp1: changed" in done.stdout
    ran = inv(
        project,
        *("hosts.run", "--limit", "cp1"),
        "cat /etc/hostname /etc/modules-load.d/kubernetes.conf; "
        "stat -c %F /etc/kubernetes; id -un kube; grep cp1 /etc/hosts",
    )
    said = next(str(one["stdout"]) for one in ran if one["event"] == "command.ended")
    for word in ("cp1\n", "br_netfilter\n", "directory\n", "kube\n", "203.0.113.11 cp1\n"):
        assert word in said
