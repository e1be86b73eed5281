from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.errors import HostError, UnmetError
from kubexm.runner.operations import SysctlSettings
from kubexm.runner.operations.kernel import parameter_path
from kubexm_linux.parameter import SysctlState
from kubexm_linux.sysctl import KernelParameters
from kubexm_linux.sysctl_file import at_boot, in_order, is_same, parse
from tests.unit.plugins.kernel_replies import CONTAINER, IMAGE, LIVE, answer, made

if TYPE_CHECKING:
    from kubexm.facts import Facts

HANDLER = KernelParameters()
OP = SysctlSettings(
    name="99-kubernetes",
    values={
        "net.bridge.bridge-nf-call-iptables": "1",
        "net.ipv4.ip_forward": "1",
        "net.ipv4.tcp_rmem": "4096  131072\t6291456",
        "fs.inotify.max_user_instances": "8192",
        "fs.may_detach_mounts": "1",
    },
    at_least=frozenset({"fs.inotify.max_user_instances"}),
    optional=frozenset({"fs.may_detach_mounts"}),
)
LINES = (
    "net.ipv4.ip_forward = 1",
    "net.bridge.bridge-nf-call-iptables = 1",
    "net.ipv4.tcp_rmem = 4096 131072 6291456",
    "fs.inotify.max_user_instances = 8192",
)
# Debian 12 in a virtual machine, br_netfilter loaded
VALUES = (
    "absent fs/may_detach_mounts",
    "value net/bridge/bridge-nf-call-iptables:1",
    "value net/ipv4/ip_forward:0",
    "value net/ipv4/tcp_rmem:4096\t131072\t6291456",
    "value fs/inotify/max_user_instances:128",
)
READY = tuple(
    line.replace("ip_forward:0", "ip_forward:1").replace("instances:128", "instances:8192")
    for line in VALUES
)
FILES = (
    "conf /etc/sysctl.d/99-sysctl.conf",
    "conf /usr/lib/sysctl.d/50-pid-max.conf",
    "9:kernel.pid_max = 4194304",
    "conf /usr/lib/sysctl.d/99-protect-links.conf",
    "6:fs.protected_fifos = 1",
    "conf /etc/sysctl.conf",
)


def read(
    *lines: str, file: str | None = None, op: SysctlSettings = OP, facts: Facts = LIVE
) -> SysctlState:
    return HANDLER.read(op, answer(*FILES, *lines, file=file), facts)


def one(value: str = "1", key: str = "net.ipv4.ip_forward", name: str = "50-x") -> SysctlSettings:
    return SysctlSettings(name=name, values={key: value})


def rivals(op: SysctlSettings, *lines: str, value: str = "1", facts: Facts = LIVE) -> str:
    """What a read says about other files."""
    reply = answer(*lines, *(f"value {parameter_path(key)}:{value}" for key in op.values))
    try:
        HANDLER.read(op, reply, facts)
    except UnmetError as error:
        return str(error).partition(": ")[2]
    return ""


def test_what_differs_is_set_with_all_others_and_then_written_down() -> None:
    change = HANDLER.change(OP, read(*VALUES), LIVE)
    assert change is not None
    assert change.script.text == (
        "kx_sysctl_set net/ipv4/ip_forward 1 net/bridge/bridge-nf-call-iptables 1 "
        "net/ipv4/tcp_rmem '4096 131072 6291456' fs/inotify/max_user_instances 8192\n"
        "kx_status=$?; [ $kx_status = 0 ] || exit $kx_status\n"
        "kx_replace /etc/sysctl.d/99-kubernetes.conf 644 root root"
    )
    assert change.script.payload == made(*LINES).encode()
    assert change.diff.startswith(
        "--- /proc/sys\n"
        "+++ /proc/sys\n"
        "-net.ipv4.ip_forward = 0\n"
        "+net.ipv4.ip_forward = 1\n"
        "-fs.inotify.max_user_instances = 128\n"
        "+fs.inotify.max_user_instances = 8192\n"
        "--- /dev/null\n"
        "+++ /etc/sysctl.d/99-kubernetes.conf\n"
    )
    assert HANDLER.change(OP, change.after, LIVE) is None


def test_host_that_is_so_is_left_alone() -> None:
    state = read(*READY, file=made(*LINES))
    assert HANDLER.change(OP, state, LIVE) is None
    assert HANDLER.notes(OP, state, LIVE) == (
        "sysctl fs.may_detach_mounts: left out, because this kernel has none",
    )


