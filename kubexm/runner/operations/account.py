"""Users and groups as they should be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubexm.runner.operation import Operation, Scope, scope

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}\$?", re.ASCII)
"""useradd(8), CAVEATS."""


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        message = f"not the name of a user or group: {name!r}"
        raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserGroup(Operation):
    """A group exists.

    Args:
        name: Its name.
        gid: Its number; `None` leaves the choice to the host.
        system: With a number from the system's range, where it has to be made.
    """

    name: str
    gid: int | None = None
    system: bool = False

    def __post_init__(self) -> None:
        _check(self.name)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"group {self.name}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return frozenset({f"group:{self.name}", "file:/etc/group"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAccount(Operation):
    """A user exists, in these groups among others.

    Args:
        name: Its name.
        uid: Its number; `None` leaves the choice to the host.
        group: Its primary group, which has to exist; empty leaves it (for a new user: the host's
            own rule, usually a group of the same name).
        groups: Groups that it is in, among others.
        shell: Its login shell; empty leaves it.
        home: Its home directory; empty leaves it.
        create_home: Make the home directory with a new user.
        system: With a number from the system's range, where it has to be made.
    """

    name: str
    uid: int | None = None
    group: str = ""
    groups: frozenset[str] = frozenset()
    shell: str = ""
    home: str = ""
    create_home: bool = False
    system: bool = False

    def __post_init__(self) -> None:
        for name in (self.name, *filter(None, (self.group,)), *self.groups):
            _check(name)
        for path in filter(None, (self.shell, self.home)):
            if not path.startswith("/") or ":" in path or "\n" in path:
                message = f"not a path for /etc/passwd: {path!r}"
                raise ValueError(message)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"user {self.name}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        own = frozenset({f"user:{self.name}", "file:/etc/passwd", "file:/etc/group"})
        return own | scope("group", self.groups | {self.group or self.name})

    def alters(self) -> Scope:
        """See `Operation.alters`: useradd(8) copies files into a home that it makes."""
        if not self.create_home:
            return self.touches()
        home = self.home or f"/home/{self.name}"
        return self.touches() | scope("file", {home, f"{home}/*"})
