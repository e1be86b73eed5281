"""What the bodies of steps find out once, not once for every host."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class _Slot:
    """One value; its lock is held while it is made, by one who may ask for others meanwhile."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    made: list[object] = field(default_factory=list)


class Cache:
    """Values by scope and key, each made once. It lives as long as the run, in one process.

    `_lock` guards the slots. While one value is made, those who want it wait, and nobody else.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[tuple[str, Hashable], _Slot] = {}

    def get(self, scope: str, key: Hashable, make: Callable[[], _T]) -> _T:
        """The value, made now unless it is there. What `make` raises is not kept."""
        with self._lock:
            slot = self._slots.setdefault((scope, key), _Slot())
        with slot.lock:
            if not slot.made:
                slot.made.append(make())
            return cast("_T", slot.made[0])
