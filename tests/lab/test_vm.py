"""The main job on a machine with a kernel of its own: modules, parameters and swap for real."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from kubexm.connector import Endpoint
from kubexm.connector.ssh import SshConnector
from kubexm.facts import Machine
from kubexm.runner import Catalogue, Host
from kubexm.runner.operations import KernelModules, SwapOff, SysctlSettings
from kubexm.shell import Session
from kubexm.testing import HandlerContract
from kubexm_linux import family
from tests.lab import cgroup
from tests.lab.conftest import require_virtual_machine
from tests.lab.laboratory import Laboratory
from tests.lab.operator import Done, Operator
from tests.lab.vm_host import VirtualHost
from tests.lab.vm_image import SWAP_LABEL, ZRAM_SWAP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1500)]

NAME = "node1"
RUN_S = 900.0

MODULES = (
    *("overlay", "br_netfilter", "nf_conntrack"),
    *("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh"),
)
PARAMETERS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.ip_local_reserved_ports": "30000-32767",
    "fs.inotify.max_user_instances": "8192",
    "fs.inotify.max_user_watches": "524288",
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.keys.root_maxbytes": "25000000",
    # These are there only once br_netfilter is loaded, and the last when nf_conntrack is.
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "net.netfilter.nf_conntrack_max": "131072",
}
"""What Kubernetes wants, said here once more: no table of kubexm's is asked."""

SETTINGS = """\
    node:
      proxy_mode: ipvs
      sysctl: {net.netfilter.nf_conntrack_max: 131072}
"""

CONVERGED_TRIPS = 2
"""Facts, and one reading of everything."""

MODULES_FILE = "/etc/modules-load.d/kubernetes.conf"
SYSCTL_FILE = "/etc/sysctl.d/99-kubernetes.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the machine's own tools say."""

    swaps: frozenset[str]
    loaded: frozenset[str]
    parameters: Mapping[str, str]
    """Those of `PARAMETERS` and those that the file names; of them those that there are."""
    name: str
    address: str
    """The one that the host's new name leads to."""
    files: Mapping[str, str]

    @classmethod
    def on(cls, host: VirtualHost) -> Seen:
        def said(*argv: str) -> str:
            return host.exec(*argv).stdout

        paths = ("/etc/hosts", "/etc/hostname", "/etc/fstab", MODULES_FILE, SYSCTL_FILE)
        files = {path: said("cat", path) for path in paths}
        live = dict(pairs(said("sysctl", "--all")))
        asked = {*PARAMETERS, *dict(pairs(files[SYSCTL_FILE]))}
        return cls(
            swaps=frozenset(said("swapon", "--show=NAME", "--noheadings").split()),
            loaded=frozenset(line.split()[0] for line in said("lsmod").splitlines()[1:]),
            parameters={key: live[key] for key in asked if key in live},
            name=said("hostname").strip(),
            address=said("getent", "ahostsv4", NAME).partition(" ")[0],
            files=files,
        )

    def confirm(self, host: VirtualHost) -> None:
        """All that the profile promises is so, and what it wrote down is what is live."""
        assert self.swaps == frozenset()
        assert (self.name, self.address) == (NAME, host.internal_address)
        assert self.files["/etc/hostname"] == f"{NAME}\n"
        assert self.files["/etc/hosts"].count(f"{host.internal_address} {NAME}\n") == 1
        fstab = [line.split() for line in settings(self.files["/etc/fstab"])]
        assert [words[1] for words in fstab] == ["/"]
        assert self.loaded >= {*MODULES, *settings(self.files[MODULES_FILE])}
        assert set(settings(self.files[MODULES_FILE])) >= set(MODULES)
        persistent = dict(pairs(self.files[SYSCTL_FILE]))
        assert persistent.items() >= PARAMETERS.items()
        assert self.parameters == persistent


