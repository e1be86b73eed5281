"""`inv inventory.*`: what the inventory says, before anything connects."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from invoke.collection import Collection

from kubexm.errors import InventoryError
from kubexm.tasks.flags import local_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubexm.inventory import Host, Inventory
    from kubexm.tasks.fleet import Fleet

_READS = (
    "inventory",
    "extra_var",
    "merge_vars",
    "ask_vault_pass",
    "vault_password_file",
    "vault_id",
)
_LOOKS = (*_READS, "limit")


@local_task(*_LOOKS)
def show(fleet: Fleet) -> None:
    """Show each host with its groups, connection and variables, as they were understood."""
    from kubexm.inventory.check import unresolved
    from kubexm.inventory.export import resolved

    _, hosts = _selected(fleet)
    for warning in unresolved(hosts):
        print(f"warning: {warning}", file=sys.stderr)
    found = {host.name: resolved(host) for host in hosts}
    if fleet.flags.output == "json":
        _print_json(found)
        return
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 10_000
    yaml.dump(found, sys.stdout)


@local_task(*_LOOKS)
def list_(fleet: Fleet) -> None:
    """Print what `ansible-inventory --list` prints, for programs that read that."""
    from kubexm.inventory.export import as_ansible

    print(json.dumps(as_ansible(*_selected(fleet)), indent=4, sort_keys=True))


@local_task(*_LOOKS, help={"dot": "as a graph for Graphviz"})
def graph(fleet: Fleet, dot: bool = False) -> None:
    """Show the groups as a tree; with --dot as a graph for Graphviz."""
    from kubexm.inventory import export

    inventory, hosts = _selected(fleet)
    if fleet.flags.output == "json":
        _print_json(export.as_graph(inventory, hosts))
        return
    for line in (export.dot if dot else export.tree)(inventory, hosts):
        print(line)


@local_task(*_LOOKS)
def check(fleet: Fleet) -> None:
    """Say everything that is wrong with the inventory, at once; exit code 5 when anything is."""
    from kubexm.engine.report import ExitCode
    from kubexm.inventory import InventoryErrors
    from kubexm.ui import explain

    errors: Sequence[InventoryError] = ()
    warnings: Sequence[str] = ()
    inventory: Inventory | None = None
    try:
        inventory, hosts = _selected(fleet)
    except InventoryErrors as several:
        errors = several.problems
    except InventoryError as single:
        errors = (single,)
    else:
        from kubexm.inventory.check import faults, unresolved

        errors, warnings = faults(hosts), (*inventory.warnings, *unresolved(hosts))
    counts = {
        "hosts": len(inventory.hosts) if inventory else None,
        "groups": len(inventory.groups) if inventory else None,
    }
    if fleet.flags.output == "json":
        _print_json({**counts, "errors": list(map(_as_json, errors)), "warnings": list(warnings)})
    else:
        for fault in errors:
            print(f"error: {explain(fault)}")
        for warning in warnings:
            print(f"warning: {warning}")
        what = f"{counts['hosts']} hosts, {counts['groups']} groups: " if inventory else ""
        print(f"{what}{_count(len(errors), 'error')}, {_count(len(warnings), 'warning')}")
    if errors:
        fleet.exit_code = ExitCode.USAGE


@local_task(
    *_LOOKS,
    help={"variable": "its name", "host": "a host's name (default: every host of --limit)"},
)
def explain(fleet: Fleet, variable: str, host: str = "") -> None:
    """Show what a variable is for a host, which line of which file said so, and what lost."""
    from kubexm.inventory.explain import explained

    inventory, hosts = _selected(fleet)
    chosen = (inventory.host(host),) if host else hosts
    found = [explained(inventory, each, variable) for each in chosen]
    if fleet.flags.output == "json":
        _print_json([each.as_json() for each in found])
        return
    print("\n".join(line for each in found for line in each.lines()))


@local_task()
def schema(fleet: Fleet) -> None:
    """Print a JSON Schema of inventories, for editors (2020-12)."""
    from kubexm.inventory.schema import schema as made

    del fleet
    _print_json(made())


def _selected(fleet: Fleet) -> tuple[Inventory, tuple[Host, ...]]:
    from kubexm.tasks.fleet import inventory_of

    inventory = inventory_of(fleet.flags)
    return inventory, inventory.select(fleet.flags.limit)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


def _as_json(error: InventoryError) -> dict[str, object]:
    return {
        "path": error.path,
        "line": error.line,
        "column": error.column,
        "key": error.key,
        "message": error.message,
        "hint": error.hint,
    }


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


ns = Collection("inventory")
ns.add_task(show)
ns.add_task(check)
ns.add_task(graph)
ns.add_task(list_, name="list")
ns.add_task(explain)
ns.add_task(schema)
