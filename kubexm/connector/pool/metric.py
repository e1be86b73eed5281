"""What a pool has done so far, counted."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Counters:
    """Numbers that only grow, by label. `_lock` guards them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dials: Counter[str] = Counter()
        self._errors: Counter[tuple[str, str]] = Counter()
        self._waits: Counter[str] = Counter()
        self._waited_s: dict[str, float] = {}

    @property
    def dials(self) -> Mapping[str, int]:
        """How often each was dialled; a try again after a drop counts."""
        with self._lock:
            return dict(self._dials)

    @property
    def errors(self) -> Mapping[tuple[str, str], int]:
        """How often each failed, by label and kind."""
        with self._lock:
            return dict(self._errors)

    @property
    def waits(self) -> Mapping[str, tuple[int, float]]:
        """How many waited for each, and how many seconds together."""
        with self._lock:
            return {label: (count, self._waited_s[label]) for label, count in self._waits.items()}

    def dialled(self, label: str) -> None:
        """A connection is being made."""
        with self._lock:
            self._dials[label] += 1

    def failed(self, label: str, kind: str) -> None:
        """Something went wrong: the name of an error's class, or a word."""
        with self._lock:
            self._errors[label, kind] += 1

    def waited(self, label: str, seconds: float) -> None:
        """Somebody got a connection, or the leave to dial one, or gave up."""
        with self._lock:
            self._waits[label] += 1
            self._waited_s[label] = self._waited_s.get(label, 0.0) + seconds