def settings(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    halves = (line.partition("=") for line in settings(text))
    return tuple((key.strip(), value.strip()) for key, _, value in halves)


@pytest.fixture(scope="module")
def bare(vm: VirtualHost) -> VirtualHost:
    vm.reset()
    return vm


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, bare: VirtualHost) -> Operator:
    project = tmp_path_factory.mktemp("project")
    return Operator.with_machine(project, bare, name=NAME, more=SETTINGS)


@pytest.fixture(scope="module")
def before(bare: VirtualHost) -> Seen:
    return Seen.on(bare)


@pytest.fixture(scope="module")
def predicted(operator: Operator, before: Seen) -> Done:
    assert before.swaps
    words = ("node.prepare", "--check", "--diff", "--output", "json")
    return operator.inv(*words, timeout_s=RUN_S)


@pytest.fixture(scope="module")
def after_check(bare: VirtualHost, predicted: Done) -> Seen:
    assert predicted.exit_code == 0, predicted.stdout + predicted.stderr
    return Seen.on(bare)


@pytest.fixture(scope="module")
def applied(operator: Operator, after_check: Seen) -> Done:
    assert after_check.swaps
    return operator.inv("node.prepare", "--diff", "--output", "json", timeout_s=RUN_S)


@pytest.fixture(scope="module")
def prepared(applied: Done) -> Done:
    assert applied.exit_code == 0, applied.stdout + applied.stderr
    return applied


def by_operation(done: Done) -> Mapping[object, dict[str, object]]:
    return {event["operation"]: event for event in done.of("operation.ended", NAME)}


def unchanged(done: Done) -> None:
    assert done.exit_code == 0, done.stdout + done.stderr
    assert [name for name, event in by_operation(done).items() if event["changed"]] == []
    assert {event["trips"] for event in done.of("host.ended")} == {CONVERGED_TRIPS}


def test_a_bare_machine_swaps_and_has_none_of_the_modules(before: Seen) -> None:
    assert set(before.swaps) == {"/dev/vdb", ZRAM_SWAP}
    assert before.loaded.isdisjoint(MODULES)
    assert before.parameters["net.ipv4.ip_forward"] == "0"
    assert not [key for key in before.parameters if key.startswith(("net.bridge", "net.netf"))]


def test_facts_say_that_the_machine_has_a_kernel_of_its_own(
    bare: VirtualHost, operator: Operator
) -> None:
    (read,) = operator.inv("hosts.facts", "--output", "json", timeout_s=RUN_S).of("facts.read")
    facts = cast("dict[str, object]", read["facts"])
    assert facts["machine"] == Machine.LIVE
    assert facts["virtualisation"] == "qemu"
    assert facts["kernel"] == bare.exec("uname", "-r").stdout.strip()
    assert facts["boot_id"] == bare.boot_id()


def test_check_changes_nothing(before: Seen, after_check: Seen) -> None:
    assert after_check == before


def test_apply_does_what_check_predicted(predicted: Done, prepared: Done) -> None:
    foreseen, done = by_operation(predicted), by_operation(prepared)
    assert foreseen.keys() == done.keys()
    sure = {name: event for name, event in foreseen.items() if "rests_on" not in event}
    assert "swap off" in sure
    for name, prediction in sure.items():
        assert prediction["status"] == done[name]["status"] == "changed", name
        assert prediction["diff"] == done[name]["diff"], name


def test_nothing_is_put_off_because_of_a_container(prepared: Done) -> None:
    told = [event.get("notes", []) for event in prepared.of("operation.ended")]
    notes = [note for some in cast("list[list[str]]", told) for note in some]
    assert [note for note in notes if "container" in note] == []


def test_the_machines_own_tools_confirm_everything(bare: VirtualHost, prepared: Done) -> None:
    assert prepared.exit_code == 0
    Seen.on(bare).confirm(bare)


def test_a_second_run_changes_nothing(operator: Operator, prepared: Done) -> None:
    assert prepared.exit_code == 0
    unchanged(operator.inv("node.prepare", "--output", "json", timeout_s=RUN_S))


