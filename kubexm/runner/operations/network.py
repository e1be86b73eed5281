"""Names on the network as they should be."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from kubexm.runner.operation import Operation, Scope
from kubexm.runner.operations.file import check_block_name

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
_MAX_HOSTNAME = 64
_MAX_NAME = 253


def check_name(name: str) -> None:
    """Refuse what is not a host name (RFC 1123 section 2.1).

    Raises:
        ValueError: It is not one.
    """
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        message = f"not a host name: {name!r}"
        raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostname(Operation):
    """The machine has this host name, now and in /etc/hostname.

    Args:
        name: At most 64 characters (HOST_NAME_MAX of Linux, hostname(7)).
    """

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.name) > _MAX_HOSTNAME:
            message = f"longer than Linux allows for a host name: {self.name!r}"
            raise ValueError(message)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"hostname {self.name}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return frozenset({"hostname:*", "file:/etc/hostname"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEntry:
    """One line of /etc/hosts (hosts(5)): an address and its names, the canonical one first."""

    address: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.address)
        if not self.names:
            message = f"no name for {self.address}"
            raise ValueError(message)
        for name in self.names:
            check_name(name)

    def line(self) -> str:
        """As it stands in the file."""
        return f"{self.address} {' '.join(self.names)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEntries(Operation):
    """One marked block of /etc/hosts with these entries; no other line claims their names.

    Of an entry's names one with a domain is written first, as the canonical name.

    Args:
        name: Of the block.
        entries: In order; each name belongs to one address, or to one of IPv4 and one of IPv6.
            None: no such block.
    """

    name: str
    entries: tuple[HostEntry, ...]

    def __post_init__(self) -> None:
        check_block_name(self.name)
        owners: dict[tuple[str, int], str] = {}
        for entry in self.entries:
            version = ipaddress.ip_address(entry.address).version
            for name in entry.names:
                owner = owners.setdefault((name.lower(), version), entry.address)
                if owner != entry.address:
                    message = f"{name!r} has two addresses: {owner} and {entry.address}"
                    raise ValueError(message)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"/etc/hosts entries {self.name}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return frozenset({"file:/etc/hosts"})
