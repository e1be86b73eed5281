"""What a walk has to come to, host by host and step by step, in thirty lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """A step as the reference has it; `needs` and `awaits` name steps before it.

    `fails` says for some hosts how many attempts fail; `unneeded` are those whose `when` is false.
    """

    name: str
    hosts: tuple[str, ...]
    needs: tuple[str, ...] | None = None
    awaits: tuple[str, ...] = ()
    waves: tuple[int, ...] = ()
    max_fail: int = 0
    retries: int = 0
    fails: Mapping[str, int]
    unneeded: frozenset[str] = frozenset()


def outcomes(sketches: Sequence[Sketch], away: frozenset[str]) -> dict[tuple[str, str], str]:
    """Each step's end on each of its hosts: "changed", "failed", "skipped" or "not needed"."""
    ends: dict[tuple[str, str], str] = {}

    def is_undone(host: str, step: str) -> bool:
        return ends.get((host, step)) in ("failed", "skipped")

    def end(sketch: Sketch, host: str) -> str:
        earlier = [other.name for other in sketches[: sketches.index(sketch)]]
        needs = earlier if sketch.needs is None else sketch.needs
        off = [
            other
            for other in sketches
            if other.name in sketch.awaits
            and sum(is_undone(name, other.name) for name in other.hosts) > other.max_fail
        ]
        undone = any(is_undone(host, step) for step in (*needs, *sketch.awaits))
        if host in away or off or undone:
            return "skipped"
        if host in sketch.unneeded:
            return "not needed"
        return "failed" if sketch.fails.get(host, 0) > sketch.retries else "changed"

    for sketch in sketches:
        left, sizes, failed = list(sketch.hosts), list(sketch.waves) or [len(sketch.hosts)], 0
        while left:
            wave, left = left[: sizes[0]], left[sizes[0] :]
            sizes = sizes[1:] or sizes
            is_off = bool(sketch.waves) and failed > sketch.max_fail
            for host in wave:
                ends[host, sketch.name] = "skipped" if is_off else end(sketch, host)
                failed += not is_off and is_undone(host, sketch.name)
    return ends