def test_higher_value_than_the_minimum_stays_and_survives_a_reboot() -> None:
    higher = tuple(line.replace("instances:8192", "instances:65536") for line in READY)
    change = HANDLER.change(OP, read(*higher, file=made(*LINES)), LIVE)
    assert change is not None
    assert change.script.text.startswith("kx_replace ")
    assert b"fs.inotify.max_user_instances = 65536\n" in (change.script.payload or b"")
    assert HANDLER.change(OP, change.after, LIVE) is None


def test_minimum_of_what_is_no_number_is_an_error() -> None:
    op = SysctlSettings(
        name="x", values={"net.ipv4.tcp_rmem": "4096"}, at_least=frozenset({"net.ipv4.tcp_rmem"})
    )
    with pytest.raises(HostError, match="cannot have a minimum"):
        read("value net/ipv4/tcp_rmem:4096\t131072\t6291456", op=op)


def test_parameter_that_a_pending_module_may_bring_is_predicted() -> None:
    missing = (*READY[:1], "absent net/bridge/bridge-nf-call-iptables", *READY[2:])
    with pytest.raises(UnmetError, match=r"no parameter net\.bridge\.bridge-nf-call-ip") as caught:
        read(*missing)
    assert "br_netfilter" in caught.value.hint
    assumed = caught.value.assumed
    assert isinstance(assumed, SysctlState)
    change = HANDLER.change(OP, assumed, LIVE)
    assert change is not None
    assert "\n+net.bridge.bridge-nf-call-iptables = 1\n" in change.diff


def test_parameter_that_cannot_be_read_has_no_state() -> None:
    with pytest.raises(HostError, match=r"net\.ipv4\.route\.flush is there and cannot be read"):
        read(op=one(key="net.ipv4.route.flush"))


def test_container_sets_its_own_network_and_says_what_it_does_not_set() -> None:
    op = SysctlSettings(
        name="x",
        values={
            "net.ipv4.ip_forward": "1",
            "net.core.rmem_max": "1",
            "vm.swappiness": "1",
            "kernel.panic": "10",
            "net.bridge.bridge-nf-call-iptables": "1",
        },
    )
    # recorded in a laboratory host: systemd-nspawn, net.* writable, but for what is not
    # namespaced; vm/swappiness as in a privileged container, where it can be written
    state = read(
        "fixed net/core/rmem_max",
        "fixed kernel/panic",
        "absent net/bridge/bridge-nf-call-iptables",
        "value net/ipv4/ip_forward:0",
        "value net/core/rmem_max:212992",
        "value vm/swappiness:60",
        "value kernel/panic:10",
        op=op,
        facts=CONTAINER,
    )
    change = HANDLER.change(op, state, CONTAINER)
    assert change is not None
    assert change.script.text.startswith("kx_sysctl_set net/ipv4/ip_forward 1\n")
    assert len((change.script.payload or b"").splitlines()) == 1 + len(op.values)
    unset = "net.bridge.bridge-nf-call-iptables, net.core.rmem_max, vm.swappiness"
    assert HANDLER.notes(op, state, CONTAINER) == (
        f"sysctl {unset}: not set at run time in a container",
    )


def test_image_gets_only_the_file() -> None:
    assert "kx_sysctl_state" not in HANDLER.probe(OP, IMAGE).text
    state = read(facts=IMAGE)
    change = HANDLER.change(OP, state, IMAGE)
    assert change is not None
    assert change.script.text.startswith("kx_replace ")
    assert change.script.payload == made(*LINES, "fs.may_detach_mounts = 1").encode()
    assert HANDLER.notes(OP, state, IMAGE) == ("sysctl 99-kubernetes: set when the image boots",)


