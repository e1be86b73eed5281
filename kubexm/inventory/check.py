"""What would keep hosts from being connected to, and can be known before anything connects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError
from kubexm.inventory.definition import DEFINITIONS
from kubexm.inventory.export import evaluated
from kubexm.inventory.model import Origin
from kubexm.inventory.problem import InventoryErrors
from kubexm.inventory.select import closest
from kubexm.registry import CONNECTORS, FAMILIES, plugins

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kubexm.connector import Endpoint
    from kubexm.inventory.model import Host

_WITH_KEYS = frozenset({"ssh", "openssh"})
_NOWHERE = Origin("", 0, 0)


def faults(hosts: Iterable[Host]) -> tuple[InventoryError, ...]:
    """Plugins that are not installed and key files that are not there, by their place.

    Args:
        hosts: Those that are to be connected to; another host's missing key is no fault.
    """
    connectors, families = tuple(plugins(CONNECTORS)), tuple(plugins(FAMILIES))
    found: dict[tuple[str, int, int, str], InventoryError] = {}
    hosts = tuple(hosts)
    names = frozenset(host.name for host in hosts)
    for host in hosts:
        for lands, message, hint in _of(host, names, connectors, families):
            name, origin = _where(host, lands)
            said = f"{name} {message}"
            error = InventoryError(
                said, path=origin.path, line=origin.line, column=origin.column, key=name, hint=hint
            )
            found.setdefault((origin.path, origin.line, origin.column, said), error)
    return tuple(found[place] for place in sorted(found))


def raise_faults(hosts: Iterable[Host]) -> None:
    """End here when there is a fault.

    Raises:
        InventoryError: The only one.
        InventoryErrors: All of them.
    """
    found = faults(hosts)
    if len(found) == 1:
        raise found[0]
    if found:
        raise InventoryErrors(found[0].path, found)


def unresolved(hosts: Iterable[Host]) -> tuple[str, ...]:
    """A warning for each template that cannot be evaluated, of however many hosts.

    A mistake only when somebody reads it: in an inventory of Ansible's it may name what only a
    playbook knows.
    """
    found: dict[tuple[str, int, int, str], list[InventoryError]] = {}
    for host in hosts:
        for name, _, error in evaluated(host):
            if error is not None:
                place = (error.path, error.line, error.column, name)
                found.setdefault(place, []).append(error)
    return tuple(
        f"{errors[0]}" + (f" (and on {len(errors) - 1} more)" if errors[1:] else "")
        for _, errors in sorted(found.items(), key=lambda each: each[0])
    )


def _of(
    host: Host, names: frozenset[str], connectors: Sequence[str], families: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """The attribute of `Settings`, what is wrong with it, and what to do.

    A bastion that is one of the hosts, by `names`, is told as itself.
    """
    if host.connection not in connectors and _where(host, "connection")[1] is not _NOWHERE:
        yield "connection", *_missing("connector", host.connection, connectors)
    if host.family and host.family not in families:
        yield "family", *_missing("OS family", host.family, families)
    if host.connection in _WITH_KEYS:
        hint = "a relative path starts at the inventory's directory"
        for lands, path in _keys(host.endpoint):
            if reason := _unreadable(Path(path)):
                yield lands, f"names {path}, which {reason}", hint
        for hop in host.endpoint.bastions:
            for _, path in _keys(hop):
                if hop.name not in names and (reason := _unreadable(Path(path))):
                    yield "bastions", f"leads through {hop.name}, whose key {path} {reason}", hint


def _keys(endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """The files that it logs in with, by the attribute of `Settings`."""
    for lands, path in (
        ("private_key", endpoint.private_key),
        ("certificate", endpoint.certificate),
    ):
        if path:
            yield lands, path


def _missing(kind: str, name: str, known: Sequence[str]) -> tuple[str, str]:
    hint = closest(name, known) or f"installed: {', '.join(known) or 'none'}"
    return f"names the {kind} {name!r}, which is not installed", hint


def _unreadable(path: Path) -> str:
    if not path.exists():
        return "is not there"
    if not path.is_file():
        return "is not a file"
    return "" if os.access(path, os.R_OK) else "may not be read"


def _where(host: Host, lands: str) -> tuple[str, Origin]:
    """The variable that a setting came from; the first of its names when several are set."""
    (definition,) = (each for each in DEFINITIONS if each.lands == lands)
    for name in (definition.name, *definition.aliases):
        if name in host.origins:
            return name, host.origins[name]
    return definition.name, _NOWHERE
