"""Interfaces, their addresses, and the way out, from what `ip` and /proc/net say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_interface,
)
from typing import TYPE_CHECKING, Literal, TypeAlias

from kubexm.facts.model import DefaultAddress, Interface
from kubexm.facts.record import Record, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ByteOrder: TypeAlias = Literal["big", "little"]

_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{1,32}", re.ASCII)
_UNFIT = frozenset({"secondary", "temporary", "deprecated", "tentative", "dadfailed"})
_UNFIT_BITS = 0x01 | 0x08 | 0x20 | 0x40  # the same, as if_addr.h has them
_GLOBAL_SCOPE = "00"
_UP, _REJECT = 0x0001, 0x0200  # route.h
_BIG_ENDIAN = frozenset({"s390x", "s390", "ppc64", "ppc", "mips", "mips64", "sparc64"})
"""What `uname -m` says where /proc/net/route has its bytes in the network's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assigned:
    """An address on an interface; `fit` says that the kernel would send from it."""

    interface: str
    address: IPv4Interface | IPv6Interface
    is_global: bool
    fit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """A default route."""

    interface: str
    gateway: IPv4Address | IPv6Address
    metric: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Everything that the facts say about the network."""

    interfaces: tuple[Interface, ...]
    default_ipv4: DefaultAddress | None
    default_ipv6: DefaultAddress | None
    has_default_route: bool | None


def parse_network(record: Record, arch: str) -> Network:
    """The network that the tables describe.

    Args:
        record: The reply.
        arch: As uname says it; it decides the byte order of /proc/net/route.
    """
    order: ByteOrder = "big" if arch in _BIG_ENDIAN else "little"
    assigned = (*_from_ip(record), *_from_proc(record, order))
    default_ipv4 = _default(_routes4(record, order), assigned)
    default_ipv6 = _default(_routes6(record), assigned)
    has_default_route: bool | None = True
    if default_ipv4 is None and default_ipv6 is None:
        has_default_route = False if record.was_read("route4") else None
    return Network(
        interfaces=_interfaces(record, assigned),
        default_ipv4=default_ipv4,
        default_ipv6=default_ipv6,
        has_default_route=has_default_route,
    )


def _interfaces(record: Record, assigned: Iterable[_Assigned]) -> tuple[Interface, ...]:
    macs = {name: mac.lower() for name, mac, *_ in record.rows("mac", 2)}
    addresses: dict[str, list[str]] = {}
    for one in assigned:
        addresses.setdefault(one.interface, []).append(str(one.address))
    mtus = {name: number(mtu) for name, mtu, *_ in record.rows("if", 2)}
    return tuple(
        Interface(
            name=name,
            mac="" if name == "lo" else macs.get(name, ""),
            mtu=mtu,
            addresses=tuple(addresses.get(name, ())),
        )
        for name, mtu in mtus.items()
    )


def _from_ip(record: Record) -> Iterator[_Assigned]:
    for table in ("if4", "if6"):
        for interface, address, scope, *flags in record.rows(table, 3):
            parsed = _address(address)
            if parsed is not None:
                yield _Assigned(
                    interface=interface,
                    address=parsed,
                    is_global=scope == "global",
                    fit=_UNFIT.isdisjoint(flags),
                )


def _from_proc(record: Record, order: ByteOrder) -> Iterator[_Assigned]:
    """What a machine without `ip` says: local addresses, and the networks they belong to."""
    networks = []
    for interface, *words in record.rows("net4", 3):
        network, mask = (_hex(word) for word in words[:2])
        if network is not None and mask is not None:
            network, mask = (_swap(one, order) for one in (network, mask))
            networks.append((mask, network, interface))
    for text, *_ in record.rows("local4", 1):
        parsed = _address(f"{text}/8" if text.startswith("127.") else text)
        if parsed is None:
            continue
        if parsed.ip.is_loopback:
            yield _Assigned(interface="lo", address=parsed, is_global=False, fit=False)
            continue
        homes = [one for one in networks if int(parsed.ip) & one[0] == one[1]]
        if homes:
            mask, _, interface = max(homes)
            parsed = _address(f"{text}/{mask.bit_count()}")
            if parsed is not None:
                yield _Assigned(interface=interface, address=parsed, is_global=True, fit=True)
    for interface, *words, scope, flags in (row[:5] for row in record.rows("local6", 5)):
        digits, prefix, bits = (_hex(word) for word in (*words, flags))
        if digits is not None and prefix is not None and bits is not None:
            parsed = _address(f"{IPv6Address(digits)}/{prefix}")
            if parsed is not None:
                yield _Assigned(
                    interface=interface,
                    address=parsed,
                    is_global=scope == _GLOBAL_SCOPE,
                    fit=not bits & _UNFIT_BITS,
                )


def _routes4(record: Record, order: ByteOrder) -> Iterator[_Route]:
    for interface, *words in record.rows("route4", 4):
        gateway, flags, metric = _hex(words[0]), _hex(words[1]), number(words[2])
        if gateway is not None and metric is not None and _usable(flags):
            address = IPv4Address(_swap(gateway, order))
            yield _Route(interface=interface, gateway=address, metric=metric)


def _routes6(record: Record) -> Iterator[_Route]:
    for interface, *words in record.rows("route6", 4):
        gateway, flags, metric = (_hex(word) for word in words[:3])
        if gateway is not None and metric is not None and _usable(flags):
            yield _Route(interface=interface, gateway=IPv6Address(gateway), metric=metric)


def _usable(flags: int | None) -> bool:
    return flags is not None and bool(flags & _UP) and not flags & _REJECT


def _default(routes: Iterable[_Route], assigned: Iterable[_Assigned]) -> DefaultAddress | None:
    """The best route, and the address that the kernel sends from.

    That is inet_select_addr in the kernel and RFC 6724, in the main: an address of the
    route's interface if it has one, global, in use, in the gateway's network.
    """
    route = min(routes, key=lambda one: one.metric, default=None)
    if route is None:
        return None
    candidates = [
        one
        for one in assigned
        if one.address.version == route.gateway.version
        and (one.is_global or one.interface == route.interface)
    ]
    best = min(
        candidates,
        key=lambda one: (
            one.interface != route.interface,
            not one.is_global,
            not one.fit,
            route.gateway not in one.address.network,
        ),
        default=None,
    )
    return DefaultAddress(
        address="" if best is None else str(best.address.ip),
        interface=route.interface,
        gateway="" if route.gateway.is_unspecified else str(route.gateway),
    )


def _address(text: str) -> IPv4Interface | IPv6Interface | None:
    try:
        return ip_interface(text)
    except ValueError:
        return None


def _hex(text: str) -> int | None:
    """A number of at most 128 bits."""
    return int(text, 16) if _HEXADECIMAL.fullmatch(text) else None


def _swap(value: int, order: ByteOrder) -> int:
    """Four bytes in the kernel's order as a number."""
    return int.from_bytes((value % 2**32).to_bytes(4, "big"), order)
