"""What the bodies of steps find out once, not once for every host."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from kubexm.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class _Slot:
    """One value. `maker` is the thread that makes it, by its number."""

    maker: int | None = None
    is_made: bool = False
    value: object = None


class Cache:
    """Values by scope and key, each made once. It lives as long as the run, in one process.

    `_changed` guards all of it. While one value is made, those who want it wait, and nobody else.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._slots: dict[tuple[str, Hashable], _Slot] = {}
        self._awaited: dict[int, _Slot] = {}
        """What each thread waits for."""

    def get(self, scope: str, key: Hashable, make: Callable[[], _T]) -> _T:
        """The value, made now unless it is there. What `make` raises is not kept.

        Raises:
            PlanError: The value rests on itself, perhaps by way of others.
        """
        me = threading.get_ident()
        with self._changed:
            slot = self._slots.setdefault((scope, key), _Slot())
            while slot.maker is not None:
                if self._waits_for(slot, me):
                    message = f"the cached value {key!r} rests on itself"
                    raise PlanError(message, hint="make one of the two without the other")
                self._awaited[me] = slot
                self._changed.wait()
                del self._awaited[me]
            if slot.is_made:
                return cast("_T", slot.value)
            slot.maker = me
        try:
            value = make()
        except BaseException:
            self._settle(slot)
            raise
        slot.value, slot.is_made = value, True
        self._settle(slot)
        return value

    def _waits_for(self, slot: _Slot, thread: int) -> bool:
        """Whether who makes a value waits, perhaps by way of others, for this thread."""
        maker = slot.maker
        while maker is not None and maker != thread:
            awaited = self._awaited.get(maker)
            maker = None if awaited is None else awaited.maker
        return maker == thread

    def _settle(self, slot: _Slot) -> None:
        with self._changed:
            slot.maker = None
            self._changed.notify_all()
