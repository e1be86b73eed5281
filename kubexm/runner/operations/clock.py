"""The clock as it should be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubexm.runner.operation import Operation, Scope

_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timezone(Operation):
    """The machine's local time is that of this zone (localtime(5)).

    Args:
        name: Of the tz database: "UTC", "Europe/Berlin".
    """

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            message = f"not the name of a time zone: {self.name!r}"
            raise ValueError(message)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"timezone {self.name}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        zone = f"file:/usr/share/zoneinfo/{self.name}"
        return frozenset({"file:/etc/localtime", "file:/etc/timezone", zone})
