"""The functions of kernel.sh under every shell, on a tree that looks like a host's root."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kubexm.shell import quote
from kubexm_linux.kernel import KERNEL
from tests.integration.shells import NAMES, Answer, Shell, make_shell, open_directory

pytestmark = pytest.mark.integration

NOBODY = 65_534
DEVNULL = Path(os.devnull)
RELEASE = os.uname().release
PATTERN = "(br[-_]netfilter|overlay|ip[-_]vs|xfs|none)"
MODULES = ("br_netfilter", "overlay", "ip_vs", "xfs", "none")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRoot:
    """A shell whose functions take a directory for the root of the host."""

    shell: Shell
    path: Path

    def call(self, function: str, *arguments: str) -> Answer:
        words = " ".join((function, *map(quote, arguments)))
        return self.shell.run(f"{KERNEL.text}\nkx_root={quote(str(self.path))}\n{words}")

    def lines(self, function: str, *arguments: str) -> list[str]:
        answer = self.call(function, *arguments)
        assert (answer.status, answer.stderr) == (0, "")
        return answer.stdout.decode().splitlines()

    def write(self, name: str, text: str = "") -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def program(self, name: str, text: str) -> FakeRoot:
        """The same with a program before those of the machine."""
        directory = self.path / "programs"
        directory.mkdir(exist_ok=True)
        program = directory / name
        program.write_text(f"#!/bin/sh\n{text}")
        program.chmod(0o755)
        return replace(self, shell=replace(self.shell, path=f"{directory}:{self.shell.path}"))


@pytest.fixture(params=NAMES)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> FakeRoot:
    path = tmp_path / "root"
    path.mkdir()
    return FakeRoot(shell=make_shell(request.param, tmp_path), path=path)


def systemd(root: FakeRoot) -> FakeRoot:
    """A root with a systemctl that knows nothing of this machine's manager."""
    real = shutil.which("systemctl")
    if real is None:
        pytest.skip("systemctl is not installed")
    root.write("usr/lib/systemd/system/swap.target", "[Unit]\n")
    refuse = f'case $1 in --root=*) exec {real} "$@" ;; esac; echo "asked for $*" >&2; exit 1\n'
    return root.program("systemctl", refuse)


def test_modules_are_told_apart(root: FakeRoot) -> None:
    root.write("proc/modules", "ip_vs 200704 6 ip_vs_rr, Live 0x0\noverlay 1 0 - Live 0x0\n")
    root.write("proc/filesystems", "nodev\tproc\n\txfs\nnodev\toverlay\n")
    root.write(f"lib/modules/{RELEASE}/modules.builtin", "kernel/net/bridge/br_netfilter.ko\n")
    root.write(
        f"lib/modules/{RELEASE}/modules.dep",
        "kernel/net/ipvs/ip_vs.ko.xz: kernel/net/nf_conntrack.ko.xz\n"
        "kernel/net/ipvs/ip_vs_rr.ko.xz: kernel/net/ipvs/ip_vs.ko.xz\n"
        "updates/overlay.ko:\n",
    )
    assert root.lines("kx_modules_state", PATTERN, *MODULES) == [
        "kernel modular",
        "builtin br_netfilter",
        "exists ip_vs",
        "exists overlay",
        "loaded ip_vs",
        "loaded overlay",
        "present overlay",
        "present xfs",
    ]


@pytest.mark.parametrize(
    ("module", "evidence"),
    [
        ("br_netfilter", "proc/sys/net/bridge/bridge-nf-call-iptables"),
        ("nf_conntrack", "proc/sys/net/netfilter/nf_conntrack_max"),
        ("ip_vs", "proc/net/ip_vs"),
        ("ip_tables", "proc/net/ip_tables_names"),
        ("ip6_tables", "proc/net/ip6_tables_names"),
        ("vxlan", "sys/module/vxlan/parameters/udp_port"),
    ],
)
def test_what_a_module_brings_shows_that_it_is_there(
    root: FakeRoot, module: str, evidence: str
) -> None:
    assert root.lines("kx_modules_state", f"({module})", module) == ["kernel fixed"]
    root.write(evidence)
    assert root.lines("kx_modules_state", f"({module})", module)[1:] == [f"present {module}"]