def test_pattern_stands_for_every_interface() -> None:
    op = one(key="net.ipv4.conf.*.rp_filter", value="0")
    state = read(
        "value net/ipv4/conf/all/rp_filter:2",
        "value net/ipv4/conf/eth0.1/rp_filter:2",
        "value net/ipv4/conf/lo/rp_filter:0",
        op=op,
    )
    change = HANDLER.change(op, state, LIVE)
    assert change is not None
    assert change.diff.startswith(
        "--- /proc/sys\n"
        "+++ /proc/sys\n"
        "-net.ipv4.conf.all.rp_filter = 2\n"
        "+net.ipv4.conf.all.rp_filter = 0\n"
        "-net/ipv4/conf/eth0.1/rp_filter = 2\n"
        "+net/ipv4/conf/eth0.1/rp_filter = 0\n"
    )
    assert change.script.payload == made("net.ipv4.conf.*.rp_filter = 0").encode()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        # nothing, or the same
        ([], ""),
        (["conf /etc/sysctl.d/60-y.conf", "1:net.ipv4.ip_forward = 1"], ""),
        (["conf /etc/sysctl.d/60-y.conf", "1:net.ipv4.conf.all.forwarding = 0"], ""),
        # earlier files are overridden, wherever they are
        (["conf /etc/sysctl.d/10-y.conf", "1:net.ipv4.ip_forward = 0"], ""),
        (["conf /run/sysctl.d/10-y.conf", "1:net.ipv4.ip_forward = 0"], ""),
        # later ones count, wherever they are
        (
            ["conf /usr/lib/sysctl.d/60-y.conf", "7:net/ipv4/ip_forward=0"],
            "/usr/lib/sysctl.d/60-y.conf:7 sets net.ipv4.ip_forward to 0",
        ),
        (
            ["conf /run/sysctl.d/60-y.conf", "1:-net.ipv4.ip_forward = 0"],
            "/run/sysctl.d/60-y.conf:1 sets net.ipv4.ip_forward to 0",
        ),
        (
            ["conf /etc/sysctl.d/60-y.conf", "1:-net.ipv4.ip_forward"],
            "/etc/sysctl.d/60-y.conf:1 leaves net.ipv4.ip_forward unset",
        ),
        (
            ["conf /etc/sysctl.d/60-y.conf", "1:net.ipv4.ip_forward = "],
            "/etc/sysctl.d/60-y.conf:1 sets net.ipv4.ip_forward to nothing",
        ),
        # of all later ones the last has the last word
        (
            [
                "conf /etc/sysctl.d/60-y.conf",
                "1:net.ipv4.ip_forward = 0",
                "2:net.ipv4.ip_forward = 1",
            ],
            "",
        ),
        (
            [
                "conf /etc/sysctl.d/60-y.conf",
                "1:net.ipv4.ip_forward = 1",
                "conf /usr/lib/sysctl.d/70-z.conf",
                "1:net.ipv4.ip_forward = 2",
            ],
            "/usr/lib/sysctl.d/70-z.conf:1 sets net.ipv4.ip_forward to 2",
        ),
        # a file of the same name in a directory of lower rank is hidden, also by an empty one
        (
            [
                "conf /etc/sysctl.d/60-y.conf",
                "conf /usr/lib/sysctl.d/60-y.conf",
                "1:net.ipv4.ip_forward = 0",
            ],
            "",
        ),
        (
            [
                "conf /run/sysctl.d/60-y.conf",
                "1:net.ipv4.ip_forward = 0",
                "conf /lib/sysctl.d/60-y.conf",
            ],
            "/run/sysctl.d/60-y.conf:1 sets net.ipv4.ip_forward to 0",
        ),
        (["conf /usr/lib/sysctl.d/50-x.conf", "1:net.ipv4.ip_forward = 0"], ""),
        # the drop-in file's own old content does not count
        (["conf /etc/sysctl.d/50-x.conf", "1:net.ipv4.ip_forward = 0"], ""),
        # /etc/sysctl.conf comes last for procps; Debian 12 has a link to it
        (
            [
                "conf /etc/sysctl.d/99-sysctl.conf",
                "28:net.ipv4.ip_forward=0",
                "conf /etc/sysctl.conf",
                "28:net.ipv4.ip_forward=0",
            ],
            "/etc/sysctl.conf:28 sets net.ipv4.ip_forward to 0",
        ),
        (
            ["conf /etc/ufw/sysctl.conf", "8:net/ipv4/ip_forward=0"],
            "/etc/ufw/sysctl.conf:8 sets net.ipv4.ip_forward to 0",
        ),
        # a pattern never wins over a key
        (["conf /etc/sysctl.d/60-y.conf", "1:net.ipv4.* = 0"], ""),
        (["conf /etc/sysctl.d/60-y.conf", "1:not an assignment", "2:="], ""),
    ],
)
def test_file_that_has_the_last_word_at_boot_is_named(files: list[str], told: str) -> None:
    for facts in (LIVE, CONTAINER):
        assert rivals(one(), *files, facts=facts) == told


def test_error_about_another_file_assumes_that_it_is_put_right() -> None:
    files = ("conf /etc/sysctl.d/60-y.conf", "1:net.ipv4.ip_forward = 0")
    with pytest.raises(UnmetError) as caught:
        HANDLER.read(one(), answer(*files, "value net/ipv4/ip_forward:0"), LIVE)
    assert caught.value.message.startswith("sysctl 50-x would not survive a reboot: ")
    assert isinstance(caught.value.assumed, SysctlState)
    assert HANDLER.change(one(), caught.value.assumed, LIVE) is not None


