"""Packages as they should be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubexm.runner.operation import EVERYTHING, Operation, Scope, scope

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:@-]*", re.ASCII)
_SOURCES: Scope = frozenset(
    f"file:/etc/{name}*" for name in ("apk/", "apt/", "dnf/", "pacman", "yum", "zypp/")
)
"""Where package managers are told what is on offer."""


def check_names(names: frozenset[str]) -> None:
    """Refuse what is no package name in any of the package managers.

    Raises:
        ValueError: One is not; a leading dash would be an option.
    """
    for name in sorted(names):
        if not _NAME.fullmatch(name):
            message = f"not a package name: {name!r}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesInstalled(Operation):
    """These packages are installed, in whatever version the host's repositories offer.

    What is installed already is not upgraded.

    Args:
        names: As the host's package manager calls them.
        cache_valid_s: The package index is refreshed before an installation when it is older
            than so many seconds, or when a name is not in it.
        recommends: Install what the packages recommend as well; `None` leaves that to the
            host's own configuration of its package manager.
        start_services: Let the installation start the services that it brings, where the
            distribution does that. In an image nothing is started.
        deadline_s: For the whole transaction, waiting for the package lock included.
    """

    names: frozenset[str]
    cache_valid_s: int = 86_400
    recommends: bool | None = None
    start_services: bool = True
    deadline_s: int = 900

    def __post_init__(self) -> None:
        check_names(self.names)

    def label(self) -> str:
        """See `Operation.label`."""
        return "packages " + ", ".join(sorted(self.names))

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return scope("package", self.names) | _SOURCES

    def alters(self) -> Scope:
        """See `Operation.alters`: a package may bring files, units, users, anything."""
        return EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesRemoved(Operation):
    """None of these packages is installed; their configuration files stay.

    Args:
        names: As the host's package manager calls them.
        deadline_s: For the whole transaction, waiting for the package lock included.
    """

    names: frozenset[str]
    deadline_s: int = 900

    def __post_init__(self) -> None:
        check_names(self.names)

    def label(self) -> str:
        """See `Operation.label`."""
        return "no packages " + ", ".join(sorted(self.names))

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return scope("package", self.names)

    def alters(self) -> Scope:
        """See `Operation.alters`."""
        return EVERYTHING