def test_everything_survives_a_reboot_without_another_run(
    operator: Operator, bare: VirtualHost, prepared: Done
) -> None:
    assert prepared.exit_code == 0
    boot_id = bare.boot_id()
    bare.reboot()
    assert bare.boot_id() != boot_id
    assert bare.state() == "running"
    Seen.on(bare).confirm(bare)
    # what could bring it back at the next boot: the label, and the device that has it
    assert SWAP_LABEL in bare.exec("blkid").stdout
    assert bare.exec("systemctl", "start", "swap.target").returncode != 0
    unchanged(operator.inv("node.prepare", "--output", "json", timeout_s=RUN_S))


def test_swap_and_modules_that_somebody_changes_by_hand_are_put_right(
    operator: Operator, bare: VirtualHost, prepared: Done
) -> None:
    assert prepared.exit_code == 0
    bare.exec("swapon", "/dev/vdb", check=True)
    bare.exec("rmmod", "br_netfilter", check=True)
    bare.exec("sysctl", "-w", "kernel.panic=0", check=True)
    done = operator.inv("node.prepare", "--output", "json", timeout_s=RUN_S)
    assert done.exit_code == 0, done.stdout + done.stderr
    changed = {name for name, event in by_operation(done).items() if event["changed"]}
    assert changed == {
        "swap off",
        next(name for name in by_operation(done) if str(name).startswith("kernel modules ")),
        "sysctl 99-kubernetes",
    }
    Seen.on(bare).confirm(bare)


def test_after_a_power_failure_the_machine_is_still_prepared(
    bare: VirtualHost, prepared: Done
) -> None:
    assert prepared.exit_code == 0
    bare.exec("sync")
    bare.stop()
    assert bare.state() == "down"
    bare.start()
    Seen.on(bare).confirm(bare)


@pytest.fixture
def opened(bare: VirtualHost, prepared: Done) -> Iterator[Host]:
    assert prepared.exit_code == 0
    connector = SshConnector(
        Endpoint(
            name=NAME,
            address=bare.address,
            port=bare.port,
            user="root",
            private_key=str(bare.machine.private_key),
            known_hosts=str(bare.machine.known_hosts),
        )
    )
    connector.connect()
    try:
        yield Host.open(NAME, Session.open(connector.open), Catalogue([family]))
    finally:
        connector.close()


@pytest.mark.parametrize(
    "operation",
    [
        KernelModules(name="lab", modules=("dummy", "vxlan")),
        SysctlSettings(
            name="99-lab",
            values={
                "vm.swappiness": "10",
                # the kernel loads a module for it
                "net.ipv4.tcp_congestion_control": "bbr",
                "net.ipv4.conf.*.log_martians": "1",
            },
        ),
        SwapOff(),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_handlers_keep_their_promises_on_a_kernel_of_its_own(
    bare: VirtualHost, opened: Host, operation: KernelModules | SysctlSettings | SwapOff
) -> None:
    bare.exec("swapon", "/dev/vdb")
    watched = ("/etc", "/var/lib/kubexm")
    HandlerContract(host=opened, operation=operation, watched=watched).check()


def test_down_takes_a_machine_away_that_has_just_been_switched_on() -> None:
    require_virtual_machine()
    laboratory = Laboratory.unused()
    try:
        host = VirtualHost.fresh(laboratory)
        host.machine.start()
        while not host.is_running:
            time.sleep(0.05)
        command = host.machine.boot_command()
    finally:
        laboratory.down()
    assert host.state() == "down"
    assert not laboratory.directory.exists()
    groups = (root / f"kubexm-lab-{laboratory.number}" for root in cgroup.hierarchies())
    assert not [group for group in groups if group.exists()]
    disk = next(word for word in command if "disk.qcow2" in word)
    assert not [words for words in command_lines() if disk in words]


def command_lines() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield (process / "cmdline").read_bytes().decode("utf-8", "replace")
