"""Kernel modules, now and at boot."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.errors import HostError, UnmetError
from kubexm.facts import Machine
from kubexm.runner import Change
from kubexm.runner.operations import KernelModules
from kubexm.shell import Reply, Script
from kubexm_linux.file import FileContents
from kubexm_linux.kernel import call, config_files, drop_in, split_reply
from kubexm_linux.state import PathState, probe_state, read_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubexm.facts import Facts

_REFUSAL = re.compile(
    r"\s*(?:blacklist\s+(?P<listed>\S+).*|install\s+(?P<emptied>\S+)\s+(?:\S*/)?(?:true|false)\b.*)"
)
_MORE_MODULES = {
    "ubuntu": "linux-modules-extra",
    "debian": "linux-image without -cloud",
    "fedora": "kernel-modules-extra",
    "rhel": "kernel-modules-extra",
    "suse": "kernel-default instead of kernel-default-base",
}
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Presence(StrEnum):
    """How a running kernel has a module, or has it not."""

    LOADED = "loaded"
    BUILT_IN = "built in"
    AVAILABLE = "not loaded"
    ABSENT = "no such module"

    @property
    def is_there(self) -> bool:
        """Whether what the module does can be used."""
        return self in (Presence.LOADED, Presence.BUILT_IN)


class Kernel(StrEnum):
    """Whether a running kernel can load modules at all."""

    MODULAR = "modular"
    ORPHANED = "orphaned"
    """Its modules are no longer on the disk: another kernel was installed since it booted."""
    FIXED = "fixed"
    """It was built without loadable modules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModulesState:
    """Modules in the running kernel, and the file that names them for the next boot.

    Args:
        modules: Each by its name as the operation spells it; empty in an image.
        forbidden: The same names, to "FILE:LINE: TEXT" of modprobe.d(5).
        kernel: Whether modules can be loaded; `None` in an image.
        file: The drop-in file.
    """

    modules: Mapping[str, Presence]
    forbidden: Mapping[str, str]
    kernel: Kernel | None
    file: PathState


class KernelModuleLists:
    """`KernelModules` with kmod or busybox, and modules-load.d(5), which OpenRC reads too."""

    operation = KernelModules

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: KernelModules, facts: Facts) -> Script:
        """See `Handler.probe`."""
        file = probe_state(op.path)
        marked = Script.command("echo", "file").then(file)
        if not facts.machine.is_booted:
            return marked
        names = dict.fromkeys(map(_canonical, op.modules))
        pattern = "|".join(name.replace("_", "[-_]") for name in names)
        return call("kx_modules_state", f"({pattern})", *names).then(marked)

    def read(self, op: KernelModules, reply: Reply, facts: Facts) -> ModulesState:
        """See `Handler.read`.

        Raises:
            UnmetError: A kernel of the machine's own has no such module, or must not load it.
        """
        lines, rest = split_reply(op.path, reply)
        file = read_state(op.path, rest)
        if not facts.machine.is_booted:
            nowhere: Mapping[str, Presence] = MappingProxyType({})
            return ModulesState(modules=nowhere, forbidden=_NOTHING, kernel=None, file=file)
        words = [(word, name) for word, _, name in (line.partition(" ") for line in lines)]
        found = {(word, _canonical(name)) for word, name in words}
        modules = {name: _presence(_canonical(name), found) for name in op.modules}
        state = ModulesState(
            modules=MappingProxyType(modules),
            forbidden=_forbidden(modules, lines),
            kernel=next(Kernel(name) for word, name in words if word == "kernel"),
            file=file,
        )
        if facts.machine.owns_kernel:
            _require(state, facts)
        return state

    def change(
        self, op: KernelModules, state: ModulesState, facts: Facts
    ) -> Change[ModulesState] | None:
        """See `Handler.change`; loading comes first, so that no file names what cannot load."""
        file = FileContents().change(drop_in(op.path, op.modules), state.file, facts)
        missing = _missing(state) if facts.machine.owns_kernel else ()
        scripts = [call("kx_modules_load", *missing)] if missing else []
        if file is not None:
            scripts.append(file.script)
        if not scripts:
            return None
        loaded = dict.fromkeys(missing, Presence.LOADED)
        diff = "".join(
            f"-{name}: {state.modules[name]}\n+{name}: {Presence.LOADED}\n" for name in missing
        )
        header = "--- kernel modules\n+++ kernel modules\n" if missing else ""
        return Change(
            before=state,
            after=replace(
                state,
                modules=MappingProxyType({**state.modules, **loaded}),
                file=file.after if file is not None else state.file,
            ),
            script=scripts[0].then(scripts[1]) if scripts[1:] else scripts[0],
            diff=header + diff + (file.diff if file is not None else ""),
        )

    def notes(self, op: KernelModules, state: ModulesState, facts: Facts) -> tuple[str, ...]:
        """See `Notes.notes`."""
        if facts.machine is Machine.IMAGE:
            return (f"{op.label()}: loaded when the image boots",)
        missing = _missing(state)
        if facts.machine.owns_kernel or not missing:
            return ()
        return (f"kernel modules {', '.join(missing)}: not loaded from a container",)


