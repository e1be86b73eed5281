"""An inventory file → an `Inventory`, or every fault in it at once."""

from __future__ import annotations

from graphlib import CycleError
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError
from kubexm.inventory import hierarchy, variable
from kubexm.inventory.draft import Draft
from kubexm.inventory.inheritance import Inheritance
from kubexm.inventory.node import mapping_from
from kubexm.inventory.problem import Problems
from kubexm.inventory.source import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubexm.inventory.model import Inventory

_NOTHING: Mapping[str, object] = MappingProxyType({})


def load(path: Path, *, extra_variables: Mapping[str, object] = _NOTHING) -> Inventory:
    """Read an inventory, without touching a host.

    Args:
        path: A file of Ansible's YAML format.
        extra_variables: From the command line; they have the last word on every host.

    Raises:
        InventoryError: It cannot be read, or something in it is wrong.
        InventoryErrors: Several things are.
    """
    problems = Problems(str(path))
    text = read_text(path)
    # ruamel.yaml comes with it, and `inv --list` must not pay for that
    from kubexm.inventory.document import parse

    root = parse(text, problems)
    draft = Draft(path.absolute().parent, problems)
    if root is not None and root.value is not None:
        draft.read(root)
    extra = variable.read(mapping_from(extra_variables), "extra variables", Path.cwd(), problems)
    if problems and text.startswith("#!"):
        message = "this is a program, not an inventory in YAML"
        hint = "kubexm does not run it: save what it says as YAML"
        raise InventoryError(message, path=str(path), line=1, hint=hint)
    parents = hierarchy.parents_of({name: group.children for name, group in draft.groups.items()})
    depths = _depths(draft, parents, problems)
    priorities = {
        name: variable.priority(group.variables, problems) for name, group in draft.groups.items()
    }
    problems.raise_if_any()
    if not draft.hosts:
        message = "is empty" if root is None else "has no hosts"
        raise InventoryError(message, path=str(path), hint=_FIRST_HOST)
    inventory = Inheritance(draft, parents, depths, priorities, extra).build(path, problems)
    problems.raise_if_any()
    return inventory


def _depths(
    draft: Draft, parents: Mapping[str, Iterable[str]], problems: Problems
) -> Mapping[str, int]:
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
        place, parent, child = max(edges)
        start = around.index(child)
        circle = [*around[start:-1], *around[:start], child]
        problems.add(
            f"group {child!r} is in itself: {' → '.join(circle)}",
            place.line,
            place.column,
            key=child,
            hint=f"take {child!r} out of the children of {parent!r}",
        )
        return {}


_FIRST_HOST = "write one: 'all: {hosts: {web1: {kubexm_host: 192.0.2.1}}}'"
