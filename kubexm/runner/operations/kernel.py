"""The kernel as it should be: modules, parameters, swap. Now, and after every boot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.runner.operation import Operation, Scope, scope

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*", re.ASCII)
_SYSCTL = re.compile(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_:@*-]+)+", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)

SYSCTL_DIRECTORIES = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
"""Of several files with one name the one in the first of these counts (sysctl.d(5))."""


def _check(kind: str, name: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(name):
        message = f"not {kind}: {name!r}"
        raise ValueError(message)


def parameter_path(key: str) -> str:
    """Where a kernel parameter is below /proc/sys, such as "net/ipv4/ip_forward".

    The first separator decides (sysctl.d(5)): after a slash everything is taken as it stands,
    after a dot "/" and "." change places, so "net.ipv4.conf.eth0/1.rp_filter" and
    "net/ipv4/conf/eth0.1/rp_filter" are the same.
    """
    first = next((char for char in key if char in "./"), "")
    return key.translate(str.maketrans("./", "/.")) if first == "." else key


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelModules(Operation):
    """These modules are loaded, and /etc/modules-load.d/NAME.conf loads them at boot.

    A module that is built into the kernel counts as loaded. One that modprobe.d(5) forbids is
    an error that names file and line, because it would not be there after a reboot.

    Args:
        name: Of the drop-in file, without ".conf".
        modules: Their names; "-" and "_" are the same.
    """

    name: str
    modules: tuple[str, ...]

    def __post_init__(self) -> None:
        _check("a file name", self.name, _FILE_NAME)
        for module in self.modules:
            _check("a module name", module, _MODULE)
        if len({name.replace("-", "_") for name in self.modules}) != len(self.modules):
            message = f"a kernel module is named twice: {', '.join(self.modules)}"
            raise ValueError(message)
        if not self.modules:
            message = f"no kernel modules for {self.name}"
            raise ValueError(message)

    @property
    def path(self) -> str:
        """Of the drop-in file (modules-load.d(5))."""
        return f"/etc/modules-load.d/{self.name}.conf"

    def label(self) -> str:
        """See `Operation.label`."""
        return "kernel modules " + ", ".join(self.modules)

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        files = {f"file:{self.path}", "file:/etc/modprobe.d/*", "file:/usr/lib/modprobe.d/*"}
        return scope("module", self.modules) | files

    def alters(self) -> Scope:
        """See `Operation.alters`: a module brings parameters (net.bridge.* with br_netfilter)."""
        return frozenset({"module:*", "sysctl:*", f"file:{self.path}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SysctlSettings(Operation):
    """These kernel parameters have these values now, and /etc/sysctl.d/NAME.conf sets them at boot.

    A later file that sets one of them to something else is an error that names it, because
    the value would not survive a reboot.

    Args:
        name: Of the drop-in file, without ".conf"; "99-kubernetes" sorts after the usual ones.
        values: Key ("net.ipv4.ip_forward") to value, in the order of the file. White space
            within a value counts once. "*" in a key stands for every name in its place.
        at_least: Keys whose value is a minimum: a higher one on the host stays, and the file
            carries it, so that a reboot does not lower it. Whole numbers only.
        optional: Keys that the kernel may lack: left out where it does.
    """

    name: str
    values: Mapping[str, str]
    at_least: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _check("a file name", self.name, _FILE_NAME)
        for key, value in self.values.items():
            _check("a kernel parameter", key, _SYSCTL)
            if "\n" in value:
                message = f"the value of {key} holds a newline"
                raise ValueError(message)
        self._check_keys()

    def _check_keys(self) -> None:
        paths: dict[str, str] = {}
        for key in self.values:
            other = paths.setdefault(parameter_path(key), key)
            if other != key:
                message = f"{other} and {key} are the same kernel parameter"
                raise ValueError(message)
        for key in sorted(self.at_least | self.optional):
            if key not in self.values:
                message = f"no value for {key}"
                raise ValueError(message)
        for key in sorted(self.at_least):
            if "*" in key or not _NUMBER.fullmatch(self.values[key].strip()):
                message = f"a minimum is one key with a whole number: {key} = {self.values[key]}"
                raise ValueError(message)

    @property
    def path(self) -> str:
        """Of the drop-in file (sysctl.d(5))."""
        return f"/etc/sysctl.d/{self.name}.conf"

    def label(self) -> str:
        """See `Operation.label`."""
        return f"sysctl {self.name}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        files = {"/etc/sysctl.conf", "/etc/ufw/*", *(f"{where}/*" for where in SYSCTL_DIRECTORIES)}
        return scope("sysctl", self.values) | scope("file", files)

    def alters(self) -> Scope:
        """See `Operation.alters`: some parameters set others (ip_forward resets per interface)."""
        return frozenset({"sysctl:*", f"file:{self.path}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapOff(Operation):
    """No swap is in use, and none comes back at boot: fstab, swap units, zram.

    Args:
        deadline_s: For all of it; what was swapped out has to be read back into memory.
    """

    deadline_s: int = 1_800

    def label(self) -> str:
        """See `Operation.label`."""
        return "swap off"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return frozenset({"swap:*", "file:/etc/fstab", "file:/etc/systemd/*", "unit:*"})
