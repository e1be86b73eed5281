"""What a host's kernel parameters are, and what `SysctlSettings` comes to there: pure."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.errors import HostError
from kubexm.facts import Machine
from kubexm.runner.operations.kernel import parameter_path
from kubexm_linux.sysctl_file import is_same, matches, tidy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kubexm.runner.operations import SysctlSettings
    from kubexm_linux.kernel import ConfigLine
    from kubexm_linux.state import PathState

_RESETTING = ("ip_forward", "forwarding")
"""Parameters that set others when they change (the kernel's ip-sysctl.rst)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SysctlState:
    """Parameters in the running kernel, and the files that set them at boot.

    Args:
        values: Path below /proc/sys to the value now; empty in an image.
        absent: Paths that the kernel does not have.
        fixed: Paths that cannot be set from a container.
        file: The drop-in file.
        others: Every other file of parameters, to its lines.
    """

    values: Mapping[str, str]
    absent: frozenset[str]
    fixed: frozenset[str]
    file: PathState
    others: Mapping[str, tuple[ConfigLine, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parameter that should have a value: its key in the operation, its path, the value."""

    key: str
    path: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be on one machine: path to value now, and the lines of the file."""

    values: Mapping[str, str]
    lines: tuple[str, ...]


def targets(op: SysctlSettings, state: SysctlState) -> Iterator[Target]:
    """Every parameter that should have a value: patterns resolved, what is optional left out."""
    for key in _in_order(op):
        path, value = parameter_path(key), tidy(op.values[key])
        if "*" in path:
            for found in state.values:
                if matches(path, found):
                    yield Target(key=key, path=found, value=value)
        elif not _is_left_out(op, key, state):
            yield Target(key=key, path=path, value=value)


def wanted(op: SysctlSettings, state: SysctlState, machine: Machine) -> Wanted:
    """What is to be set now and written down for the next boot.

    A minimum that the host already exceeds becomes the host's value in the file, too.

    Raises:
        HostError: There is a minimum for what is not a number on the host.
    """
    values: dict[str, str] = {}
    raised: dict[str, str] = {}
    for target in targets(op, state):
        if not _is_ours(target.path, state, machine):
            continue
        present = state.values.get(target.path)
        values[target.path] = target.value
        if target.key in op.at_least and present is not None and is_met(op, target, present):
            raised[target.key] = values[target.path] = present
    lines = tuple(
        f"{shown(parameter_path(key))} = {raised.get(key, tidy(op.values[key]))}"
        for key in _in_order(op)
        if not _is_left_out(op, key, state)
    )
    return Wanted(values=MappingProxyType(values), lines=lines)


def is_met(op: SysctlSettings, target: Target, value: str | None) -> bool:
    """Whether a value is what the operation wants of the target.

    Raises:
        HostError: There is a minimum, and the value is not a number.
    """
    if value is None:
        return False
    if target.key not in op.at_least:
        return is_same(value, target.value)
    try:
        return int(value) >= int(target.value)
    except ValueError:
        message = f"sysctl {target.key} cannot have a minimum: its value is {value!r}"
        raise HostError(message, hint="name the value itself") from None


def shown(path: str) -> str:
    """A path as a key: with dots, or as it is when a name in it has dots itself."""
    return path if "." in path else path.replace("/", ".")


def _in_order(op: SysctlSettings) -> list[str]:
    return sorted(op.values, key=lambda key: not parameter_path(key).endswith(_RESETTING))


def _is_left_out(op: SysctlSettings, key: str, state: SysctlState) -> bool:
    return key in op.optional and parameter_path(key) in state.absent


def _is_ours(path: str, state: SysctlState, machine: Machine) -> bool:
    """Whether the parameter may be set now: a container has only its network for itself."""
    if machine.owns_kernel:
        return True
    can_be_set = path not in state.fixed and path not in state.absent
    return machine is Machine.CONTAINER and path.startswith("net/") and can_be_set
