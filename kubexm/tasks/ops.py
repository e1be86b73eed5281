"""`inv ops.*`: what operations there are, and what each of them takes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from invoke.collection import Collection

from kubexm.errors import UsageError
from kubexm.tasks.flags import local_task

if TYPE_CHECKING:
    from kubexm.runner.reference import Reference
    from kubexm.tasks.fleet import Fleet


@local_task()
def list_(fleet: Fleet) -> None:
    """Show every operation and the OS families that have a handler of their own for it."""
    from kubexm.ui import table

    found = _references()
    if fleet.flags.output == "json":
        print(json.dumps([_as_json(each) for each in found], indent=2))
        return
    rows = [(each.name, ", ".join(each.families) or "none", each.summary) for each in found]
    print(table(("operation", "families", "what it says"), rows, right=frozenset()))


@local_task(help={"name": "of an operation, as inv ops.list has it"})
def doc(fleet: Fleet, name: str) -> None:
    """Show one operation: what it means, its arguments, who handles it."""
    from kubexm.inventory.select import closest

    found = {each.name: each for each in _references()}
    if name not in found:
        message = f"no operation {name!r}"
        raise UsageError(message, hint=closest(name, tuple(found)) or "inv ops.list shows them all")
    if fleet.flags.output == "json":
        print(json.dumps(_as_json(found[name]), indent=2))
        return
    print(_described(found[name]))


def _references() -> tuple[Reference, ...]:
    from kubexm.runner import Catalogue
    from kubexm.runner.reference import references

    return references(Catalogue.installed())


def _as_json(reference: Reference) -> dict[str, object]:
    return {**asdict(reference), "summary": reference.summary}


def _described(reference: Reference) -> str:
    lines = [f"{reference.name} ({reference.module})", "", reference.text]
    if reference.arguments:
        lines.append("")
    for argument in reference.arguments:
        default = f" = {argument.default}" if argument.default else ""
        lines.append(f"  {argument.name}: {argument.type}{default}")
        if argument.text:
            lines.append(f"      {argument.text}")
    families = ", ".join(reference.families)
    handled = f"{families}, and families that extend it" if families else "no family"
    return "\n".join([*lines, "", f"handled by: {handled}"])


ns = Collection("ops")
ns.add_task(list_, name="list")
ns.add_task(doc)
