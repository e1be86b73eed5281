"""The settings of a node: one typed value, from the inventory's variable `node`."""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError

if TYPE_CHECKING:
    from kubexm.inventory import Host

VARIABLE = "node"
_NOTHING: Mapping[str, str] = MappingProxyType({})


class ProxyMode(StrEnum):
    """How kube-proxy forwards; decides packages and kernel modules."""

    IPTABLES = "iptables"
    IPVS = "ipvs"
    NFTABLES = "nftables"


class TimeSync(StrEnum):
    """Who keeps the clock."""

    CHRONY = "chrony"
    NONE = "none"
    """Somebody else, for example the hypervisor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What a node is to have; the inventory's mapping `node` overrides setting by setting.

    Args:
        hostname: Set the host name to the inventory's name for the host.
        host_entries: Put all hosts of the inventory into /etc/hosts.
        domain: Of the nodes; their entries in /etc/hosts then say NAME.DOMAIN first.
        api_name: A name for the API endpoint, added to /etc/hosts with `api_address`.
        api_address: The API endpoint's IP address.
        proxy_mode: iptables, ipvs or nftables.
        ipv6: Forward IPv6 too.
        swap_off: Turn swap off, now and for ever.
        sysctl: Kernel parameters in addition to the defaults; they have the last word.
        node_ports: Reserved from ephemeral use (net.ipv4.ip_local_reserved_ports); empty for none.
        modules: Kernel modules in addition to those that the settings call for.
        packages: In addition to those that the settings call for.
        storage_clients: Install what NFS and iSCSI volumes need.
        time_sync: chrony or none.
        time_servers: For chrony; empty leaves the distribution's.
        timezone: Of the tz database, such as UTC; empty leaves it.
        open_files: The nofile limit of logins (limits.conf(5)).
        processes: The nproc limit of logins.
        accounts: Make the group kube-cert and the users kube and etcd.
        directories: Made with mode 0755, in addition to those that Kubernetes needs.
    """

    hostname: bool = True
    host_entries: bool = True
    domain: str = ""
    api_name: str = ""
    api_address: str = ""
    proxy_mode: ProxyMode = ProxyMode.IPTABLES
    ipv6: bool = False
    swap_off: bool = True
    sysctl: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    node_ports: str = "30000-32767"
    modules: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    storage_clients: bool = False
    time_sync: TimeSync = TimeSync.CHRONY
    time_servers: tuple[str, ...] = ()
    timezone: str = ""
    open_files: int = 1_048_576
    processes: int = 1_048_576
    accounts: bool = True
    directories: tuple[str, ...] = ()

    @classmethod
    def of(cls, host: Host, *, path: str = "") -> NodeSettings:
        """From the inventory variable `node` of a host.

        Args:
            host: Whose.
            path: The inventory's file, for errors.

        Raises:
            InventoryError: A key is unknown or a value makes no sense; with its place.
        """
        given = host.variables.get(VARIABLE, {})
        if not isinstance(given, Mapping):
            message = f"the variable {VARIABLE} is not a mapping"
            raise _fault(host, path, message, "write node: {domain: example.org, ipv6: true}")
        defaults = cls()
        names = [item.name for item in dataclasses.fields(cls)]
        values: dict[str, object] = {}
        for key, value in given.items():
            if key not in names:
                close = difflib.get_close_matches(str(key), names, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
                raise _fault(host, path, f"{VARIABLE} has no setting {key!r}", hint)
            default = getattr(defaults, str(key))
            typed = _typed(value, default)
            if typed is None:
                message = f"{VARIABLE}.{key} is not {_wanted(default)}"
                raise _fault(host, path, message, f"the default is {_shown(default)}")
            values[key] = typed
        settings = dataclasses.replace(defaults, **values)  # type: ignore[arg-type] # checked above
        for problem in settings.problems():
            raise _fault(host, path, f"{VARIABLE}.{problem}", "correct the value")
        return settings

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the values together, each beginning with a setting's name."""
        found = []
        if bool(self.api_name) != bool(self.api_address):
            found.append("api_name and node.api_address go together")
        if self.api_address:
            try:
                ipaddress.ip_address(self.api_address)
            except ValueError:
                found.append(f"api_address is not an IP address: {self.api_address!r}")
        limits = ("open_files", "processes")
        found += [f"{name} is less than 1" for name in limits if getattr(self, name) < 1]
        return tuple(found)


def _typed(value: object, default: object) -> object | None:
    """A value as its field wants it; `None` when it is of another type."""
    match default:
        case StrEnum():
            return next((item for item in type(default) if item == value), None)
        case tuple() if isinstance(value, list | tuple):
            strings = all(isinstance(item, str) for item in value)
            return tuple(value) if strings else None
        case Mapping() if isinstance(value, Mapping):
            simple = all(isinstance(item, str | int) for item in value.values())
            return {str(key): _text(item) for key, item in value.items()} if simple else None
        case _:
            return value if type(value) is type(default) else None


def _wanted(default: object) -> str:
    """What a value should have been, in words."""
    match default:
        case StrEnum():
            return "one of " + ", ".join(type(default))
        case tuple():
            return "a list of strings"
        case Mapping():
            return "a mapping of names to strings or numbers"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case _:
            return "a string"


def _shown(default: object) -> str:
    match default:
        case bool():
            return str(default).lower()
        case tuple():
            return "[]"
        case Mapping():
            return "{}"
        case str():
            return str(default) or "empty"
        case _:
            return str(default)


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _fault(host: Host, path: str, message: str, hint: str) -> InventoryError:
    """An error at the place where the variable was set."""
    origin = host.origins.get(VARIABLE)
    return InventoryError(
        f"{message} (for {host.name})",
        path=path,
        line=origin.line if origin else 0,
        column=origin.column if origin else 0,
        key=VARIABLE,
        hint=hint,
    )


def described() -> str:
    """Every setting with its default, as a Markdown table; docs/node-settings.md holds it."""
    said = _argument_docs()
    rows = [
        f"| `{item.name}` | {_wanted(getattr(NodeSettings(), item.name))} "
        f"| {_shown(getattr(NodeSettings(), item.name))} | {said[item.name]} |"
        for item in dataclasses.fields(NodeSettings)
    ]
    return "\n".join(("| setting | type | default | meaning |", "|---|---|---|---|", *rows)) + "\n"


def _argument_docs() -> dict[str, str]:
    """Name to sentence, from the class's docstring."""
    _, _, text = (NodeSettings.__doc__ or "").partition("Args:")
    pairs = (line.strip().partition(": ") for line in text.splitlines() if ": " in line)
    return {name: sentence for name, _, sentence in pairs}
