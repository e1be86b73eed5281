"""/etc/hosts and the host name of real hosts that boot systemd, over ssh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Endpoint
from kubexm.connector.ssh import SshConnector
from kubexm.errors import HostError
from kubexm.runner import Catalogue, Host, Status
from kubexm.runner.operations import HostEntries, HostEntry, Hostname
from kubexm.shell import Session
from kubexm.testing import HandlerContract
from kubexm_linux import family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = pytest.mark.lab

ENTRIES = HostEntries(
    name="cluster",
    entries=(
        HostEntry(address="198.18.0.1", names=("node1", "node1.example.com")),
        HostEntry(address="198.18.0.2", names=("node2", "api")),
    ),
)


@pytest.fixture
def machine(lab_hosts: tuple[LabHost, ...]) -> LabHost:
    lab_hosts[0].reset()
    return lab_hosts[0]


@pytest.fixture
def open_host(lab: Laboratory, machine: LabHost) -> Iterator[Callable[[], Host]]:
    """Opens the host anew, after a reboot for example."""
    opened: list[SshConnector] = []

    def connect() -> Host:
        connector = SshConnector(
            Endpoint(
                name=machine.name,
                address=machine.address,
                user="root",
                private_key=str(lab.private_key),
                known_hosts=str(lab.known_hosts),
            )
        )
        connector.connect()
        opened.append(connector)
        return Host.open(machine.name, Session.open(connector.open), Catalogue([family]))

    yield connect
    for connector in opened:
        connector.close()


def said(machine: LabHost, *argv: str) -> str:
    return machine.exec(*argv, check=True).stdout.strip()


def test_name_is_set_now_and_after_a_reboot(
    machine: LabHost, open_host: Callable[[], Host]
) -> None:
    host = open_host()
    assert host.facts.hostname == machine.name
    HandlerContract(
        host=host, operation=Hostname(name="node1"), watched=("/etc/hostname", "/etc/hosts")
    ).check()
    assert host.facts.hostname == "node1"
    for _ in range(2):
        assert said(machine, "hostname") == "node1"
        assert said(machine, "hostnamectl", "hostname") == "node1"
        assert said(machine, "cat", "/etc/hostname") == "node1"
        machine.reboot()
    HandlerContract(host=open_host(), operation=Hostname(name="node1")).check_settled()


@pytest.mark.parametrize("only", ["running", "persistent"])
def test_half_a_name_is_completed(
    machine: LabHost, open_host: Callable[[], Host], only: str
) -> None:
    host = open_host()
    if only == "running":
        machine.exec("hostname", "node1", check=True)
    else:
        machine.exec("sh", "-c", "printf '# ours\\n\\n node1 \\n' >/etc/hostname", check=True)
    outcome = HandlerContract(host=host, operation=Hostname(name="node1")).check()
    assert "persistent: node1" not in outcome.diff or only == "running"
    assert said(machine, "hostname") == "node1"
    assert said(machine, "sed", "-n", "$p", "/etc/hostname") == "node1"


def test_name_without_the_hostname_command(machine: LabHost, open_host: Callable[[], Host]) -> None:
    """As on a minimal Red Hat image; /proc/sys is read-only here, so that systemd has to do it."""
    machine.exec("mv", "/bin/hostname", "/bin/hostname.away", check=True)
    assert machine.exec("sh", "-c", "echo x >/proc/sys/kernel/hostname").returncode != 0
    assert open_host().apply(Hostname(name="node1")).status is Status.CHANGED
    assert said(machine, "uname", "-n") == "node1"


def test_name_that_nothing_can_set_is_an_error(
    machine: LabHost, open_host: Callable[[], Host]
) -> None:
    machine.exec("mv", "/bin/hostname", "/bin/hostname.away", check=True)
    machine.exec("mv", "/bin/hostnamectl", "/bin/hostnamectl.away", check=True)
    with pytest.raises(HostError, match="the running host name could not be set"):
        open_host().apply(Hostname(name="node1"))


def test_names_resolve_as_declared(machine: LabHost, open_host: Callable[[], Host]) -> None:
    machine.exec(
        "sh", "-c", "printf '%s\\n' '127.0.0.1 localhost' '127.0.1.1 node1.old node1' "
        "'# note' '203.0.113.9 node2 # old' >/etc/hosts; hostname node1", check=True,
    )  # fmt: skip
    host = open_host()
    assert host.facts.fqdn == "node1.old"
    outcome = HandlerContract(host=host, operation=ENTRIES, watched=("/etc/hosts",)).check()
    assert outcome.diff.splitlines()[2:] == [
        "@@ -1,4 +1,7 @@",
        " 127.0.0.1 localhost",
        "-127.0.1.1 node1.old node1",
        "+127.0.1.1 node1.old",
        " # note",
        "-203.0.113.9 node2 # old",
        "+# BEGIN kubexm cluster",
        "+198.18.0.1 node1.example.com node1",
        "+198.18.0.2 node2 api",
        "+# END kubexm cluster",
    ]
    assert host.facts.fqdn == "node1.example.com"
    for _ in range(2):
        assert said(machine, "hostname", "--fqdn") == "node1.example.com"
        assert said(machine, "getent", "hosts", "node1").split()[0] == "198.18.0.1"
        assert said(machine, "getent", "hosts", "api").split()[:2] == ["198.18.0.2", "node2"]
        assert said(machine, "getent", "hosts", "localhost").split()[0] in {"::1", "127.0.0.1"}
        machine.exec("sh", "-c", "echo node1 >/etc/hostname", check=True)
        machine.reboot()
    HandlerContract(host=open_host(), operation=ENTRIES).check_settled()


def test_both_in_one_go_and_the_originals_are_kept(
    machine: LabHost, open_host: Callable[[], Host]
) -> None:
    before = said(machine, "cat", "/etc/hosts")
    host = open_host()
    outcomes = host.converge(Hostname(name="node1"), ENTRIES)
    assert [outcome.status for outcome in outcomes] == [Status.CHANGED, Status.CHANGED]
    assert host.facts.fqdn == "node1.example.com"
    kept = said(
        machine, "sh", "-c", "cd /var/lib/kubexm/originals; grep -lx /etc/hosts */path"
    ).removesuffix("/path")
    entry = f"/var/lib/kubexm/originals/{kept}"
    assert said(machine, "cat", f"{entry}/original") == before
    assert said(machine, "stat", "-c", "%a %U", "/var/lib/kubexm", entry) == "700 root\n700 root"
    trips = host.session.trips
    assert [each.status for each in host.converge(Hostname(name="node1"), ENTRIES)] == [
        Status.OK,
        Status.OK,
    ]
    assert host.session.trips - trips == 1
