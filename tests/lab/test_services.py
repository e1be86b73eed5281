"""Services on real hosts that boot systemd: on, off, dying, half-started, in an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Endpoint
from kubexm.connector.ssh import SshConnector
from kubexm.errors import CommandError, HostError, UnmetError
from kubexm.runner import Catalogue, Host, Status
from kubexm.runner.operations import FileContent, PackagesInstalled, Service
from kubexm.shell import Session
from kubexm.testing import HandlerContract
from kubexm_debian import family as debian
from kubexm_linux import family as linux

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubexm.runner import Operation, Outcome
    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = pytest.mark.lab

WATCHED = ("/etc", "/usr/lib/systemd", "/run/systemd/system")
CHRONY = PackagesInstalled(names=frozenset({"chrony"}))
OFF = Service(name="chrony", enabled=False, running=False)
ON = Service(name="chrony")


@pytest.fixture(scope="module")
def machine(lab_hosts: tuple[LabHost, ...]) -> LabHost:
    """With the units of other tests; each uses units of its own."""
    lab_hosts[0].reset()
    return lab_hosts[0]


@pytest.fixture
def bare(machine: LabHost) -> LabHost:
    """Without anything of other tests."""
    machine.reset()
    return machine


@pytest.fixture
def open_host(lab: Laboratory, machine: LabHost) -> Iterator[Callable[..., Host]]:
    """Opens the host anew, after a reboot for example."""
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


def unit(service: str, *, install: bool = True, more: str = "") -> str:
    """The text of a unit file."""
    wanted = "[Install]\nWantedBy=multi-user.target\n" if install else ""
    return f"[Unit]\nDescription=a test\n{more}[Service]\n{service}\n{wanted}"


def write(machine: LabHost, name: str, text: str) -> None:
    """Put a unit file in place without telling systemd."""
    path = f"/etc/systemd/system/{name}.service"
    machine.exec("sh", "-c", 'cat >"$0"', path, stdin=text, check=True)


def found(machine: LabHost, name: str) -> tuple[str, str]:
    """What systemd itself says: "enabled" and "active", for example."""
    said = [machine.exec("systemctl", verb, name).stdout for verb in ("is-enabled", "is-active")]
    return said[0].strip(), said[1].strip()


def converge(host: Host, operation: Operation) -> Outcome:
    (outcome,) = host.converge(operation)
    return outcome


def test_a_service_goes_off_and_on_and_stays_so(
    bare: LabHost, open_host: Callable[..., Host]
) -> None:
    assert converge(open_host(), CHRONY).changed
    for operation, state in ((OFF, ("disabled", "inactive")), (ON, ("enabled", "active"))):
        HandlerContract(host=open_host(), operation=operation, watched=WATCHED).check()
        for _ in range(2):
            assert found(bare, "chrony") == state
            HandlerContract(host=open_host(), operation=operation, watched=WATCHED).check_settled()
            bare.reboot()


def test_a_service_of_a_pending_package_is_predicted_and_marked(
    bare: LabHost, open_host: Callable[..., Host]
) -> None:
    checked = open_host(check=True)
    package, service = checked.converge(CHRONY, ON)
    assert package.rests_on == ()
    assert service.changed
    assert service.rests_on == ("packages chrony",)
    assert found(bare, "chrony") == ("", "inactive")

    host = open_host()
    package, service = host.converge(CHRONY, ON)
    assert package.changed
    # the package has enabled and started it
    assert service.status is Status.OK
    assert found(bare, "chrony") == ("enabled", "active")
    trips = host.session.trips
    assert [outcome.status for outcome in host.converge(CHRONY, ON)] == [Status.OK, Status.OK]
    assert host.session.trips == trips + 1


def test_a_service_of_a_file_that_is_written_first(
    machine: LabHost, open_host: Callable[..., Host]
) -> None:
    def deploy(text: str) -> tuple[Operation, Operation]:
        path = "/etc/systemd/system/mine.service"
        return FileContent(path=path, content=text), Service(name="mine")

    host = open_host()
    first = unit("ExecStart=sleep 1000")
    predicted = open_host(check=True).converge(*deploy(first))
    assert [outcome.status for outcome in predicted] == [Status.CHANGED, Status.CHANGED]
    assert predicted[1].rests_on == ("file /etc/systemd/system/mine.service",)
    applied = host.converge(*deploy(first))
    assert [outcome.diff for outcome in applied] == [outcome.diff for outcome in predicted]
    assert found(machine, "mine") == ("enabled", "active")

    second = unit("ExecStart=sleep 2000")
    _, service = host.converge(*deploy(second))
    assert service.diff == "--- mine.service\n+++ mine.service\n-outdated: yes\n+outdated: no\n"
    shown = machine.exec("systemctl", "show", "-p", "ExecStart", "mine").stdout
    assert "sleep 2000" in shown
    assert {outcome.status for outcome in host.converge(*deploy(second))} == {Status.OK}


DYING = {
    "dies": "ExecStart=/bin/sh -c 'echo I am dying >&2; exit 3'",
    "ends": "ExecStart=/bin/sh -c 'echo I am dying; exit 0'",
    "loops": "ExecStart=/bin/sh -c 'echo I am dying; exit 3'\nRestart=always\nRestartSec=100ms",
    "returns": "ExecStart=/bin/sh -c 'sleep .5; echo I am dying; exit 3'\nRestart=always\n"
    "RestartSec=4",
    "mute": "Type=notify\nExecStart=/bin/sh -c 'echo I am dying'",
    "once": "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo I am dying; exit 3'",
}


@pytest.mark.parametrize("name", DYING)
def test_a_service_that_dies_is_a_failure_with_its_journal(
    machine: LabHost, open_host: Callable[..., Host], name: str
) -> None:
    write(machine, name, unit(DYING[name]))
    host = open_host()
    for _ in range(2):
        outcome = converge(host, Service(name=name))
        assert outcome.status is Status.FAILED
        assert isinstance(outcome.error, CommandError)
        said = str(outcome.error).splitlines()
        assert said[-1].startswith(f"kubexm: {name}.service did not stay up: ")
        assert any(line.endswith(": I am dying") for line in said), said
        assert found(machine, name)[0] == "enabled"


def test_a_service_whose_condition_is_not_met_is_told(
    machine: LabHost, open_host: Callable[..., Host]
) -> None:
    write(machine, "cond", unit("ExecStart=sleep 99", more="ConditionPathExists=/nosuch\n"))
    error = converge(open_host(), Service(name="cond")).error
    assert str(error).endswith(
        "kubexm: cond.service was not started: a condition in its unit file is not met on this host"
    )


STAYING = {
    "notify": "Type=notify\nNotifyAccess=all\n"
    "ExecStart=/bin/sh -c 'sleep 1; systemd-notify --ready; exec sleep 1000'",
    "forking": "Type=forking\nExecStart=/bin/sh -c 'sleep 1000 & exit 0'",
    "once": "Type=oneshot\nRemainAfterExit=yes\nExecStart=true",
    "exec": "Type=exec\nExecStart=sleep 1000",
    "odd@x-y.z": "ExecStart=sleep 1000",
}


@pytest.mark.parametrize("name", STAYING)
def test_a_service_of_any_type_is_seen_through(
    machine: LabHost, open_host: Callable[..., Host], name: str
) -> None:
    write(machine, name, unit(STAYING[name]))
    HandlerContract(host=open_host(), operation=Service(name=name), watched=WATCHED).check()
    assert found(machine, name) == ("enabled", "active")
    off = Service(name=name, enabled=False, running=False)
    HandlerContract(host=open_host(), operation=off, watched=WATCHED).check()
    assert found(machine, name) == ("disabled", "inactive")


def test_a_service_that_is_still_starting_is_waited_for(
    machine: LabHost, open_host: Callable[..., Host]
) -> None:
    write(machine, "slow", unit(STAYING["notify"].replace("sleep 1;", "sleep 3;")))
    machine.exec("systemctl", "start", "--no-block", "slow", check=True)
    outcome = converge(open_host(), Service(name="slow", enabled=None))
    assert outcome.changed, outcome.error
    assert found(machine, "slow") == ("disabled", "active")


def test_sockets_and_timers_are_units_too(machine: LabHost, open_host: Callable[..., Host]) -> None:
    off = Service(name="apt-daily.timer", enabled=False, running=False)
    HandlerContract(host=open_host(), operation=off, watched=WATCHED).check()
    on = Service(name="apt-daily.timer")
    HandlerContract(host=open_host(), operation=on, watched=WATCHED).check()
    socket = Service(name="ssh.socket", running=None)
    HandlerContract(host=open_host(), operation=socket, watched=WATCHED).check()
    assert found(machine, "ssh.socket") == ("enabled", "inactive")


def test_a_unit_that_was_bad_is_read_again_once_it_is_mended(
    machine: LabHost, open_host: Callable[..., Host]
) -> None:
    write(machine, "bad", "[Service\n")
    host = open_host()
    outcome = converge(host, Service(name="bad"))
    assert isinstance(outcome.error, HostError)
    assert "systemd cannot load it" in str(outcome.error)
    write(machine, "bad", unit("ExecStart=sleep 1000"))
    assert converge(host, Service(name="bad")).changed
    assert found(machine, "bad") == ("enabled", "active")


def test_a_service_is_restarted_after_a_file_that_it_reads_has_changed(
    machine: LabHost, open_host: Callable[..., Host]
) -> None:
    path = "/etc/mine.conf"
    write(machine, "mine", unit(f"ExecStart=/bin/sh -c 'cat {path}; exec sleep 1000'"))
    host = open_host()

    def deploy(content: str) -> tuple[Operation, Operation]:
        service = Service(name="mine", restarted_after=(path, "/etc/mine.d/none"))
        return FileContent(path=path, content=content), service

    def said() -> str:
        return machine.exec("journalctl", "-q", "-o", "cat", "-u", "mine").stdout

    assert [outcome.changed for outcome in host.converge(*deploy("one\n"))] == [True, True]
    predicted = open_host(check=True).converge(*deploy("two\n"))
    assert predicted[1].rests_on == (f"file {path}",)
    assert "two" not in said()
    _, restarted = host.converge(*deploy("two\n"))
    assert restarted.diff == "--- mine.service\n+++ mine.service\n-behind: yes\n+behind: no\n"
    assert "two" in said()
    assert {outcome.status for outcome in host.converge(*deploy("two\n"))} == {Status.OK}

    # a run that broke off after the file still owes the restart
    machine.exec("sh", "-c", f"echo three >{path}", check=True)
    operation = deploy("three\n")[1]
    HandlerContract(host=open_host(), operation=operation, watched=WATCHED).check()
    assert "three" in said()


def test_what_cannot_be_is_refused_before_anything_is_done(
    machine: LabHost, open_host: Callable[..., Host]
) -> None:
    machine.exec("systemctl", "mask", "cron", check=True)
    write(machine, "alone", unit("ExecStart=sleep 1000", install=False))
    host = open_host()
    for operation, words in (
        (Service(name="nosuch"), "nosuch.service: there is no such unit"),
        (Service(name="cron"), "cron.service is masked"),
        (Service(name="alone"), "alone.service has no [Install] section"),
        (Service(name="dbus", enabled=False), "a target pulls it in: it cannot be disabled"),
        (Service(name="fstrim", enabled=None), "runs once and does not stay active"),
    ):
        outcome = converge(host, operation)
        assert outcome.status is Status.FAILED
        assert words in str(outcome.error)
        assert outcome.exit_status is None
        assert outcome.error is not None
        assert outcome.error.hint
    assert found(machine, "alone") == ("static", "inactive")
    assert isinstance(converge(host, Service(name="nosuch")).error, UnmetError)


def test_what_is_not_there_is_off(machine: LabHost, open_host: Callable[..., Host]) -> None:
    outcome = converge(open_host(), Service(name="nosuch", enabled=False, running=False))
    assert outcome.status is Status.OK
    assert outcome.notes == ("service nosuch: there is no such unit on this machine",)
    assert found(machine, "nosuch") == ("", "inactive")


def test_an_alias_means_its_unit(bare: LabHost, open_host: Callable[..., Host]) -> None:
    host = open_host()
    assert converge(host, CHRONY).changed
    off = Service(name="chronyd", enabled=False, running=False)
    assert converge(host, off).changed
    assert found(bare, "chrony") == ("disabled", "inactive")
    # systemd takes the alias away with the rest
    assert converge(host, off).status is Status.OK


def test_an_image_is_enabled_and_not_started(bare: LabHost, open_host: Callable[..., Host]) -> None:
    image = open_host(image=True)
    note = "service chrony: not started, because an image is not running"
    (package, service) = image.converge(CHRONY, ON)
    assert package.changed
    assert service.notes == (note,)
    assert found(bare, "chrony") == ("enabled", "inactive")
    HandlerContract(host=image, operation=OFF, watched=("/usr/lib/systemd", "/usr/sbin")).check()
    assert found(bare, "chrony") == ("disabled", "inactive")
    outcome = HandlerContract(
        host=image, operation=ON, watched=("/usr/lib/systemd", "/usr/sbin")
    ).check()
    assert outcome.notes == (note,)
    assert found(bare, "chrony") == ("enabled", "inactive")
    bare.reboot()
    assert found(bare, "chrony") == ("enabled", "active")
