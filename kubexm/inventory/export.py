"""An inventory as plain data for other programs and for people: secrets are masked."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError
from kubexm.inventory.name import ALL
from kubexm.inventory.node import is_hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kubexm.connector import Endpoint, Inside
    from kubexm.inventory.model import Host, Inventory
    from kubexm.shell import Escalation


def shown(value: object) -> object:
    """A variable's value as JSON has it, with `***` for what is secret."""
    match value:
        case Mapping():
            return {_key(key): shown(item) for key, item in value.items()}
        case list() | tuple():
            return [shown(item) for item in value]
        case None | bool() | int():
            return value
        case str():
            # also the value of an enumeration
            return str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case _:
            return str(value)


def _key(key: object) -> str:
    """As `json.dumps` writes keys that are no strings."""
    return key if isinstance(key, str) else json.dumps(shown(key))


def evaluated(host: Host) -> Iterator[tuple[str, object, InventoryError | None]]:
    """The variables of a host, templates evaluated; no secret is fetched for it.

    Yields:
        Name and value; where a template cannot be evaluated, its text and the reason.
    """
    for name, raw in host.written.items():
        if is_hidden(raw):
            yield name, raw, None
            continue
        try:
            yield name, host.variables[name], None
        except InventoryError as error:
            yield name, raw, error


def as_ansible(inventory: Inventory, hosts: Iterable[Host]) -> dict[str, object]:
    """What `ansible-inventory --list` prints: groups, and the variables of each host in `_meta`.

    Variables are as they are written, templates too, as there.

    Args:
        inventory: All of it.
        hosts: Those to show; groups have only these.
    """
    selected = {host.name: host for host in hosts}
    found: dict[str, object] = {}
    for name, group in inventory.groups.items():
        members = [] if name == ALL else [host for host in group.hosts if host in selected]
        entry = {"hosts": members, "children": list(group.children)}
        if any(entry.values()):
            found[name] = {key: names for key, names in entry.items() if names}
    variables = {name: shown(host.written) for name, host in selected.items()}
    return {"_meta": {"hostvars": {name: own for name, own in variables.items() if own}}, **found}


def resolved(host: Host) -> dict[str, object]:
    """A host as `load` understood it; what is not set is left out."""
    become = {"when": host.become, **_fields(host.escalation)}
    whole = {
        "address": host.address,
        "internal_address": host.internal_address,
        "groups": host.groups,
        "labels": host.labels,
        "mode": host.mode,
        "family": host.family,
        "connection": _set({"plugin": host.connection, **_endpoint(host.endpoint)}),
        "become": become,
        "variables": {name: value for name, value, _ in evaluated(host)},
    }
    return _set(whole)


def _endpoint(endpoint: Endpoint) -> dict[str, object]:
    bastions = tuple(_endpoint(bastion) for bastion in endpoint.bastions)
    inside = _fields(endpoint.inside)
    return {**_fields(endpoint), "bastions": bastions, "inside": inside}


def _fields(value: Endpoint | Inside | Escalation) -> dict[str, object]:
    """What is set of a value; its name is said elsewhere."""
    found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {name: item for name, item in found.items() if item and name != "name"}


def _set(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: shown(value) for name, value in fields.items() if value}


def tree(inventory: Inventory, hosts: Iterable[Host]) -> Iterator[str]:
    """The lines of the groups' tree, as `ansible-inventory --graph` draws it."""
    selected = {host.name for host in hosts}

    def below(name: str, depth: int) -> Iterator[str]:
        start = "  |" * depth
        yield f"{start}--@{name}:" if depth else f"@{name}:"
        group = inventory.groups[name]
        for child in group.children:
            yield from below(child, depth + 1)
        if name != ALL:
            yield from (f"{start}  |--{host}" for host in group.hosts if host in selected)

    return below(ALL, 0)


def dot(inventory: Inventory, hosts: Iterable[Host]) -> Iterator[str]:
    """The lines of the same as a graph for Graphviz: each group and each host once."""
    selected = {host.name for host in hosts}
    yield "digraph inventory {"
    yield "  rankdir=LR;"
    for name, group in inventory.groups.items():
        yield f"  {_quoted('group', name)} [label={json.dumps(name)}, shape=box];"
        for child in group.children:
            yield f"  {_quoted('group', name)} -> {_quoted('group', child)};"
        if name != ALL:
            for host in group.hosts:
                if host in selected:
                    yield f"  {_quoted('group', name)} -> {_quoted('host', host)};"
    for host in selected:
        yield f"  {_quoted('host', host)} [label={json.dumps(host)}, shape=ellipse];"
    yield "}"


def _quoted(kind: str, name: str) -> str:
    return json.dumps(f"{kind} {name}")


def as_graph(inventory: Inventory, hosts: Iterable[Host]) -> dict[str, object]:
    """The same as data: what is right below each group, and how deep that is."""
    selected = {host.name for host in hosts}
    return {
        name: {
            "depth": group.depth,
            "children": list(group.children),
            "hosts": [host for host in group.hosts if host in selected],
        }
        for name, group in inventory.groups.items()
    }
