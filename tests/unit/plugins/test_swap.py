from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from kubexm.errors import HostError
from kubexm.facts import Init
from kubexm.runner.operations import SwapOff
from kubexm.shell import Reply
from kubexm_linux.fstab import MARK, is_swap, without_swap
from kubexm_linux.swap import ZRAM_CONF, NoSwap, SwapState
from tests.unit.plugins.kernel_replies import CONTAINER, IMAGE, LIVE, file_state, made
from tests.unit.plugins.texts import texts

OP = SwapOff()
HANDLER = NoSwap()
FSTAB = "/dev/vda1 / ext4 defaults 0 1\n/dev/vda2\tnone swap\tsw 0 0\n"
WITHOUT = f"/dev/vda1 / ext4 defaults 0 1\n{MARK}/dev/vda2\tnone swap\tsw 0 0\n"
VENDOR_ZRAM = "/usr/lib/systemd/zram-generator.conf"

swap_texts = texts(
    "/dev/sda2 none swap sw 0 0",
    "\tUUID=x\tswap\tswap\tdefaults",
    "/dev/sda2 none swap",
    "/dev/sda1 / ext4 defaults 0 1",
    "# /dev/sda2 none swap sw",
    "#/dev/sda2 none swap sw",
    "swap swap ext4 swap",
    f"{MARK}/dev/sda2 none swap sw 0 0",
    "/dev/sda2\u2003none swap sw",
)


def answer(*lines: str, fstab: str | None = FSTAB, zram: str | None = None) -> Reply:
    head = "".join(f"{line}\n" for line in (*lines, "file"))
    states = (file_state(fstab), file_state(zram))
    sized = "".join(f"{len(state.encode())}\n{state}" for state in states)
    return Reply(exit_status=0, stdout=(head + sized).encode())


# Debian 12 in a virtual machine: a swap partition on a GPT disk, and a swap file
VM = (
    "active /dev/vda2",
    "active /swapfile",
    "unit dev-vda2.swap fstab",
    "unit swap.target static",
    "unit swapfile.swap fstab",
)
OFF = ("unit swap.target masked",)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        (FSTAB, WITHOUT),
        (WITHOUT, WITHOUT),
        ("/swap none swap sw", f"{MARK}/swap none swap sw"),
        (" /swap none swap\r\n", f"{MARK} /swap none swap\r\n"),
        ("/swap none swap noauto 0 0\n", f"{MARK}/swap none swap noauto 0 0\n"),
        ("#/swap none swap sw\n", "#/swap none swap sw\n"),
        (" # /swap none swap\n", " # /swap none swap\n"),
        ("/dev/sda1 /swap ext4 swap\n", "/dev/sda1 /swap ext4 swap\n"),
        ("swap none\n", "swap none\n"),
    ],
)
def test_lines_for_swap_become_comments(before: str, after: str) -> None:
    assert without_swap(before) == after


@given(swap_texts)
def test_every_other_byte_of_fstab_stays(text: str) -> None:
    after = without_swap(text)
    assert without_swap(after) == after
    pairs = list(zip(text.split("\n"), after.split("\n"), strict=True))
    for old, new in pairs:
        assert new == (f"{MARK}{old}" if is_swap(old) else old)
        assert not is_swap(new)


def test_everything_that_brings_swap_is_turned_off_and_swapoff_comes_last() -> None:
    change = HANDLER.change(OP, HANDLER.read(OP, answer(*VM), LIVE), LIVE)
    assert change is not None
    assert change.script.text.splitlines() == [
        "kx_replace /etc/fstab 644",
        "kx_status=$?; [ $kx_status = 0 ] || exit $kx_status",
        "kx_mask swap.target",
        "kx_status=$?; [ $kx_status = 0 ] || exit $kx_status",
        "kx_swap_reload",
        "kx_status=$?; [ $kx_status = 0 ] || exit $kx_status",
        "kx_swapoff",
    ]
    assert change.script.payload == WITHOUT.encode()
    assert change.script.deadline_s == OP.deadline_s
    assert change.alters_facts
    assert change.diff == (
        "--- swap\n"
        "+++ swap\n"
        "-/dev/vda2: in use\n"
        "-/swapfile: in use\n"
        "--- swap units\n"
        "+++ swap units\n"
        "-dev-vda2.swap: fstab\n"
        "-swap.target: static\n"
        "+swap.target: masked\n"
        "-swapfile.swap: fstab\n"
        "--- /etc/fstab\n"
        "+++ /etc/fstab\n"
        "@@ -1,2 +1,2 @@\n"
        " /dev/vda1 / ext4 defaults 0 1\n"
        "-/dev/vda2\tnone swap\tsw 0 0\n"
        "+# kubexm: /dev/vda2\tnone swap\tsw 0 0\n"
    )
    assert HANDLER.change(OP, change.after, LIVE) is None


def test_host_without_swap_is_left_alone() -> None:
    state = HANDLER.read(OP, answer(*OFF, fstab=WITHOUT), LIVE)
    assert HANDLER.change(OP, state, LIVE) is None
    assert HANDLER.notes(OP, state, LIVE) == ()


def test_swap_that_came_back_is_turned_off_and_nothing_else_is_touched() -> None:
    state = HANDLER.read(OP, answer("active /dev/vda2", *OFF, fstab=WITHOUT), LIVE)
    change = HANDLER.change(OP, state, LIVE)
    assert change is not None
    assert change.script.text == "kx_swapoff"


