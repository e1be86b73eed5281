"""A pool at one moment, counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubexm.connector.pool.key import Key


class Count(NamedTuple):
    """Connections that are leased, that wait for their next use, being made, being closed."""

    active: int = 0
    idle: int = 0
    dialling: int = 0
    closing: int = 0

    @property
    def total(self) -> int:
        """All that count towards the limits."""
        return self.active + self.idle + self.dialling + self.closing

    def plus(self, other: Count) -> Count:
        """Both together."""
        return Count(*map(sum, zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """What a pool holds.

    Args:
        by_label: Connections by where they lead. Keys that differ only in a credential are one
            here; a bastion is active as long as it is there.
        bastions: The shared connections that others go through; they count towards no limit.
        waiting: Whom somebody waits for, in the order of the queue.
    """

    by_label: Mapping[str, Count]
    bastions: int
    waiting: tuple[str, ...]

    @classmethod
    def of(
        cls, counts: Mapping[Key, Count], waiting: Iterable[Key], bastions: Iterable[str]
    ) -> PoolState:
        """From the pool's books."""
        parts = [(key.label, count) for key, count in counts.items()]
        through = [(label, Count(active=1)) for label in bastions]
        by_label: dict[str, Count] = {}
        for label, count in (*through, *parts):
            by_label[label] = by_label.get(label, Count()).plus(count)
        return cls(
            by_label=by_label,
            bastions=len(through),
            waiting=tuple(key.label for key in waiting),
        )

    @property
    def all(self) -> Count:
        """All connections but the bastions."""
        together = Count(active=-self.bastions)
        for count in self.by_label.values():
            together = together.plus(count)
        return together
