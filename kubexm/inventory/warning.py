"""What an inventory may say and probably does not mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.inventory.adjacent import HOSTS
from kubexm.inventory.draft import Place
from kubexm.inventory.name import is_host_name
from kubexm.inventory.select import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kubexm.inventory.adjacent import Adjacent
    from kubexm.inventory.draft import Draft
    from kubexm.inventory.model import Group, Host
    from kubexm.inventory.problem import Problems

_SSH_PORT = 22


def warnings_of(
    draft: Draft,
    hosts: Iterable[Host],
    groups: Mapping[str, Group],
    beside: Iterable[Adjacent],
    problems: Problems,
) -> tuple[str, ...]:
    """Every warning about a whole inventory, each with its place in a file."""
    found = [*_repeated(draft), *_names(draft, groups), *_addresses(draft, hosts)]
    found += [
        (Place(part, line, column), message) for part, line, column, message in problems.warnings
    ]
    found.sort(key=lambda warning: (warning[0].written, warning[1]))
    return (
        *(f"{place}: {message}" for place, message in found),
        *(
            f"{path}: not read, as no {'host' if path.parent.name == HOSTS else 'group'} has this "
            "name, or another file for it counts"
            for each in beside
            for path in each.unused()
        ),
    )


def _repeated(draft: Draft) -> Iterator[tuple[Place, str]]:
    """A variable that was given twice in one file, with different values."""
    for name, first, second, place in draft.repeated:
        message = (
            f"{name!r} of {second.origin.source} was set on line {first.origin.line} already; "
            "this counts"
        )
        yield place, message


def _names(draft: Draft, groups: Mapping[str, Group]) -> Iterator[tuple[Place, str]]:
    odd = [name for name in draft.hosts if not is_host_name(name)]
    if odd:
        message = (
            "a host name has letters, digits, '-' and '.' (RFC 1123); these do not keep to it: "
            f"{shorten(odd)}"
        )
        yield draft.hosts[odd[0]].place, message
    for name, host in draft.hosts.items():
        if name in groups:
            yield host.place, f"{name!r} is a host and a group; --limit takes it for both"


def _addresses(draft: Draft, hosts: Iterable[Host]) -> Iterator[tuple[Place, str]]:
    same: dict[tuple[str, int, tuple[object, ...]], list[Host]] = {}
    for host in hosts:
        if host.endpoint.address:
            port = host.endpoint.port or (_SSH_PORT if host.connection == "ssh" else 0)
            way = (host.connection, host.via, host.endpoint.inside)
            same.setdefault((host.endpoint.address, port, way), []).append(host)
    for (address, port, _), twins in same.items():
        if len(twins) > 1:
            names = shorten([host.name for host in twins])
            where = f"{address} port {port}" if port else address
            yield (
                draft.hosts[twins[1].name].place,
                f"one machine under several names: {names} ({where})",
            )
