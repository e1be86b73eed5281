"""Swap: none in use, and none at boot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.errors import HostError, tail
from kubexm.facts import Init, Machine
from kubexm.runner import Change
from kubexm.runner.operations import SwapOff
from kubexm.shell import Reply, Script
from kubexm_linux import fstab
from kubexm_linux.file import FileContents
from kubexm_linux.kernel import HEADER, call, drop_in, split_reply
from kubexm_linux.state import CONTENT_LIMIT, PathState, read_state
from kubexm_linux.text import edit, read_text, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubexm.facts import Facts

ZRAM_CONF = "/etc/systemd/zram-generator.conf"
"""A file here that names no device replaces the vendor's (zram-generator.conf(5))."""

_FSTAB_MODE = 0o644
_TARGET = "swap.target"
_OFFLINE = Script("SYSTEMD_OFFLINE=1; export SYSTEMD_OFFLINE")


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapState:
    """What swap there is, and what would bring some at boot.

    Args:
        active: Devices and files in use, as /proc/swaps writes them; empty in an image.
        fstab: /etc/fstab.
        units: swap.target, swap units and services that set up swap, to their unit file state;
            "fstab" is that of a unit that goes when its line in /etc/fstab goes.
        zram: Files that give zram-generator a device.
        zram_mounts: Whether one of these devices is for a file system.
        zram_conf: The file at `ZRAM_CONF`.
    """

    active: tuple[str, ...]
    fstab: PathState
    units: Mapping[str, str]
    zram: tuple[str, ...]
    zram_mounts: bool
    zram_conf: PathState


class NoSwap:
    """`SwapOff` by fstab(5), systemd where it is, and swapoff(8)."""

    operation = SwapOff

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: SwapOff, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del op
        scripts = []
        if facts.machine.is_booted:
            scripts.append(call("kx_swap_active"))
        if _has_systemd(facts):
            scripts += _offline(facts)
            scripts += [call("kx_swap_units"), call("kx_swap_zram")]
        scripts.append(Script.command("echo", "file"))
        paths = (fstab.PATH, ZRAM_CONF)
        scripts += [call("kx_sized_state", path, str(CONTENT_LIMIT)) for path in paths]
        return reduce(Script.then, scripts)

    def read(self, op: SwapOff, reply: Reply, facts: Facts) -> SwapState:
        """See `Handler.read`."""
        del op
        lines, rest = split_reply(fstab.PATH, reply)
        first, second = _split_files(rest)
        words = [line.split(" ") for line in lines]
        units = {word[1]: word[2] for word in words if word[0] == "unit"}
        if _has_systemd(facts) and _TARGET not in units:
            said = tail(reply.stderr.decode("utf-8", "replace")) or f"it does not know {_TARGET}"
            message = f"systemd does not tell which swap units there are: {said}"
            raise HostError(message)
        return SwapState(
            active=tuple(word[1] for word in words if word[0] == "active"),
            fstab=read_text(fstab.PATH, first),
            units=MappingProxyType(units),
            zram=tuple(line.removeprefix("zram ") for line in lines if line.startswith("zram ")),
            zram_mounts=any(word[0] == "mount" for word in words),
            zram_conf=read_state(ZRAM_CONF, second),
        )

    def change(self, op: SwapOff, state: SwapState, facts: Facts) -> Change[SwapState] | None:
        """See `Handler.change`; swap goes last, so that a reboot helps where memory is short."""
        text = fstab.without_swap(text_of(state.fstab))
        file = edit(fstab.PATH, state.fstab, text, mode=_FSTAB_MODE, facts=facts)
        zram = None
        if _is_zram_for_swap(state):
            zram = FileContents().change(drop_in(ZRAM_CONF, ()), state.zram_conf, facts)
        units = _units_after(state.units)
        active = () if facts.machine.owns_kernel else state.active
        after = replace(
            state,
            active=active,
            fstab=file.after if file else state.fstab,
            units=MappingProxyType(units),
            zram=tuple(path for path in state.zram if ".d/" in path) if zram else state.zram,
            zram_conf=zram.after if zram else state.zram_conf,
        )
        if after == state:
            return None
        is_running = facts.init is Init.SYSTEMD
        scripts = _offline(facts)
        if file:
            scripts.append(file.script)
        if zram:
            scripts.append(call("kx_write", ZRAM_CONF, HEADER))
        scripts += _unit_scripts(state.units, units, is_running=is_running)
        if is_running and (file or zram or units != state.units):
            scripts.append(call("kx_swap_reload"))
        if active != state.active:
            scripts.append(call("kx_swapoff"))
        return Change(
            before=state,
            after=after,
            script=reduce(Script.then, scripts).within(op.deadline_s),
            diff=_diff("swap", _in_use(state.active), _in_use(active))
            + _diff("swap units", state.units, units)
            + (file.diff if file else "")
            + (zram.diff if zram else ""),
            alters_facts=active != state.active,
        )

    def notes(self, op: SwapOff, state: SwapState, facts: Facts) -> tuple[str, ...]:
        """See `Notes.notes`."""
        if facts.machine is Machine.IMAGE:
            return (f"{op.label()}: from the first boot of the image",)
        if state.active and not facts.machine.owns_kernel:
            names = ", ".join(state.active)
            return (f"swap {names}: of the kernel that this container shares, left on",)
        return ()


def _has_systemd(facts: Facts) -> bool:
    return facts.init is Init.SYSTEMD or bool(facts.systemd_offline)


def _offline(facts: Facts) -> list[Script]:
    """Keep systemctl from looking for a manager where none runs."""
    return [_OFFLINE] if facts.systemd_offline else []


def _split_files(reply: Reply) -> tuple[Reply, Reply]:
    """The states of two files, each after a line with the number of its bytes."""
    size, _, rest = reply.stdout.partition(b"\n")
    second = rest[int(size) :].partition(b"\n")[2]
    return replace(reply, stdout=rest[: int(size)]), replace(reply, stdout=second)


def _is_zram_for_swap(state: SwapState) -> bool:
    """Whether the main file of zram-generator gives it devices, all of them for swap."""
    return not state.zram_mounts and any(".d/" not in path for path in state.zram)


def _units_after(units: Mapping[str, str]) -> dict[str, str]:
    """The state of each unit file when nothing is left that brings swap at boot."""
    after: dict[str, str] = {}
    for name, state in units.items():
        match name.rpartition(".")[2], state:
            case "target", _:
                after[name] = "masked"
            case "swap", "fstab":
                continue
            case "swap", "disabled":
                after[name] = state
            case _, "enabled":
                after[name] = "disabled"
            case "swap", _:
                after[name] = "masked"
            case _:
                after[name] = state
    return after


def _unit_scripts(
    units: Mapping[str, str], after: Mapping[str, str], *, is_running: bool
) -> list[Script]:
    changed = [name for name, state in after.items() if units[name] != state]
    masked = [name for name in changed if after[name] == "masked"]
    scripts = []
    for name in changed:
        if after[name] == "disabled":
            # a swap unit is left to swapoff, which says more when it fails
            now = ("--now",) if is_running and not name.endswith(".swap") else ()
            scripts.append(Script.command("systemctl", "disable", *now, name))
    if masked:
        scripts.append(call("kx_mask", *masked))
    return scripts


def _in_use(names: tuple[str, ...]) -> Mapping[str, str]:
    return dict.fromkeys(names, "in use")


def _diff(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    lines = ""
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            lines += f"-{key}: {before[key]}\n" if key in before else ""
            lines += f"+{key}: {after[key]}\n" if key in after else ""
    return f"--- {name}\n+++ {name}\n{lines}" if lines else ""