def _canonical(name: str) -> str:
    """As the kernel writes it."""
    return name.replace("-", "_")


def _missing(state: ModulesState) -> tuple[str, ...]:
    return tuple(name for name, presence in state.modules.items() if not presence.is_there)


def _presence(name: str, found: set[tuple[str, str]]) -> Presence:
    if ("loaded", name) in found:
        return Presence.LOADED
    if ("builtin", name) in found or ("present", name) in found:
        return Presence.BUILT_IN
    return Presence.AVAILABLE if ("exists", name) in found else Presence.ABSENT


def _forbidden(modules: Mapping[str, Presence], lines: list[str]) -> Mapping[str, str]:
    """The modules that modprobe.d(5) keeps from being loaded at boot, and where it says so.

    Of files with one name the first counts, and an `install` line when it runs nothing: others
    load the module themselves. Nothing stops what is built in.
    """
    found: dict[str, str] = {}
    files: dict[str, str] = {}
    for path, entries in config_files(lines).items():
        hides = files.setdefault(PurePosixPath(path).name, path)
        for number, text in entries if hides == path else ():
            refusal = _REFUSAL.fullmatch(text)
            refused = _canonical(refusal["listed"] or refusal["emptied"]) if refusal else ""
            for name, presence in modules.items():
                if _canonical(name) == refused and presence is not Presence.BUILT_IN:
                    found.setdefault(name, f"{path}:{number}: {text.strip()}")
    return MappingProxyType(found)


def _package(facts: Facts) -> str:
    """What brings the modules that a distribution leaves out of its smallest kernel."""
    known = (name for name in (facts.os.id, *facts.os.id_like) if name in _MORE_MODULES)
    return _MORE_MODULES.get(next(known, ""), "the package with more of its modules")


def _require(state: ModulesState, facts: Facts) -> None:
    """Raise what keeps the modules from being loaded now and at boot."""
    if state.forbidden:
        message = f"kernel modules are forbidden: {'; '.join(state.forbidden.values())}"
        assumed = replace(state, forbidden=_NOTHING)
        raise UnmetError(message, assumed=assumed, hint="remove these lines (modprobe.d(5))")
    absent = [name for name, presence in state.modules.items() if presence is Presence.ABSENT]
    if not absent:
        return
    release = facts.kernel or "the running kernel"
    message = f"no kernel module {', '.join(absent)} for {release}"
    match state.kernel:
        case Kernel.FIXED:
            message = f"{release} loads no modules and was built without {', '.join(absent)}"
            raise HostError(message, hint="boot a kernel that has them")
        case Kernel.ORPHANED:
            hint = f"/lib/modules/{release} is gone: reboot into the kernel that is installed"
        case _:
            hint = f"install {_package(facts)} for this kernel; where it is on the disk run depmod"
    there = dict.fromkeys(absent, Presence.AVAILABLE)
    assumed = replace(state, modules=MappingProxyType({**state.modules, **there}))
    raise UnmetError(message, assumed=assumed, hint=hint)
