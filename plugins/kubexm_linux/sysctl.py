"""Kernel parameters, now and at boot."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.errors import HostError, UnmetError
from kubexm.facts import Machine
from kubexm.runner import Change
from kubexm.runner.operations import SysctlSettings
from kubexm.runner.operations.kernel import parameter_path
from kubexm.shell import Reply, Script
from kubexm_linux.file import FileContents
from kubexm_linux.kernel import call, config_files, drop_in, split_reply
from kubexm_linux.parameter import SysctlState, is_met, shown, targets, wanted
from kubexm_linux.state import probe_state, read_state
from kubexm_linux.sysctl_file import as_shown, at_boot, in_order, is_same, tidy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubexm.facts import Facts


class KernelParameters:
    """`SysctlSettings` by /proc/sys and sysctl.d(5)."""

    operation = SysctlSettings

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: SysctlSettings, facts: Facts) -> Script:
        """See `Handler.probe`."""
        script = call("kx_sysctl_files")
        if facts.machine.is_booted:
            paths = map(parameter_path, op.values)
            script = script.then(call("kx_sysctl_state", facts.machine.value, *paths))
        file = probe_state(op.path)
        return script.then(Script.command("echo", "file")).then(file)

    def read(self, op: SysctlSettings, reply: Reply, facts: Facts) -> SysctlState:
        """See `Handler.read`.

        Raises:
            UnmetError: The machine's own kernel lacks a parameter that is not optional, or
                another file would set one to something else at boot.
        """
        lines, rest = split_reply(op.path, reply)
        pairs = [(word, told) for word, _, told in (line.partition(" ") for line in lines)]
        others = {path: found for path, found in config_files(lines).items() if path != op.path}
        values: dict[str, str] = {}
        for path, _, value in (told.partition(":") for word, told in pairs if word == "value"):
            values[path] = tidy(f"{values.get(path, '')} {value}")
        state = SysctlState(
            values=MappingProxyType(values),
            absent=frozenset(told for word, told in pairs if word == "absent"),
            fixed=frozenset(told for word, told in pairs if word == "fixed"),
            file=read_state(op.path, rest),
            others=MappingProxyType(others),
        )
        if facts.machine.is_booted:
            _require_readable(op, state)
        if facts.machine.owns_kernel:
            _require_present(op, state)
        _require_last_word(op, state, facts)
        return state

    def change(
        self, op: SysctlSettings, state: SysctlState, facts: Facts
    ) -> Change[SysctlState] | None:
        """See `Handler.change`; setting comes first, so that no file has what the kernel refuses.

        All parameters are given to the script, because setting one may reset another.
        """
        goal = wanted(op, state, facts.machine)
        file = FileContents().change(drop_in(op.path, goal.lines), state.file, facts)
        changed = {
            path: as_shown(value)
            for path, value in goal.values.items()
            if path not in state.values or not is_same(state.values[path], value)
        }
        scripts = []
        if changed:
            words = (word for pair in goal.values.items() for word in pair)
            scripts.append(call("kx_sysctl_set", *words))
        if file is not None:
            scripts.append(file.script)
        if not scripts:
            return None
        return Change(
            before=state,
            after=replace(
                state,
                values=MappingProxyType({**state.values, **changed}),
                file=file.after if file is not None else state.file,
            ),
            script=scripts[0].then(scripts[1]) if scripts[1:] else scripts[0],
            diff=_diff(state.values, changed) + (file.diff if file is not None else ""),
        )

    def notes(self, op: SysctlSettings, state: SysctlState, facts: Facts) -> tuple[str, ...]:
        """See `Notes.notes`."""
        if facts.machine is Machine.IMAGE:
            return (f"{op.label()}: set when the image boots",)
        found = []
        left_out = sorted(key for key in op.optional if parameter_path(key) in state.absent)
        if left_out:
            found.append(f"sysctl {', '.join(left_out)}: left out, because this kernel has none")
        own = wanted(op, state, facts.machine).values
        unset = [
            shown(target.path)
            for target in targets(op, state)
            if target.path not in own and not is_met(op, target, state.values.get(target.path))
        ]
        if unset:
            found.append(f"sysctl {', '.join(sorted(unset))}: not set at run time in a container")
        return tuple(found)


def _diff(values: Mapping[str, str], changed: Mapping[str, str]) -> str:
    if not changed:
        return ""
    lines = "--- /proc/sys\n+++ /proc/sys\n"
    for path, value in changed.items():
        if path in values:
            lines += f"-{shown(path)} = {values[path]}\n"
        lines += f"+{shown(path)} = {value}\n"
    return lines


def _require_readable(op: SysctlSettings, state: SysctlState) -> None:
    for key in op.values:
        path = parameter_path(key)
        if path not in state.values and path not in state.absent and "*" not in path:
            message = f"sysctl {key} is there and cannot be read"
            raise HostError(message, hint="a parameter that can only be written has no state")


def _require_present(op: SysctlSettings, state: SysctlState) -> None:
    lacking = {
        parameter_path(key): key
        for key in op.values
        if key not in op.optional and parameter_path(key) in state.absent
    }
    if lacking:
        message = f"this kernel has no parameter {', '.join(lacking.values())}"
        hint = "load the module that brings it (br_netfilter for net.bridge), or make it optional"
        assumed = replace(state, absent=state.absent - lacking.keys())
        raise UnmetError(message, assumed=assumed, hint=hint)


def _require_last_word(op: SysctlSettings, state: SysctlState, facts: Facts) -> None:
    """Raise where a boot would end with another value than the one in the drop-in file."""
    content = drop_in(op.path, wanted(op, state, facts.machine).lines).data.decode()
    settings = in_order(state.others, op.path, content)
    told = {}
    for target in targets(op, state):
        last = at_boot(target.path, settings)
        if last is not None and not is_met(op, target, last.value):
            key, value = shown(last.path), last.value
            does = f"leaves {key} unset" if value is None else f"sets {key} to {value or 'nothing'}"
            told[last.place] = f"{last.place} {does}"
    if told:
        message = f"{op.label()} would not survive a reboot: {'; '.join(told.values())}"
        assumed = replace(state, others=MappingProxyType(dict.fromkeys(state.others, ())))
        hint = "remove that line, or give the operation a name that sorts after that file"
        raise UnmetError(message, assumed=assumed, hint=hint)