@pytest.mark.parametrize(
    ("unit", "state", "after"),
    [
        ("dev-vda2.swap", "generated", "masked"),
        ("dev-zram0.swap", "generated", "masked"),
        ("own.swap", "static", "masked"),
        ("own.swap", "masked-runtime", "masked"),
        ("own.swap", "linked", "masked"),
        ("own.swap", "enabled", "disabled"),
        ("own.swap", "disabled", "disabled"),
        ("dev-a\\x2db.swap", "masked", "masked"),
        ("dev-vda2.swap", "fstab", None),
        ("zramswap.service", "enabled", "disabled"),
        ("zramswap.service", "disabled", "disabled"),
        ("zramswap.service", "static", "static"),
        ("swap.target", "enabled", "masked"),
    ],
)
def test_unit_ends_as_something_that_brings_no_swap(
    unit: str, state: str, after: str | None
) -> None:
    lines = {"swap.target": "masked", unit: state}
    told = [f"unit {name} {what}" for name, what in lines.items()]
    found = HANDLER.read(OP, answer(*told, fstab=WITHOUT), LIVE)
    change = HANDLER.change(OP, found, LIVE)
    assert (change is None) == (state == after)
    if change is not None:
        assert change.after.units.get(unit) == after


def test_service_is_stopped_and_a_swap_unit_is_left_to_swapoff() -> None:
    lines = ("unit own.swap enabled", "unit zramswap.service enabled", *OFF)
    state = HANDLER.read(OP, answer(*lines, fstab=None), LIVE)
    change = HANDLER.change(OP, state, LIVE)
    assert change is not None
    assert change.script.text.splitlines()[::2] == [
        "systemctl disable own.swap",
        "systemctl disable --now zramswap.service",
        "kx_swap_reload",
    ]


def test_vendors_zram_is_replaced_by_a_file_without_devices() -> None:
    reply = answer(*OFF, f"zram {VENDOR_ZRAM}", fstab=None)
    change = HANDLER.change(OP, HANDLER.read(OP, reply, LIVE), LIVE)
    assert change is not None
    header = made().rstrip("\n")
    assert change.script.text.startswith(f"kx_write {ZRAM_CONF} '{header}\n'\n")
    assert change.diff.startswith(f"--- /dev/null\n+++ {ZRAM_CONF}\n")
    assert change.after.zram == ()
    assert HANDLER.change(OP, change.after, LIVE) is None


@pytest.mark.parametrize(
    "lines",
    [
        (f"zram {VENDOR_ZRAM}", f"mount {VENDOR_ZRAM}"),
        ("zram /etc/systemd/zram-generator.conf.d/a.conf",),
    ],
)
def test_zram_with_a_file_system_or_in_a_drop_in_is_left_to_the_masks(
    lines: tuple[str, ...],
) -> None:
    reply = answer(*OFF, *lines, "unit dev-zram0.swap generated", fstab=None)
    change = HANDLER.change(OP, HANDLER.read(OP, reply, LIVE), LIVE)
    assert change is not None
    assert change.script.text.splitlines()[::2] == ["kx_mask dev-zram0.swap", "kx_swap_reload"]


def test_container_leaves_the_swap_of_its_kernel_on_and_says_so() -> None:
    state = HANDLER.read(OP, answer("active /dev/vda2", "unit swap.target static"), CONTAINER)
    change = HANDLER.change(OP, state, CONTAINER)
    assert change is not None
    assert "kx_swapoff" not in change.script.text
    assert not change.alters_facts
    assert "/dev/vda2: in use" not in change.diff
    assert HANDLER.change(OP, change.after, CONTAINER) is None
    assert HANDLER.notes(OP, state, CONTAINER) == (
        "swap /dev/vda2: of the kernel that this container shares, left on",
    )


def test_image_is_changed_without_a_manager() -> None:
    probe = HANDLER.probe(OP, IMAGE).text
    assert "kx_swap_active" not in probe
    assert probe.index("export SYSTEMD_OFFLINE") < probe.index("kx_swap_units")
    reply = answer("unit swap.target static", "unit zramswap.service enabled")
    state = HANDLER.read(OP, reply, IMAGE)
    change = HANDLER.change(OP, state, IMAGE)
    assert change is not None
    assert change.script.text.splitlines()[::2] == [
        "SYSTEMD_OFFLINE=1; export SYSTEMD_OFFLINE",
        "kx_replace /etc/fstab 644",
        "systemctl disable zramswap.service",
        "kx_mask swap.target",
    ]
    assert HANDLER.change(OP, change.after, IMAGE) is None
    assert HANDLER.notes(OP, state, IMAGE) == ("swap off: from the first boot of the image",)


def test_host_without_systemd_has_fstab_only() -> None:
    facts = replace(LIVE, init=Init.OPENRC, systemd_offline=False)
    assert "systemctl" not in HANDLER.probe(OP, facts).text
    change = HANDLER.change(OP, HANDLER.read(OP, answer("active /dev/vda2"), facts), facts)
    assert change is not None
    assert change.script.text.splitlines()[::2] == [
        "kx_replace /etc/fstab 644",
        "kx_swapoff",
    ]


def test_systemd_that_does_not_answer_is_an_error_and_no_guess() -> None:
    said = Reply(exit_status=0, stdout=answer().stdout, stderr=b"Failed to connect to bus\n")
    with pytest.raises(HostError, match="which swap units there are: Failed to connect to bus"):
        HANDLER.read(OP, said, LIVE)


def test_odd_file_is_an_error_where_it_would_have_to_be_changed() -> None:
    odd = f"zram {VENDOR_ZRAM}"
    reply = answer(*OFF, odd, fstab=None)
    text = reply.stdout.replace(b"\n7\nabsent\n7\nabsent\n", b"\n7\nabsent\n9\ndangling\n")
    state = HANDLER.read(OP, Reply(exit_status=0, stdout=text), LIVE)
    assert isinstance(state, SwapState)
    with pytest.raises(HostError, match=r"zram-generator\.conf is a dangling"):
        HANDLER.change(OP, state, LIVE)
