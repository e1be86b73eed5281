"""Modules, parameters and swap on real hosts that boot systemd and share this machine's kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Endpoint
from kubexm.connector.ssh import SshConnector
from kubexm.errors import UnmetError
from kubexm.facts import Machine
from kubexm.runner import Catalogue, Host, Status
from kubexm.runner.operations import KernelModules, SwapOff, SysctlSettings
from kubexm.shell import Session
from kubexm.testing import HandlerContract
from kubexm_linux import family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

WATCHED = ("/etc", "/var/lib/kubexm")
MODULES = KernelModules(name="kubernetes", modules=("overlay", "no_such_module"))
SETTINGS = SysctlSettings(
    name="99-kubernetes",
    values={
        # ip_forward resets it, wherever it stands
        "net.ipv4.conf.all.accept_redirects": "1",
        "net.ipv4.ip_forward": "1",
        "net.ipv4.ip_local_reserved_ports": "30000-32767,8080",
        "net.ipv4.tcp_rmem": "4096 100000 6291456",
        "net.core.somaxconn": "1000",
        "kernel.panic": "4711",
        "fs.no_such_parameter": "1",
    },
    at_least=frozenset({"net.core.somaxconn"}),
    optional=frozenset({"fs.no_such_parameter"}),
)
OPERATIONS = (MODULES, SETTINGS, SwapOff())
NOTES = {
    MODULES.label(): ("kernel modules no_such_module: not loaded from a container",),
    SETTINGS.label(): (
        "sysctl fs.no_such_parameter: left out, because this kernel has none",
        "sysctl kernel.panic: not set at run time in a container",
    ),
    SwapOff().label(): (),
}
LIVE_NOW = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.accept_redirects": "1",
    "net.ipv4.ip_local_reserved_ports": "8080,30000-32767",
    "net.ipv4.tcp_rmem": "4096\t100000\t6291456",
}

FSTAB = "# by hand\n/dev/sdz2\tnone swap\tsw,nofail 0 0\ntmpfs /srv tmpfs size=1m 0 0\n"
BEFORE = {
    "/etc/fstab": FSTAB,
    "/etc/systemd/system/own.swap": "[Swap]\nWhat=/own\n",
    "/etc/systemd/system/zramswap.service": (
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    "/usr/lib/systemd/zram-generator.conf": "[zram0]\nzram-size = ram / 2\n",
}


@pytest.fixture
def machine(lab_hosts: tuple[LabHost, ...]) -> LabHost:
    """A fresh host with everything that could bring swap."""
    machine = lab_hosts[0]
    machine.reset()
    for path, text in BEFORE.items():
        machine.exec("tee", path, stdin=text, check=True)
    machine.exec("systemctl", "daemon-reload", check=True)
    machine.exec("systemctl", "enable", "--now", "zramswap.service", check=True)
    return machine


@pytest.fixture
def open_host(lab: Laboratory, machine: LabHost) -> Iterator[Callable[..., Host]]:
    """Opens the host anew, after a reboot for example."""
    opened: list[SshConnector] = []

    def connect(*, check: bool = False) -> Host:
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
        session = Session.open(connector.open)
        return Host.open(machine.name, session, Catalogue([family]), check=check)

    yield connect
    for connector in opened:
        connector.close()


def said(machine: LabHost, *argv: str) -> str:
    return machine.exec(*argv).stdout.strip()


def confirm(machine: LabHost) -> None:
    """What the machine's own tools say about all three."""
    for key, value in LIVE_NOW.items():
        assert said(machine, "sysctl", "-n", key) == value
    assert int(said(machine, "sysctl", "-n", "net.core.somaxconn")) >= 1000
    assert said(machine, "sysctl", "-n", "kernel.panic") != "4711"
    persistent = said(machine, "cat", SETTINGS.path)
    assert "kernel.panic = 4711" in persistent.splitlines()
    assert "no_such_parameter" not in persistent
    modules = said(machine, "cat", MODULES.path).splitlines()
    assert [line for line in modules if not line.startswith("#")] == list(MODULES.modules)
    assert said(machine, "findmnt", "--fstab", "--types", "swap") == ""
    assert said(machine, "findmnt", "--fstab", "--noheadings", "--output", "target") == "/srv"
    assert said(machine, "systemctl", "is-enabled", "swap.target", "own.swap") == "masked\nmasked"
    assert said(machine, "systemctl", "is-enabled", "zramswap.service") == "disabled"
    assert said(machine, "systemctl", "is-active", "zramswap.service") == "inactive"
    assert "[" not in said(machine, "cat", "/etc/systemd/zram-generator.conf")


