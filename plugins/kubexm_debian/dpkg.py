"""What dpkg and the package index say of the packages of one operation."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from kubexm.errors import HostError, tail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.shell import Reply

_COLUMNS = 6


class Presence(StrEnum):
    """How far a package is on the machine."""

    ABSENT = "absent"
    CONFIG_FILES = "config-files"
    """Removed; its configuration files are still there."""
    INSTALLED = "installed"
    BROKEN = "broken"
    """A transaction was cut short, or its configuration failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageState:
    """One package.

    Args:
        name: As the operation calls it.
        presence: How far it is.
        version: Of what is there; of what will be, where that is certain; else "". Any will do,
            so it does not count when states are compared.
        status: dpkg's word for a broken one, such as "half-configured".
        provider: The installed package that provides it, when none bears its name.
    """

    name: str
    presence: Presence
    version: str = field(default="", compare=False)
    status: str = ""
    provider: str = ""

    @property
    def lacks_files(self) -> bool:
        """Whether something has to be fetched from a package source."""
        absent = self.presence in (Presence.ABSENT, Presence.CONFIG_FILES)
        return absent or self.status == "half-installed"

    def __str__(self) -> str:
        shown = f"{self.name} {self.version}".rstrip()
        return f"{shown} ({self.status})" if self.status else shown


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesState:
    """The packages of one operation, by name.

    Args:
        packages: Sorted by name.
        candidates: What apt would install now, of those that lack files; only from an index
            that is fresh enough to be used as it is.
        fresh: Whether it is; `None` when nobody asked.
    """

    packages: tuple[PackageState, ...]
    candidates: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    fresh: bool | None = field(default=None, compare=False)

    @property
    def needs_index(self) -> bool:
        """Whether the index is to be refreshed before these packages can be installed."""
        wanted = {package.name for package in self.packages if package.lacks_files}
        return bool(wanted) and not (self.fresh and wanted <= dict(self.candidates).keys())


def read_state(names: Iterable[str], reply: Reply) -> PackagesState:
    """The state that `kx_apt_state` printed.

    Args:
        names: As the operation calls them.
        reply: The probe's.

    Raises:
        HostError: dpkg's database could not be read.
    """
    rows = [line.split("\t") for line in reply.text.splitlines()]
    packages = [row for row in rows if len(row) == _COLUMNS]
    native = next((row[1] for row in packages if row[0] == "dpkg"), None)
    if reply.exit_status != 0 or native is None:
        said = tail(reply.stderr.decode("utf-8", "replace"))
        message = f"cannot read dpkg's database: {said or reply.exit_status}"
        raise HostError(message)
    index = [row[0] for row in rows[len(packages) + 1 :]]
    offered = _candidates(index[1:])
    return PackagesState(
        packages=tuple(_package(name, packages, native) for name in sorted(names)),
        candidates=tuple(
            (name, offered[known])
            for name in sorted(names)
            if (known := name.removesuffix(f":{native}").removesuffix(":all")) in offered
        ),
        fresh=index[0] == "index fresh" if index else None,
    )


def packages_diff(before: PackagesState, after: PackagesState) -> str:
    """A unified diff: one line for what is there and one for what will be."""
    lines = []
    for old, new in zip(before.packages, after.packages, strict=True):
        if old != new:
            there = (Presence.INSTALLED, Presence.BROKEN)
            lines += [f"-{old}\n"] if old.presence in there else []
            lines += [f"+{new}\n"] if new.presence in there else []
    return "".join(("--- packages\n", "+++ packages\n", *lines)) if lines else ""


def _package(name: str, rows: list[list[str]], native: str) -> PackageState:
    """One package from the lines of `kx_apt_state`; no architecture means the machine's own."""
    base, _, architecture = name.partition(":")
    own = (native, "all") if architecture in ("", native) else (architecture,)
    provider = version = ""
    found = PackageState(name=name, presence=Presence.ABSENT)
    for package, built_for, _, status, at, provides in rows:
        if built_for not in own:
            continue
        if package == base:
            found = _found(name, status, at)
        elif status == "installed" and base in (p.split(" ")[0] for p in provides.split(", ")):
            provider, version = package, at
    if provider and found.presence in (Presence.ABSENT, Presence.CONFIG_FILES):
        return PackageState(
            name=name, presence=Presence.INSTALLED, version=version, provider=provider
        )
    return found


def _found(name: str, status: str, version: str) -> PackageState:
    match status:
        case "installed":
            return PackageState(name=name, presence=Presence.INSTALLED, version=version)
        case "not-installed":
            return PackageState(name=name, presence=Presence.ABSENT)
        case "config-files":
            return PackageState(name=name, presence=Presence.CONFIG_FILES)
        case _:
            return PackageState(name=name, presence=Presence.BROKEN, version=version, status=status)


def _candidates(lines: list[str]) -> dict[str, str]:
    """Name to version, from `apt-cache policy`; a virtual package has none of its own."""
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith("  Candidate: "):
            version = line.removeprefix("  Candidate: ")
            if version != "(none)":
                found[name] = version
        else:
            name = line.removesuffix(":")
    return found
