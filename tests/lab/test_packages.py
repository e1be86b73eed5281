"""Packages on real Debian hosts: installed, removed, interrupted, locked, and what is said then."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Endpoint
from kubexm.connector.ssh import SshConnector
from kubexm.errors import CommandError, DeadlineError, SessionLostError
from kubexm.runner import Catalogue, Host, Outcome, Status
from kubexm.runner.operations import PackagesInstalled, PackagesRemoved
from kubexm.shell import Session
from kubexm.testing import HandlerContract
from kubexm_debian import family as debian
from kubexm_linux import family as linux

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = pytest.mark.lab

WATCHED = ("/etc/apt", "/var/lib/apt", "/var/lib/dpkg", "/var/cache/apt", "/usr/sbin")
HOLD = """
use Fcntl;
open(my $file, "+<", "/var/lib/dpkg/lock-frontend") or die;
my $lock = pack("ssx4qqlx4", F_WRLCK, 0, 0, 0, 0);
fcntl($file, F_SETLK, $lock) or die;
sleep $ARGV[0];
"""
"""Holds the package lock as apt does; flock(1) is another kind of lock."""


@pytest.fixture
def machine(lab_hosts: tuple[LabHost, ...]) -> LabHost:
    lab_hosts[0].reset()
    return lab_hosts[0]


@pytest.fixture
def fresh(machine: LabHost) -> LabHost:
    """With a package index."""
    machine.exec("apt-get", "-q", "update", check=True)
    return machine


@pytest.fixture
def open_host(lab: Laboratory, machine: LabHost) -> Iterator[Callable[..., Host]]:
    """Opens the host anew, after a reboot or a deadline for example."""
    opened: list[SshConnector] = []

    def connect(*, image: bool = False, check: bool = False) -> Host:
        endpoint = Endpoint(
            name=machine.name,
            address=machine.address,
            user="root",
            private_key=str(lab.private_key),
            known_hosts=str(lab.known_hosts),
        )
        connector = SshConnector(endpoint)
        connector.connect()
        opened.append(connector)
        session = Session.open(connector.open)
        catalogue = Catalogue([linux, debian])
        return Host.open(machine.name, session, catalogue, image=image, check=check)

    yield connect
    for connector in opened:
        connector.close()


def installed(*names: str, deadline_s: int = 900) -> PackagesInstalled:
    return PackagesInstalled(names=frozenset(names), deadline_s=deadline_s)


def removed(*names: str) -> PackagesRemoved:
    return PackagesRemoved(names=frozenset(names))


def converge(host: Host, operation: PackagesInstalled | PackagesRemoved) -> Outcome:
    (outcome,) = host.converge(operation)
    return outcome


def failure(outcome: Outcome) -> str:
    """The words of a change that failed."""
    assert outcome.status is Status.FAILED
    assert isinstance(outcome.error, CommandError)
    return str(outcome.error)


def listed(machine: LabHost, name: str) -> str:
    """What dpkg itself says: "ii 1.0", for example; nothing for what it does not know."""
    shown = machine.exec("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}", name)
    return " ".join(shown.stdout.split())


def at_work(machine: LabHost) -> list[str]:
    """What runs of a transaction, and what it has left in the way."""
    shown = machine.exec("ps", "-e", "-o", "comm=").stdout.split()
    names = ("apt", "apt-get", "dpkg", "sleep", "frontend")
    left = machine.exec("sh", "-c", "ls -d /run/kubexm-apt* /usr/sbin/policy-rc.d 2>/dev/null")
    return [name for name in shown if name in names] + left.stdout.split()


def test_packages_come_and_stay(machine: LabHost, open_host: Callable[..., Host]) -> None:
    wanted = installed("conntrack", "socat", "sudo")
    outcome = HandlerContract(host=open_host(), operation=wanted, watched=WATCHED).check()
    # no index yet: which version comes is not certain
    assert outcome.diff == "--- packages\n+++ packages\n+conntrack\n+socat\n"
    for _ in range(2):
        assert listed(machine, "conntrack") == "ii 1:1.4.7-1+b2"
        assert listed(machine, "socat") == "ii 1.7.4.4-2"
        HandlerContract(host=open_host(), operation=wanted, watched=WATCHED).check_settled()
        machine.reboot()


def test_versions_are_predicted_when_they_are_certain(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    wanted = installed("depends-demo", "socat:all")
    (predicted,) = open_host(check=True).converge(wanted)
    assert predicted.rests_on == ()
    assert predicted.diff == (
        "--- packages\n+++ packages\n+depends-demo 1.0\n+socat:all 1.7.4.4-2\n"
    )
    outcome = HandlerContract(host=open_host(), operation=wanted, watched=WATCHED).check()
    assert outcome.diff == predicted.diff
    assert (listed(fresh, "socat"), listed(fresh, "versioned-demo")) == ("ii 1.7.4.4-2", "ii 1.1")


def test_removed_packages_leave_their_configuration(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    fresh.exec("apt-get", "-y", "install", "conffile-demo", "socat", check=True)
    fresh.exec("sh", "-c", "echo mine >/etc/conffile-demo.conf", check=True)
    wanted = removed("conffile-demo", "nosuch", "socat")
    outcome = HandlerContract(host=open_host(), operation=wanted, watched=WATCHED).check()
    assert outcome.diff == "--- packages\n+++ packages\n-conffile-demo 1.1\n-socat 1.7.4.4-2\n"
    assert listed(fresh, "conffile-demo") == "rc 1.1"
    assert listed(fresh, "socat") == ""
    HandlerContract(host=open_host(), operation=installed("conffile-demo")).check()
    assert fresh.exec("cat", "/etc/conffile-demo.conf").stdout == "mine\n"


def test_what_is_installed_is_not_upgraded(fresh: LabHost, open_host: Callable[..., Host]) -> None:
    fresh.exec("apt-get", "-y", "install", "versioned-demo=1.0", check=True)
    HandlerContract(host=open_host(), operation=installed("socat", "versioned-demo")).check()
    assert listed(fresh, "versioned-demo") == "ii 1.0"


@pytest.mark.timeout(150)
def test_a_deadline_ends_everything_and_the_next_run_repairs(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    outcome = converge(open_host(), installed("slow-demo", "socat", deadline_s=4))
    assert outcome.status is Status.UNKNOWN
    assert isinstance(outcome.error, DeadlineError)
    assert at_work(fresh) == []
    assert listed(fresh, "slow-demo") == "iF 1.0"

    host = open_host()
    again = converge(host, installed("slow-demo", "socat"))
    assert again.changed, again.error
    assert "-slow-demo 1.0 (half-configured)\n+slow-demo 1.0\n" in again.diff
    assert (listed(fresh, "slow-demo"), listed(fresh, "socat")) == ("ii 1.0", "ii 1.7.4.4-2")
    assert fresh.exec("dpkg", "--audit").stdout == ""
    assert converge(host, installed("slow-demo", "socat")).status is Status.OK
    fresh.reboot()
    assert converge(open_host(), installed("slow-demo", "socat")).status is Status.OK


@pytest.mark.timeout(150)
def test_a_lost_link_does_not_cut_a_transaction_short(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    host = open_host()
    outcomes: list[Outcome] = []
    work = threading.Thread(target=lambda: outcomes.append(converge(host, installed("slow-demo"))))
    work.start()
    while listed(fresh, "slow-demo") != "iF 1.0":
        time.sleep(0.2)
    host.session.kill()
    work.join()
    assert isinstance(outcomes[0].error, SessionLostError)
    for _ in range(80):
        if not at_work(fresh):
            break
        time.sleep(0.5)
    assert listed(fresh, "slow-demo") == "ii 1.0"
    assert converge(open_host(), installed("slow-demo")).status is Status.OK


@pytest.fixture
def holder(machine: LabHost) -> Iterator[Callable[[int], str]]:
    """Holds the package lock for some seconds; says who does that."""
    threads: list[threading.Thread] = []

    def hold(seconds: int) -> str:
        argv = ("perl", "-e", HOLD, str(seconds))
        threads.append(threading.Thread(target=lambda: machine.exec(*argv, check=False)))
        threads[-1].start()
        while not (pid := machine.exec("pgrep", "-x", "perl").stdout.strip()):
            time.sleep(0.05)
        time.sleep(0.3)
        return pid

    yield hold
    machine.exec("pkill", "-x", "perl")
    for thread in threads:
        thread.join()


def test_a_lock_that_stays_is_told_with_its_holder(
    fresh: LabHost, open_host: Callable[..., Host], holder: Callable[[int], str]
) -> None:
    host = open_host()
    pid = holder(60)
    said = failure(converge(host, installed("socat", deadline_s=5)))
    assert f"the package lock is still held by process {pid} (perl -e" in said
    assert "after 2 s: let it finish, or end it; nothing was changed" in said
    assert listed(fresh, "socat") == ""


def test_a_lock_that_comes_free_is_waited_for(
    fresh: LabHost, open_host: Callable[..., Host], holder: Callable[[int], str]
) -> None:
    host = open_host()
    pid = holder(3)
    outcome = converge(host, installed("socat"))
    assert outcome.changed, outcome.error
    assert f"waiting for process {pid} (perl -e" in outcome.stderr
    assert listed(fresh, "socat") == "ii 1.7.4.4-2"


def test_an_unknown_name_is_told_and_nothing_is_installed(
    machine: LabHost, open_host: Callable[..., Host]
) -> None:
    said = failure(converge(open_host(), installed("nosuch-a", "nosuch-b", "socat")))
    assert said.endswith(
        "no package source of this host offers nosuch-a, nosuch-b: "
        "check the name, or add the source that has it"
    )
    assert listed(machine, "socat") == ""


def test_a_source_that_does_not_answer_is_told_and_nothing_is_installed(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    source = "/etc/apt/sources.list.d/dead.list"
    fresh.exec("sh", "-c", f"echo deb http://127.0.0.1:9/debian x main >{source}", check=True)
    said = failure(converge(open_host(), installed("socat")))
    assert "E: Failed to fetch http://127.0.0.1:9/debian/dists/x/InRelease" in said
    assert said.endswith("check its address, the network, the proxy")
    assert listed(fresh, "socat") == ""
    fresh.exec("rm", source, check=True)
    HandlerContract(host=open_host(), operation=installed("socat")).check()


def test_a_package_that_cannot_be_configured_is_told_each_time(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    host = open_host()
    for _ in range(2):
        said = failure(converge(host, installed("broken-demo")))
        assert "no luck\ndpkg: error processing package broken-demo (--configure)" in said
        assert "kubexm: " in said.splitlines()[-1]
        assert "broken-demo: its installation fails on this host" in said.splitlines()[-1]
        assert listed(fresh, "broken-demo") == "iF 1.0"
    other = failure(converge(host, installed("socat")))
    assert "broken-demo: its installation fails on this host" in other
    assert listed(fresh, "socat") == ""
    HandlerContract(host=host, operation=removed("broken-demo"), watched=WATCHED).check()
    assert converge(host, installed("socat")).changed


def test_a_package_that_is_half_there_is_installed_again(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    script = """
        mkdir -p /tmp/tree/DEBIAN /tmp/repo
        printf 'Package: half-demo\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: x <x@x>\\n' \
            >/tmp/tree/DEBIAN/control
        echo 'Description: x' >>/tmp/tree/DEBIAN/control
        printf '#!/bin/sh\\n[ -e /tmp/quick ] || sleep 60\\n' >/tmp/tree/DEBIAN/preinst
        chmod 755 /tmp/tree/DEBIAN/preinst
        dpkg-deb -Zgzip --build /tmp/tree /tmp/repo/half-demo.deb
        cd /tmp/repo
        { dpkg-deb -f half-demo.deb; echo Filename: ./half-demo.deb
          echo Size: $(stat -c %s half-demo.deb)
          echo SHA256: $(sha256sum half-demo.deb | cut -d ' ' -f 1); } >Packages
        echo 'deb [trusted=yes] file:/tmp/repo ./' >/etc/apt/sources.list.d/half.list
        apt-get -q update
        (apt-get -y install half-demo & sleep 2; pkill -KILL -x dpkg; pkill -x sleep; wait)
        touch /tmp/quick
    """
    fresh.exec("sh", "-c", script, check=False)
    assert listed(fresh, "half-demo") == "iHR 1.0"
    outcome = HandlerContract(host=open_host(), operation=installed("half-demo")).check()
    assert "-half-demo 1.0 (half-installed)\n+half-demo 1.0\n" in outcome.diff
    assert listed(fresh, "half-demo") == "ii 1.0"
    assert fresh.exec("dpkg", "--audit").stdout == ""


def test_a_package_whose_dependency_was_not_unpacked_is_completed(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    fresh.exec("sh", "-c", "dpkg --unpack /opt/lab-repo/depends-demo_*.deb", check=True)
    outcome = HandlerContract(host=open_host(), operation=installed("depends-demo")).check()
    assert "-depends-demo 1.0 (unpacked)\n+depends-demo 1.0\n" in outcome.diff
    assert (listed(fresh, "depends-demo"), listed(fresh, "versioned-demo")) == ("ii 1.0", "ii 1.1")


def test_a_full_disk_is_told_and_the_next_run_goes_on(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    full = "/var/lib/dpkg/updates"
    fresh.exec("mount", "-t", "tmpfs", "-o", "size=4k", "none", full, check=True)
    said = failure(converge(open_host(), installed("socat")))
    assert "No space left on device" in said
    assert said.endswith("kubexm: installing: the disk is full: make room on it")
    fresh.exec("umount", full, check=True)
    HandlerContract(host=open_host(), operation=installed("socat")).check()


def test_services_come_up_only_where_that_is_wanted(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    def is_active() -> str:
        return fresh.exec("systemctl", "is-active", "chrony").stdout.strip()

    quiet = PackagesInstalled(names=frozenset({"chrony"}), start_services=False)
    for host, operation, state in (
        (open_host(image=True), installed("chrony"), "inactive"),
        (open_host(), quiet, "inactive"),
        (open_host(), installed("chrony"), "active"),
    ):
        HandlerContract(host=host, operation=operation, watched=WATCHED).check()
        assert is_active() == state
        assert at_work(fresh) == (["sleep"] if state == "active" else [])
        fresh.exec("apt-get", "-y", "purge", "chrony", check=True)


def test_the_hosts_own_policy_for_services_stays(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    policy = "/usr/sbin/policy-rc.d"
    fresh.exec("sh", "-c", f"echo '#!/bin/sh' >{policy}; chmod 755 {policy}", check=True)
    HandlerContract(host=open_host(image=True), operation=installed("chrony")).check()
    assert fresh.exec("cat", policy).stdout == "#!/bin/sh\n"


def test_a_deadline_takes_the_policy_for_services_away(
    fresh: LabHost, open_host: Callable[..., Host]
) -> None:
    outcome = converge(open_host(image=True), installed("slow-demo", deadline_s=4))
    assert isinstance(outcome.error, DeadlineError)
    assert at_work(fresh) == []
