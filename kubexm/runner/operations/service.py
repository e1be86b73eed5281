"""Services as they should be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubexm.runner.operation import EVERYTHING, Operation, Scope, scope

_FILES: Scope = frozenset(
    f"file:{place}/*"
    for place in (
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
        "/etc/init.d",
    )
)
"""Where a service is described."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.@\\-]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Operation):
    """A service is enabled or not, and running or not.

    Args:
        name: With or without ".service".
        enabled: Starts at boot; `None` leaves it.
        running: Runs now; `None` leaves it. In an image nothing runs.
        restarted_after: Files that it reads when it starts. Where it runs and has been started
            before one of them was last changed, it is restarted. This is a state like any other,
            so a restart that a broken run still owes is done by the next one.
    """

    name: str
    enabled: bool | None = True
    running: bool | None = True
    restarted_after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            message = f"not the name of a service: {self.name!r}"
            raise ValueError(message)

    @property
    def unit(self) -> str:
        """The name with its suffix, as systemd writes it."""
        suffixes = (".service", ".socket", ".timer", ".target", ".path", ".mount", ".swap")
        return self.name if self.name.endswith(suffixes) else f"{self.name}.service"

    def label(self) -> str:
        """See `Operation.label`."""
        return f"service {self.name}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return _FILES | {f"unit:{self.unit}"} | scope("file", self.restarted_after)

    def alters(self) -> Scope:
        """See `Operation.alters`: starting a service may do anything."""
        return EVERYTHING