def test_kernel_without_its_modules_on_the_disk_is_noticed(root: FakeRoot) -> None:
    root.write("proc/modules")
    assert root.lines("kx_modules_state", "(overlay)", "overlay") == ["kernel orphaned"]


def test_lines_that_forbid_a_module_are_told_with_their_place(root: FakeRoot) -> None:
    root.write("etc/modprobe.d/a b.conf", "# blacklist overlay\n\n blacklist\toverlay\n")
    root.write("usr/lib/modprobe.d/x.conf", "install br-netfilter /bin/false\nblacklist overlay2\n")
    root.write("etc/modprobe.d/ignored", "blacklist overlay\n")
    (root.path / "etc/modprobe.d/null.conf").symlink_to("/dev/null")
    (root.path / "lib").symlink_to("usr/lib")
    assert root.lines("kx_modules_state", PATTERN, *MODULES)[1:] == [
        "conf /etc/modprobe.d/a b.conf",
        "3: blacklist\toverlay",
        "conf /etc/modprobe.d/null.conf",
        "conf /usr/lib/modprobe.d/x.conf",
        "1:install br-netfilter /bin/false",
    ]


def test_every_module_is_tried_and_one_that_fails_is_a_failure(root: FakeRoot) -> None:
    root = root.program("modprobe", 'echo "$@"; [ "$1" != bad ] || { echo no >&2; exit 1; }\n')
    assert root.lines("kx_modules_load", "overlay", "br_netfilter") == ["overlay", "br_netfilter"]
    answer = root.call("kx_modules_load", "bad", "overlay")
    assert (answer.status, answer.stdout, answer.stderr) == (1, b"bad\noverlay\n", "no\n")


def test_parameters_are_read_whole(root: FakeRoot) -> None:
    root.write("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n")
    root.write("proc/sys/net/ipv4/ip_local_reserved_ports", "\n")
    root.write("proc/sys/net/ipv4/conf/eth0.1/rp_filter", "0\n")
    root.write("proc/sys/net/ipv4/conf/lo/rp_filter", "1\n")
    found = root.lines(
        "kx_sysctl_state",
        "live",
        "net/ipv4/tcp_rmem",
        "net/ipv4/ip_local_reserved_ports",
        "net/ipv4/conf/*/rp_filter",
        "net/bridge/bridge-nf-call-iptables",
        "net/none/*/x",
    )
    assert found == [
        "absent net/bridge/bridge-nf-call-iptables",
        "absent net/none/*/x",
        "value net/ipv4/tcp_rmem:4096\t131072\t6291456",
        "value net/ipv4/ip_local_reserved_ports:",
        "value net/ipv4/conf/eth0.1/rp_filter:0",
        "value net/ipv4/conf/lo/rp_filter:1",
    ]


@needs_root
def test_what_a_container_cannot_set_is_told(root: FakeRoot) -> None:
    for directory in open_directory():
        open_root = replace(
            root,
            path=directory,
            shell=replace(
                root.shell, as_user=NOBODY, path="/usr/sbin:/usr/bin:/sbin:/bin", state=directory
            ),
        )
        fixed = open_root.write("proc/sys/vm/swappiness", "60\n")
        free = open_root.write("proc/sys/net/core/somaxconn", "4096\n")
        free.chmod(0o666)
        paths = ("vm/swappiness", "net/core/somaxconn")
        values = ["value vm/swappiness:60", "value net/core/somaxconn:4096"]
        found = open_root.lines("kx_sysctl_state", "container", *paths)
        assert found == ["fixed vm/swappiness", *values]
        assert open_root.lines("kx_sysctl_state", "live", *paths) == values
        assert (fixed.read_text(), free.read_text()) == ("60\n", "4096\n")


