"""Groups as a graph below `all`: cycles, depths and who belongs to what. Pure."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from kubexm.inventory.name import ALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def parents_of(children: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The parents of every group; those without any are children of `all`.

    Args:
        children: Of every group, `all` too.
    """
    parents: dict[str, set[str]] = {name: set() for name in children}
    for parent, names in children.items():
        for name in names:
            parents[name].add(parent)
    for name, found in parents.items():
        if name != ALL and (not found or found == {name}):
            found.add(ALL)
    return parents


def depths_of(parents: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Steps down from `all` on the longest way, in an order with parents first.

    Raises:
        CycleError: A group is its own ancestor; `args[1]` goes from parent to child around it.
    """
    depths: dict[str, int] = {}
    for name in TopologicalSorter(parents).static_order():
        depths[name] = max((depths[parent] + 1 for parent in parents[name]), default=0)
    return depths


def cycle_of(error: CycleError) -> list[str]:
    """The groups around a cycle, from parent to child, the first one again at the end."""
    around: list[str] = error.args[1]
    return around


def ancestors_of(
    parents: Mapping[str, Iterable[str]], depths: Mapping[str, int]
) -> dict[str, frozenset[str]]:
    """Every group and all that it is in, `all` included.

    Args:
        parents: Of every group.
        depths: Of every group, parents first.
    """
    found: dict[str, frozenset[str]] = {}
    for name in depths:
        found[name] = frozenset({name}).union(*(found[parent] for parent in parents[name]))
    return found
