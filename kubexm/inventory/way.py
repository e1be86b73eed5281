"""What the connection variables of a host mean together: the way to it, through others or not.

Each variable by itself is checked where it is read; here are the faults that need all of a host's,
or other hosts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.errors import InventoryError
from kubexm.inventory.model import Origin
from kubexm.inventory.name import CONTROL_NODE
from kubexm.inventory.problem import InventoryErrors
from kubexm.inventory.select import closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kubexm.inventory.model import Host, Inventory

VIA = "kubexm_via"

_NOWHERE = Origin("", 0, 0)
_ADDRESS = ("kubexm_host", "ansible_host", "ansible_ssh_host")
_CONNECTION = ("kubexm_connection", "ansible_connection")
_DIRECT = {
    "local": "it is this machine",
    "sandbox": "it is a copy of this machine",
    "ssh": "use kubexm_bastion, or kubexm_connection: openssh",
}
"""The connections that go through no other host, and what to do instead."""


def check(inventory: Inventory) -> None:
    """Refuse ways that lead nowhere.

    Raises:
        InventoryError: A host goes through one that does not exist, or through itself, or by a
            connection that goes through none; or it has no place that its connection can reach.
        InventoryErrors: Several do.
    """
    hosts = {host.name: host for host in (*inventory.hosts, inventory.control)}
    faults: dict[tuple[str, int, int, str], InventoryError] = {}
    for host in inventory.hosts:
        for names, message, hint in _faults(host, hosts):
            name = next((name for name in names if name in host.origins), "")
            origin = host.origins[name] if name else _NOWHERE
            faults[origin.path, origin.line, origin.column, message] = InventoryError(
                message,
                path=origin.path if name else str(inventory.path),
                line=origin.line,
                column=origin.column,
                key=name,
                hint=hint,
            )
    found = [faults[place] for place in sorted(faults)]
    if len(found) > 1:
        raise InventoryErrors(str(inventory.path), found)
    if found:
        raise found[0]


def _faults(host: Host, hosts: Mapping[str, Host]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Variables that may be at fault, message and hint of each fault."""
    if host.via:
        yield from _via(host, hosts)
    is_path = host.endpoint.address.startswith("/")
    if host.connection == "chroot":
        if not (host.endpoint.inside.root or is_path):
            message = f"host {host.name!r} is a chroot without a directory"
            yield _CONNECTION, message, "set kubexm_root to the absolute path of its tree"
    elif is_path:
        message = f"{host.endpoint.address!r} of host {host.name!r} is no host name or IP address"
        yield _ADDRESS, message, "a path is for kubexm_connection: chroot"


def _via(host: Host, hosts: Mapping[str, Host]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if host.connection in _DIRECT:
        message = f"host {host.name!r} has {VIA}, which {host.connection} does not know"
        yield (VIA,), message, _DIRECT[host.connection]
        return
    circle = [host.name]
    while via := hosts[circle[-1]].via:
        circle.append(via)
        if via not in hosts:
            if len(circle) == 2:  # noqa: PLR2004 - else it is the fault of one on the way
                message = f"host {host.name!r} goes through {via!r}, which is no host"
                yield (VIA,), message, closest(via, (*hosts, CONTROL_NODE))
            return
        if via in circle[:-1]:
            if via == host.name:
                message = f"host {host.name!r} goes through itself: {' → '.join(circle)}"
                yield (VIA,), message, f"one of them must be reached without {VIA}"
            return
