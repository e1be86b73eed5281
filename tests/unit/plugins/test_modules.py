from __future__ import annotations

from dataclasses import replace

import pytest

from kubexm.errors import HostError, UnmetError
from kubexm.facts import OperatingSystem
from kubexm.runner.operations import KernelModules
from kubexm.shell import Reply
from kubexm_linux.modules import KernelModuleLists, ModulesState, Presence
from tests.unit.plugins.kernel_replies import CONTAINER, IMAGE, LIVE, answer, made

OP = KernelModules(name="kubernetes", modules=("overlay", "br-netfilter"))
FILE = made("overlay", "br-netfilter")
HANDLER = KernelModuleLists()

# Debian 12, linux-image-cloud-amd64, in a virtual machine
VM = ("kernel modular", "exists br_netfilter", "exists overlay")
# a laboratory host: systemd-nspawn on a kernel that was built without loadable modules
NSPAWN = ("kernel fixed", "present br_netfilter", "present overlay")


def read(*lines: str, file: str | None = None) -> ModulesState:
    return HANDLER.read(OP, answer(*lines, file=file), LIVE)


def test_probe_asks_for_each_module_once_under_the_kernels_name() -> None:
    probe = HANDLER.probe(OP, LIVE)
    assert "kx_modules_state '(overlay|br[-_]netfilter)' overlay br_netfilter\n" in probe.text
    assert [library.name for library in probe.libraries] == ["kernel", "state"]


def test_modules_are_loaded_before_the_file_is_written() -> None:
    state = read(*VM)
    change = HANDLER.change(OP, state, LIVE)
    assert change is not None
    assert change.script.text == (
        "kx_modules_load overlay br-netfilter\n"
        "kx_status=$?; [ $kx_status = 0 ] || exit $kx_status\n"
        "kx_replace /etc/modules-load.d/kubernetes.conf 644 root root"
    )
    assert change.script.payload == FILE.encode()
    assert change.diff == (
        "--- kernel modules\n"
        "+++ kernel modules\n"
        "-overlay: not loaded\n"
        "+overlay: loaded\n"
        "-br-netfilter: not loaded\n"
        "+br-netfilter: loaded\n"
        "--- /dev/null\n"
        "+++ /etc/modules-load.d/kubernetes.conf\n"
        "@@ -0,0 +1,3 @@\n"
        "+# Made by kubexm, which undoes other changes to this file.\n"
        "+overlay\n"
        "+br-netfilter\n"
        "+type: file\n"
        "+mode: 0644\n"
        "+owner: root\n"
        "+group: root\n"
    )
    assert HANDLER.change(OP, change.after, LIVE) is None


@pytest.mark.parametrize("word", ["loaded", "builtin", "present"])
def test_module_that_is_there_in_whatever_way_is_not_loaded_again(word: str) -> None:
    state = read("kernel modular", f"{word} overlay", f"{word} br_netfilter", file=FILE)
    assert HANDLER.change(OP, state, LIVE) is None


def test_only_what_is_missing_is_loaded() -> None:
    state = read("kernel modular", "loaded overlay", "exists br_netfilter", file=FILE)
    change = HANDLER.change(OP, state, LIVE)
    assert change is not None
    assert change.script.text == "kx_modules_load br-netfilter"
    assert state.modules == {"overlay": Presence.LOADED, "br-netfilter": Presence.AVAILABLE}


@pytest.mark.parametrize(
    ("os", "package"),
    [
        (OperatingSystem(id="rocky", id_like=("rhel", "centos", "fedora")), "kernel-modules-extra"),
        (OperatingSystem(id="linuxmint", id_like=("ubuntu", "debian")), "linux-modules-extra"),
        (OperatingSystem(id="debian"), "linux-image without -cloud"),
        (OperatingSystem(id="opensuse-leap", id_like=("suse", "opensuse")), "kernel-default"),
        (OperatingSystem(id="arch"), "the package with more of its modules"),
    ],
)
def test_module_that_this_kernel_lacks_is_named_with_what_brings_it(
    os: OperatingSystem, package: str
) -> None:
    reply = answer("kernel modular", "loaded overlay")
    with pytest.raises(UnmetError, match=r"no kernel module br-netfilter for 6\.1\.0") as caught:
        HANDLER.read(OP, reply, replace(LIVE, os=os))
    assert package in caught.value.hint
    change = HANDLER.change(OP, _state(caught.value), LIVE)
    assert change is not None
    assert "+br-netfilter: loaded\n" in change.diff


