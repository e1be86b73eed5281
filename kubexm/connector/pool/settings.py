"""The limits of a pool, as one checked value."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """How many connections there may be, and how long each lives.

    Args:
        max_total: Connections in total, idle ones included; bastions are not counted.
        max_per_key: Connections to one host with one login.
        max_idle_per_key: Of these, how many are kept while nobody uses them.
        min_idle_per_key: How many are made and kept ready, once a host was used.
        max_age_s: An older connection is closed when nobody uses it, or when it comes back.
        idle_timeout_s: One that nobody has used for so long is closed.
        health_check_s: One that has been idle for so long is asked whether it still answers,
            while it is idle and before it is handed out.
        connect_timeout_s: For the answer to that question, and for trying again when a host
            hangs up on new connections (MaxStartups).
        wait_timeout_s: For a connection to become free.
        max_dials: Connections that are being made at once.
    """

    max_total: int = 100
    max_per_key: int = 5
    max_idle_per_key: int = 3
    min_idle_per_key: int = 0
    max_age_s: float = 3600
    idle_timeout_s: float = 600
    health_check_s: float = 60
    connect_timeout_s: float = 15
    wait_timeout_s: float = 60
    max_dials: int = 32

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            problem = self._problem(field.name)
            if problem:
                raise SettingError(field.name, problem)
        if self.min_idle_per_key > min(self.max_idle_per_key, self.max_per_key):
            name, problem = "min_idle_per_key", "is more than max_idle_per_key or max_per_key"
            raise SettingError(name, problem)

    def _problem(self, name: str) -> str:
        """What is wrong with one value; empty when nothing is."""
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "is not a number"
        if name.endswith("_s"):
            return "" if value > 0 and math.isfinite(value) else "is not more than 0 seconds"
        if not isinstance(value, int):
            return "is not a whole number"
        least = 0 if "idle" in name else 1
        return "" if value >= least else f"is less than {least}"

    def updated(self, changes: Mapping[str, object]) -> PoolSettings:
        """These settings with others in their place.

        Raises:
            SettingError: A name is unknown or a value makes no sense.
        """
        names = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in names:
                close = [one for one in names if name in one]
                close = close or difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(names)}"
                raise SettingError(name, "is not a setting of the pool", hint=hint)
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type] # checked by __post_init__


class SettingError(UsageError):
    """A setting of the pool that cannot be; `setting` is its name."""

    def __init__(self, setting: str, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{setting} {problem}", hint=hint)
        self.setting = setting
        self.problem = problem
