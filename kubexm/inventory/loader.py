"""The sources of an inventory → an `Inventory`, or every fault in them at once."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from graphlib import CycleError
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError, UsageError
from kubexm.inventory import extra, hierarchy, way
from kubexm.inventory.adjacent import Adjacent
from kubexm.inventory.draft import Draft
from kubexm.inventory.inheritance import Above, Inheritance
from kubexm.inventory.problem import Problems
from kubexm.inventory.safe import Safe
from kubexm.inventory.source import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kubexm.inventory.model import Inventory
    from kubexm.inventory.safe import VaultKey

_NOTHING: Mapping[str, object] = MappingProxyType({})


def load(
    *sources: Path | str,
    extra_variables: Mapping[str, object] = _NOTHING,
    extra_words: Sequence[str] = (),
    arguments: Mapping[str, object] = _NOTHING,
    vault_keys: Sequence[VaultKey] = (),
    merge: bool = False,
) -> Inventory:
    """Read an inventory, without touching a host.

    Args:
        sources: Files, directories, programs or lists of hosts ("a,b,"), or what plugins of
            `kubexm.inventories` know; of two that set one variable the later has the say.
        extra_variables: They have the last word on every host.
        extra_words: The same, as `--extra-var` has them: "name=value", "@file", JSON.
        arguments: The arguments of the task; only extra variables are stronger.
        vault_keys: Passwords of Ansible Vault.
        merge: Merge mappings that several levels set, instead of letting the last one count.

    Raises:
        InventoryError: It cannot be read, or something in it is wrong.
        InventoryErrors: Several things are.
    """
    if not sources:
        message = "an inventory wants at least one source"
        raise UsageError(message)
    names = tuple(str(source) for source in sources)
    with _uncollected():
        return _loaded(names, extra_variables, extra_words, arguments, vault_keys, merge=merge)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector.

    Everything that is made stays, so that looking for what does not takes half of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _loaded(
    names: Sequence[str],
    extra_variables: Mapping[str, object],
    extra_words: Sequence[str],
    arguments: Mapping[str, object],
    vault_keys: Sequence[VaultKey],
    *,
    merge: bool,
) -> Inventory:
    """The whole way from the sources to the inventory."""
    problems, safe = Problems(), Safe(vault_keys)
    reading = Reading(problems, safe)
    draft = Draft()
    is_empty = True
    for name in names:
        for document in reading.read(name):
            is_empty &= document.is_empty
            draft.read(document)
    above = Above(
        arguments=extra.arguments(arguments, reading),
        extra=extra.read(extra_variables, extra_words, reading),
        merge=merge,
    )
    parents = hierarchy.parents_of({name: group.children for name, group in draft.groups.items()})
    depths = _depths(draft, parents)
    if not problems and not draft.hosts:
        message = "is empty" if is_empty else "has no hosts"
        raise InventoryError(message, path=names[0], hint=_FIRST_HOST)
    if not depths:
        problems.raise_if_any()
    inheritance = Inheritance(
        draft,
        parents=parents,
        depths=depths,
        beside=[Adjacent(directory, reading) for directory in _directories(names)],
        above=above,
        problems=problems,
    )
    inventory = inheritance.build(Path(names[0]), names)
    problems.raise_if_any()
    way.check(inventory)
    safe.ready()
    return inventory


def _directories(sources: Sequence[str]) -> Iterable[Path]:
    """Where `group_vars` and `host_vars` may be: a source itself, or the directory it is in."""
    for source in sources:
        path = Path(source)
        if path.is_dir():
            yield path
        elif path.exists():
            yield path.parent


def _depths(draft: Draft, parents: Mapping[str, Iterable[str]]) -> Mapping[str, int]:
    """The depth of every group; empty when groups go round in a circle, which is noted."""
    try:
        return hierarchy.depths_of(parents)
    except CycleError as error:
        around = hierarchy.cycle_of(error)
        edges = [
            (draft.groups[parent].children[child], parent, child)
            for parent, child in pairwise(around)
            if child in draft.groups[parent].children
        ]
        # the edge that was written last closed the circle
        place, parent, child = max(edges, key=lambda edge: edge[0].written)
        start = around.index(child)
        circle = [*around[start:-1], *around[:start], child]
        place.file.add(
            f"group {child!r} is in itself: {' → '.join(circle)}",
            place.line,
            place.column,
            key=child,
            hint=f"take {child!r} out of the children of {parent!r}",
        )
        return {}


_FIRST_HOST = "write one: 'all: {hosts: {web1: {kubexm_host: 192.0.2.1}}}'"