def test_minimum_may_be_exceeded_by_a_later_file() -> None:
    key = "fs.inotify.max_user_instances"
    op = SysctlSettings(name="50-x", values={key: "10"}, at_least=frozenset({key}))
    later = "conf /etc/sysctl.d/60-y.conf"
    assert rivals(op, later, f"1:{key} = 99", value="10") == ""
    assert rivals(op, later, f"1:{key} = 50", value="99") == ""
    told = f"/etc/sysctl.d/60-y.conf:1 sets {key} to 9"
    assert rivals(op, later, f"1:{key} = 9", value="10") == told


def test_key_of_another_file_wins_over_a_pattern_of_ours() -> None:
    op = one(key="net.ipv4.conf.*.rp_filter", value="0")
    # what systemd's own 50-default.conf says; Debian leaves that file out
    vendor = (
        "conf /usr/lib/sysctl.d/50-default.conf",
        "26:net.ipv4.conf.default.rp_filter = 2",
        "27:net.ipv4.conf.*.rp_filter = 2",
        "28:-net.ipv4.conf.all.rp_filter",
    )
    values = (f"value net/ipv4/conf/{name}/rp_filter:0" for name in ("all", "default", "eth0"))
    with pytest.raises(UnmetError) as caught:
        HANDLER.read(op, answer(*vendor, *values), LIVE)
    assert str(caught.value).partition(": ")[2] == (
        "/usr/lib/sysctl.d/50-default.conf:28 leaves net.ipv4.conf.all.rp_filter unset; "
        "/usr/lib/sysctl.d/50-default.conf:26 sets net.ipv4.conf.default.rp_filter to 2"
    )


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
        ("net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
        ("kernel", "kernel"),
    ],
)
def test_first_separator_says_what_the_others_mean(key: str, path: str) -> None:
    assert parameter_path(key) == path


def test_switches_that_reset_others_come_first_in_the_file() -> None:
    values = {
        "net.ipv4.conf.all.accept_redirects": "0",
        "net.ipv6.conf.all.forwarding": "1",
        "net.ipv4.ip_forward": "1",
    }
    change = HANDLER.change(SysctlSettings(name="x", values=values), read(facts=IMAGE), IMAGE)
    assert change is not None
    assert (
        change.script.payload
        == made(
            "net.ipv6.conf.all.forwarding = 1",
            "net.ipv4.ip_forward = 1",
            "net.ipv4.conf.all.accept_redirects = 0",
        ).encode()
    )


@pytest.mark.parametrize(
    ("one_value", "other"),
    [
        ("4096 131072\t6291456", "4096\t131072 6291456"),
        ("30000-32767,8080", "8080,30000-32767"),
        ("1,2,3,5-6", "1-3,5-6"),
        ("5-9,1-6", "1-9"),
        ("7-7", "7"),
        ("", "\t"),
    ],
)
def test_values_that_mean_the_same_are_the_same(one_value: str, other: str) -> None:
    assert is_same(one_value, other)


@pytest.mark.parametrize(("one_value", "other"), [("1", "2"), ("1 2", "12"), ("1-2", "1,3")])
def test_values_that_differ_differ(one_value: str, other: str) -> None:
    assert not is_same(one_value, other)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9)), min_size=1, max_size=6))
def test_port_ranges_are_the_same_when_their_ports_are(spans: list[tuple[int, int]]) -> None:
    text = ",".join(f"{first}-{first + more}" for first, more in spans)
    ports = {port for first, more in spans for port in range(first, first + more + 1)}
    assert is_same(text, ",".join(map(str, sorted(ports))))
    assert not is_same(text, ",".join(map(str, sorted(ports | {200}))))


@given(st.text(max_size=30))
def test_any_line_is_parsed_or_ignored(text: str) -> None:
    setting = parse(text, "f:1")
    assert setting is None or (setting.path and not setting.path.startswith("/"))
    assert at_boot(
        "net/ipv4/ip_forward", in_order({"/etc/sysctl.conf": ((1, text),)}, "/x", "")
    ) in (
        None,
        setting,
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"values": {"net.ipv4.ip_forward": "1", "net/ipv4/ip_forward": "0"}},
        {"values": {"a.b": "1"}, "at_least": frozenset({"a.c"})},
        {"values": {"a.b": "1"}, "optional": frozenset({"a.c"})},
        {"values": {"a.b": "x"}, "at_least": frozenset({"a.b"})},
        {"values": {"a.*.b": "1"}, "at_least": frozenset({"a.*.b"})},
        {"values": {"a..b": "1"}},
        {"values": {"../b": "1"}},
        {"values": {"a.b": "1\n2"}},
    ],
)
def test_settings_that_contradict_themselves_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"parameter|minimum|value"):
        SysctlSettings(name="x", **fields)  # type: ignore[arg-type] # that is what is tried
