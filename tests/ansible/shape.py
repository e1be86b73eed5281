"""One shape for what Ansible and kubexm make of an inventory, so that the two can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubexm.inventory import Sealed
from kubexm.secret import Secret

if TYPE_CHECKING:
    from kubexm.inventory import Inventory

VAULT = "a value that is encrypted"


def of_ansible(listed: Mapping[str, Any]) -> dict[str, Any]:
    """The groups and hosts of `ansible-inventory --list`, without order and empty entries."""
    groups = {
        name: {
            "hosts": sorted(group.get("hosts", ())),
            "children": sorted(group.get("children", ())),
        }
        for name, group in listed.items()
        if name != "_meta"
    }
    variables = listed["_meta"]["hostvars"]
    return {
        "groups": {name: group for name, group in groups.items() if any(group.values())},
        "variables": {host: _ansibles(found) for host, found in variables.items() if found},
    }


def _ansibles(value: Any) -> Any:  # noqa: ANN401 - JSON
    match value:
        case {"__ansible_vault": _, **others} if not others:
            return VAULT
        case {"__ansible_unsafe": text, **others} if not others:
            return text
        case Mapping():
            return {key: _ansibles(item) for key, item in value.items()}
        case list():
            return [_ansibles(item) for item in value]
        case _:
            return value


def of_kubexm(inventory: Inventory) -> dict[str, Any]:
    """The same of ours: values as they are written; what is secret stays so."""
    groups = {
        name: {
            "hosts": [] if name == "all" else sorted(group.hosts),
            "children": sorted(group.children),
        }
        for name, group in inventory.groups.items()
    }
    return {
        "groups": {name: group for name, group in groups.items() if any(group.values())},
        "variables": {
            host.name: {name: _ours(value) for name, value in host.written.items()}
            for host in inventory.hosts
            if host.variables
        },
    }


def differences(ours: object, theirs: object, at: str = "") -> list[str]:
    """Where the two are not the same.

    A secret is compared as text: with a password that Ansible shows, with a value that it shows
    as encrypted, and with a number of a file that was encrypted as a whole.
    """
    match ours, theirs:
        case Secret(), _:
            return [] if theirs in {VAULT, ours.reveal()} or ours.reveal() == str(theirs) else [at]
        case Mapping(), Mapping():
            found = [f"{at}.{key}" for key in sorted(ours.keys() ^ theirs.keys())]
            for key in ours.keys() & theirs.keys():
                found += differences(ours[key], theirs[key], f"{at}.{key}")
            return found
        case list(), list() if len(ours) == len(theirs):
            pairs = enumerate(zip(ours, theirs, strict=True))
            return [it for n, pair in pairs for it in differences(*pair, f"{at}[{n}]")]
        case _:
            same = type(ours) is type(theirs) and (ours == theirs or ours != ours)  # noqa: PLR0124 - nan
            return [] if same else [f"{at}: {ours!r}, not {theirs!r}"]


def _ours(value: object) -> Any:  # noqa: ANN401 - JSON
    match value:
        case Sealed():
            return VAULT
        case Mapping():
            return {str(key): _ours(item) for key, item in value.items()}
        case str():
            return str(value)
        case tuple():
            return [_ours(item) for item in value]
        case _:
            return value