def test_modules_of_a_kernel_that_was_replaced_want_a_reboot() -> None:
    with pytest.raises(UnmetError) as caught:
        read("kernel orphaned", "loaded overlay")
    assert caught.value.hint == (
        "/lib/modules/6.1.0-41-cloud-amd64 is gone: reboot into the kernel that is installed"
    )


def test_kernel_that_loads_no_modules_must_have_them_built_in() -> None:
    assert HANDLER.change(OP, read(*NSPAWN, file=FILE), LIVE) is None
    with pytest.raises(HostError, match=r"loads no modules and was built without br-netfilter"):
        read("kernel fixed", "present overlay")


@pytest.mark.parametrize(
    ("line", "forbids"),
    [
        ("blacklist overlay", True),
        ("  blacklist\toverlay", True),
        ("blacklist overlay # CIS 1.1.1.6", True),
        ("install overlay /bin/false", True),
        ("install overlay /usr/bin/true", True),
        ("install overlay false # CIS 1.1.1.6", True),
        ("install overlay /sbin/modprobe --ignore-install overlay && /bin/true", False),
        ("blacklist xfs", False),
    ],
)
def test_line_of_modprobe_that_forbids_a_module_is_an_error_with_its_place(
    line: str, *, forbids: bool
) -> None:
    lines = ("kernel modular", "loaded overlay", "loaded br_netfilter")
    conf = ("conf /etc/modprobe.d/cis.conf", f"12:{line}")
    if not forbids:
        assert read(*lines, *conf).forbidden == {}
        return
    with pytest.raises(UnmetError) as caught:
        read(*lines, *conf)
    assert f"/etc/modprobe.d/cis.conf:12: {line.strip()}" in str(caught.value)
    assert _state(caught.value).forbidden == {}


def test_file_of_the_same_name_hides_a_vendors_line() -> None:
    vendor = ("conf /usr/lib/modprobe.d/x.conf", "1:blacklist overlay")
    lines = ("kernel modular", "loaded overlay", "loaded br_netfilter")
    assert read(*lines, "conf /etc/modprobe.d/x.conf", *vendor).forbidden == {}
    with pytest.raises(UnmetError):
        read(*lines, "conf /etc/modprobe.d/y.conf", *vendor)


def test_nothing_forbids_what_is_built_in() -> None:
    conf = ("conf /etc/modprobe.d/cis.conf", "1:install br_netfilter /bin/true")
    assert read("kernel modular", "builtin br_netfilter", "loaded overlay", *conf).forbidden == {}


def test_container_gets_the_file_and_a_note() -> None:
    reply = answer("kernel modular", "loaded overlay", "exists br_netfilter")
    state = HANDLER.read(OP, reply, CONTAINER)
    change = HANDLER.change(OP, state, CONTAINER)
    assert change is not None
    assert change.script.text.startswith("kx_replace ")
    assert HANDLER.notes(OP, state, CONTAINER) == (
        "kernel modules br-netfilter: not loaded from a container",
    )
    there = replace(state, modules={"overlay": Presence.LOADED, "br-netfilter": Presence.BUILT_IN})
    assert HANDLER.notes(OP, there, CONTAINER) == ()


def test_image_is_not_asked_about_a_kernel() -> None:
    assert "kx_modules_state" not in HANDLER.probe(OP, IMAGE).text
    state = HANDLER.read(OP, answer(), IMAGE)
    change = HANDLER.change(OP, state, IMAGE)
    assert change is not None
    assert change.script.text.startswith("kx_replace ")
    assert HANDLER.change(OP, change.after, IMAGE) is None
    assert HANDLER.notes(OP, state, IMAGE) == (
        "kernel modules overlay, br-netfilter: loaded when the image boots",
    )


def test_probe_that_failed_is_an_error() -> None:
    reply = Reply(exit_status=127, stderr=b"sh: grep: not found\n")
    with pytest.raises(HostError, match="grep: not found"):
        HANDLER.read(OP, reply, LIVE)


@pytest.mark.parametrize("modules", [(), ("br_netfilter", "br-netfilter"), ("-a",), ("a b",)])
def test_list_that_means_nothing_is_refused(modules: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="module"):
        KernelModules(name="kubernetes", modules=modules)


def _state(error: UnmetError) -> ModulesState:
    assert isinstance(error.assumed, ModulesState)
    return error.assumed