def test_check_predicts_what_apply_does_and_it_lasts(
    machine: LabHost, open_host: Callable[..., Host]
) -> None:
    host = open_host(check=True)
    assert host.facts.machine is Machine.CONTAINER
    predicted = host.converge(*OPERATIONS)
    assert said(machine, "cat", "/etc/fstab") == FSTAB.strip()
    assert said(machine, "systemctl", "is-enabled", "swap.target") == "static"

    host = open_host()
    trips = host.session.trips
    applied = host.converge(*OPERATIONS)
    assert host.session.trips - trips == 2
    for foreseen, done in zip(predicted, applied, strict=True):
        assert done.error is None
        assert (foreseen.status, done.status) == (Status.CHANGED, Status.CHANGED)
        assert (foreseen.diff, foreseen.after) == (done.diff, done.after)
        assert foreseen.notes == done.notes == NOTES[done.label]
    confirm(machine)

    for _ in range(2):
        again = open_host().converge(*OPERATIONS)
        assert [outcome.status for outcome in again] == [Status.OK] * 3
        confirm(machine)
        machine.reboot()
        assert machine.state() == "running"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: type(op).__name__)
def test_handler_keeps_its_promises(
    open_host: Callable[..., Host], operation: KernelModules | SysctlSettings | SwapOff
) -> None:
    HandlerContract(host=open_host(), operation=operation, watched=WATCHED).check()


def test_originals_are_kept(machine: LabHost, open_host: Callable[..., Host]) -> None:
    open_host().apply(SwapOff())
    kept = said(machine, "grep", "-rlFx", "/etc/fstab", "/var/lib/kubexm").removesuffix("/path")
    assert machine.exec("cat", f"{kept}/original").stdout == FSTAB
    unit = "/etc/systemd/system/own.swap"
    kept = said(machine, "grep", "-rlFx", unit, "/var/lib/kubexm").removesuffix("/path")
    assert machine.exec("cat", f"{kept}/original").stdout == BEFORE[unit]


def test_later_file_is_named_and_the_boot_agrees(
    machine: LabHost, open_host: Callable[..., Host]
) -> None:
    later = "/usr/lib/sysctl.d/99-z.conf"
    machine.exec("tee", later, stdin="# a vendor's\nnet/ipv4/ip_forward=0\n", check=True)
    (outcome,) = open_host().converge(SETTINGS)
    assert isinstance(outcome.error, UnmetError)
    told = f"{later}:2 sets net.ipv4.ip_forward to 0"
    assert outcome.error.message == f"sysctl 99-kubernetes would not survive a reboot: {told}"
    assert machine.exec("test", "-e", SETTINGS.path).returncode != 0

    # what the handler says is what systemd does: with both files it ends with the vendor's
    machine.exec("tee", SETTINGS.path, stdin="net.ipv4.ip_forward = 1\n", check=True)
    machine.reboot()
    assert said(machine, "sysctl", "-n", "net.ipv4.ip_forward") == "0"
    # and a file of the same name in /etc hides it
    machine.exec("ln", "-s", "/dev/null", "/etc/sysctl.d/99-z.conf", check=True)
    assert open_host().apply(SETTINGS).status is Status.CHANGED
    machine.reboot()
    assert said(machine, "sysctl", "-n", "net.ipv4.ip_forward") == "1"


def test_value_that_the_kernel_refuses_fails_and_no_file_has_it(
    machine: LabHost, open_host: Callable[..., Host]
) -> None:
    op = SysctlSettings(name="x", values={"net.ipv4.ip_forward": "1", "net.core.somaxconn": "-1"})
    (outcome,) = open_host().converge(op)
    assert outcome.failed
    assert "the kernel does not take -1 for net/core/somaxconn" in str(outcome.error)
    assert machine.exec("test", "-e", op.path).returncode != 0
