"""What differs between a run and the one that is to go on with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from kubexm.engine.record import RunBegan

_NAMED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What has changed since a run began; names in the order of plan and inventory.

    Args:
        steps: Steps that ask for something else now.
        new_steps: Steps that the run did not have.
        lost_steps: Steps that are gone.
        is_reordered: The steps are the same ones in another order or with other conditions.
        hosts: Hosts of which the inventory says something else.
        new_hosts: Hosts that the run did not have.
        absent_hosts: Hosts of the run that are not among those of this one.
    """

    steps: tuple[str, ...] = ()
    new_steps: tuple[str, ...] = ()
    lost_steps: tuple[str, ...] = ()
    is_reordered: bool = False
    hosts: tuple[str, ...] = ()
    new_hosts: tuple[str, ...] = ()
    absent_hosts: tuple[str, ...] = ()

    def matter(self, *, narrowed: bool = False) -> bool:
        """Whether going on would not be the same run; fewer hosts (`--limit`) still are.

        Args:
            narrowed: So are fewer steps, because that was asked for.
        """
        return bool(
            self.steps
            or self.new_steps
            or (self.lost_steps and not narrowed)
            or self.is_reordered
            or self.hosts
            or self.new_hosts
        )

    def lines(self) -> tuple[str, ...]:
        """Each difference in words."""
        return tuple(self._lines())

    def _lines(self) -> Iterator[str]:
        for names, said in (
            (self.steps, "steps that ask for something else now"),
            (self.new_steps, "new steps"),
            (self.lost_steps, "steps that are gone"),
            (self.hosts, "hosts of which the inventory says something else now"),
            (self.new_hosts, "new hosts"),
            (self.absent_hosts, "hosts of that run that are not in this one, and stay as they are"),
        ):
            if names:
                yield f"{said}: {_some(names)}"
        if self.is_reordered:
            yield "the plan's order or its rules are others now"


def differences(connection: sqlite3.Connection, old: str, entry: RunBegan) -> Differences:
    """Compare what a run began with and what its successor begins with."""
    steps = _digests(connection, "SELECT step, digest FROM plan_step", old)
    hosts = _digests(connection, "SELECT host, digest FROM host", old)
    (digest,) = connection.execute("SELECT digest FROM run WHERE run = ?", (old,)).fetchone()
    return Differences(
        steps=_other(steps, entry.steps),
        new_steps=tuple(step for step in entry.steps if step not in steps),
        lost_steps=tuple(step for step in steps if step not in entry.steps),
        is_reordered=steps == entry.steps and digest != entry.digest,
        hosts=_other(hosts, entry.hosts),
        new_hosts=tuple(host for host in entry.hosts if host not in hosts),
        absent_hosts=tuple(host for host in hosts if host not in entry.hosts),
    )


def _digests(connection: sqlite3.Connection, sql: str, run: str) -> dict[str, str]:
    return dict(connection.execute(f"{sql} WHERE run = ? ORDER BY position", (run,)).fetchall())


def _other(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in after if name in before and before[name] != after[name])


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