def test_files_of_parameters_are_listed_with_their_lines(root: FakeRoot) -> None:
    text = "# comment\n; another\n\n  net.ipv4.ip_forward = 0\n-vm.swappiness=1"
    root.write("etc/sysctl.conf", text)
    root.write("etc/sysctl.d/10-x.conf", "#\n")
    (root.path / "etc/sysctl.d/20-null.conf").symlink_to("/dev/null")
    (root.path / "etc/sysctl.d/30-nowhere.conf").symlink_to("nowhere")
    (root.path / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
    root.write("etc/sysctl.d/README", text)
    root.write("usr/lib/sysctl.d/50-default.conf", "a/b.c/d=1\n")
    lines = ["4:  net.ipv4.ip_forward = 0", "5:-vm.swappiness=1"]
    assert root.lines("kx_sysctl_files") == [
        "conf /etc/sysctl.d/10-x.conf",
        "conf /etc/sysctl.d/20-null.conf",
        "conf /etc/sysctl.d/99-sysctl.conf",
        *lines,
        "conf /usr/lib/sysctl.d/50-default.conf",
        "1:a/b.c/d=1",
        "conf /etc/sysctl.conf",
        *lines,
    ]


def test_parameters_of_ufw_count_while_it_is_enabled(root: FakeRoot) -> None:
    root.write("etc/ufw/sysctl.conf", "net/ipv4/ip_forward=0\n")
    root.write("etc/ufw/ufw.conf", "ENABLED=no\n")
    assert root.lines("kx_sysctl_files") == []
    root.write("etc/ufw/ufw.conf", "# set to yes\nENABLED=yes\n")
    found = root.lines("kx_sysctl_files")
    assert found == ["conf /etc/ufw/sysctl.conf", "1:net/ipv4/ip_forward=0"]


def test_only_parameters_that_differ_are_written(root: FakeRoot) -> None:
    same = root.write("proc/sys/net/ipv4/tcp_rmem", "1\t2\t3\n")
    other = root.write("proc/sys/net/ipv4/ip_forward", "0\n")
    before = same.stat().st_mtime_ns
    words = ("net/ipv4/tcp_rmem", "1 2 3", "net/ipv4/ip_forward", "1")
    assert root.lines("kx_sysctl_set", *words) == []
    assert (same.read_text(), same.stat().st_mtime_ns) == ("1\t2\t3\n", before)
    assert other.read_text() == "1\n"


def test_value_that_the_kernel_refuses_is_named_and_the_others_are_set(root: FakeRoot) -> None:
    (root.path / "proc/sys/vm/swappiness").mkdir(parents=True)
    good = root.write("proc/sys/kernel/panic", "0\n")
    answer = root.call("kx_sysctl_set", "vm/swappiness", "a b", "kernel/panic", "10")
    assert answer.status == 1
    assert "kubexm: the kernel does not take a b for vm/swappiness\n" in answer.stderr
    assert good.read_text() == "10\n"


def test_swap_in_use_is_listed_without_what_changes_by_itself(root: FakeRoot) -> None:
    head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
    assert root.lines("kx_swap_active") == []
    root.write("proc/swaps", head)
    assert root.lines("kx_swap_active") == []
    rows = "/swap\\040file                           file\t\t65532\t\t0\t\t-2\n"
    rows += "/dev/vda2                               partition\t\t65532\t\t12\t\t-3\n"
    root.write("proc/swaps", head + rows)
    assert root.lines("kx_swap_active") == ["active /dev/vda2", "active /swap\\040file"]


def test_units_are_told_by_what_brings_them(root: FakeRoot) -> None:
    root = systemd(root)
    install = "[Swap]\nWhat=/x\n[Install]\nWantedBy=swap.target\n"
    root.write("etc/systemd/system/on.swap", install)
    root.write("etc/systemd/system/off.swap", install)
    root.write("etc/systemd/system/by\\x2dhand.swap", "[Swap]\nWhat=/y\n")
    root.write("usr/lib/systemd/system/zramswap.service", "[Service]\nExecStart=true\n")
    wants = root.path / "etc/systemd/system/swap.target.wants"
    wants.mkdir()
    (wants / "on.swap").symlink_to("/etc/systemd/system/on.swap")
    (root.path / "etc/systemd/system/gone.swap").symlink_to("/dev/null")
    root.write("run/systemd/generator/tab.swap", "[Unit]\nSourcePath=/etc/fstab\n[Swap]\nWhat=/z\n")
    root.write("run/systemd/generator.late/gpt.swap", "[Swap]\nWhat=/z\n")
    assert root.lines("kx_swap_units") == [
        "unit by\\x2dhand.swap static",
        "unit gone.swap masked",
        "unit gpt.swap generated",
        "unit off.swap disabled",
        "unit on.swap enabled",
        "unit swap.target static",
        "unit tab.swap fstab",
        "unit zramswap.service static",
    ]


def test_unit_is_masked_and_what_was_there_is_kept(root: FakeRoot) -> None:
    own = root.write("etc/systemd/system/own.swap", "[Swap]\nWhat=/x\n")
    assert root.lines("kx_mask", "own.swap", "dev-a\\x2db.swap") == []
    directory = root.path / "etc/systemd/system"
    for name in ("own.swap", "dev-a\\x2db.swap"):
        assert (directory / name).readlink() == DEVNULL
    kept = root.shell.kept()
    assert (kept[str(own)] / "original").read_text() == "[Swap]\nWhat=/x\n"
    assert kept[str(directory / "dev-a\\x2db.swap")].name.startswith("absent")
    assert root.lines("kx_mask", "own.swap") == []
    assert sorted(each.name for each in directory.iterdir()) == ["dev-a\\x2db.swap", "own.swap"]


def test_what_the_gpt_generator_brings_after_fstab_is_masked(root: FakeRoot) -> None:
    root = systemd(root)
    refuse = (root.path / "programs/systemctl").read_text().removeprefix("#!/bin/sh\n")
    unit = root.path / "run/systemd/generator.late/dev-vda2.swap"
    reload = (
        f"if [ \"$1\" = daemon-reload ]; then mkdir -p '{unit.parent}'; "
        f"printf '[Swap]\\nWhat=/dev/vda2\\n' >'{unit}'; exit 0; fi\n"
    )
    root = root.program("systemctl", reload + refuse)
    assert root.lines("kx_swap_reload") == []
    assert (root.path / "etc/systemd/system/dev-vda2.swap").readlink() == DEVNULL
    assert root.lines("kx_swap_units") == ["unit dev-vda2.swap masked", "unit swap.target static"]


def test_failing_reload_is_a_failure(root: FakeRoot) -> None:
    answer = systemd(root).call("kx_swap_reload")
    assert (answer.status, answer.stderr) == (1, "asked for daemon-reload\n")


def test_first_main_file_of_zram_generator_and_all_drop_ins_count(root: FakeRoot) -> None:
    root.write("usr/lib/systemd/zram-generator.conf", "# defaults\n[zram0]\nzram-size = ram\n")
    assert root.lines("kx_swap_zram") == ["zram /usr/lib/systemd/zram-generator.conf"]
    root.write("etc/systemd/zram-generator.conf.d/x y.conf", "[zram1]\n mount-point = /var/tmp\n")
    root.write("etc/systemd/zram-generator.conf", "# none\n")
    assert root.lines("kx_swap_zram") == [
        "zram /etc/systemd/zram-generator.conf.d/x y.conf",
        "mount /etc/systemd/zram-generator.conf.d/x y.conf",
    ]


def test_short_file_is_written_with_its_mode(root: FakeRoot) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes files of root")
    assert root.lines("kx_write", "/etc/systemd/x.conf", "# 100 %s\\n\n") == []
    path = root.path / "etc/systemd/x.conf"
    assert path.read_text() == "# 100 %s\\n\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_state_of_a_file_follows_its_size(root: FakeRoot) -> None:
    root.write("etc/fstab", "no newline")
    answer = root.call("kx_sized_state", "/etc/fstab", "100")
    size, _, state = answer.stdout.partition(b"\n")
    assert (answer.status, int(size)) == (0, len(state))
    assert state.endswith(b"\nno newline")
    absent = root.lines("kx_sized_state", "/etc/none", "100")
    assert absent == [str(len("absent\n")), "absent"]


def test_swapoff_that_fails_says_what_helps(root: FakeRoot) -> None:
    root = root.program("swapoff", 'echo "swapoff $*: Cannot allocate memory" >&2; exit 255\n')
    answer = root.call("kx_swapoff")
    assert answer.status == 1
    assert answer.stderr.splitlines() == [
        "swapoff -a: Cannot allocate memory",
        "kubexm: swap is still in use; after a reboot it will not be",
    ]
