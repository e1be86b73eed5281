"""Reading one value of a connection variable: its type, its range, and what is wrong with it.

Every reader takes a node and the directory that relative paths start from.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeAlias, TypeVar

from kubexm.inventory.model import BecomeMode
from kubexm.inventory.node import MappingNode, Node, ScalarNode, describe
from kubexm.secret import Secret
from kubexm.shell import Become

Reader: TypeAlias = Callable[[Node, Path], object]
ChoiceT = TypeVar("ChoiceT", bound=StrEnum)

_HIGHEST_PORT = 65_535
_LONGEST_TIMEOUT_S = 3600
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh]?)")
_PLUGIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_QUOTE = "quote it"
_ANSIBLES = {"smart": "ssh", "paramiko": "ssh", "paramiko_ssh": "ssh", "docker_api": "docker"}


class RefusedError(Exception):
    """A value that a variable does not accept.

    Args:
        reason: What is wrong, when "must be …, not …" does not say it.
        node: What is at fault, when it is only a part of the value.
        hint: What to do.
    """

    def __init__(self, *, reason: str = "", node: Node | None = None, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node
        self.hint = hint


def text(node: Node, _base: Path) -> str:
    """A string that is not empty."""
    if not isinstance(node, ScalarNode):
        raise RefusedError
    if not isinstance(node.value, str):
        raise RefusedError(hint=_QUOTE)
    if not node.value:
        raise RefusedError(reason="is empty", hint="give a value, or remove the line")
    return node.value


def word(node: Node, base: Path) -> str:
    """A string without spaces that no program takes for an option."""
    found = text(node, base)
    if not found.isprintable() or " " in found:
        raise RefusedError(reason="holds a space or a control character")
    if found.startswith("-"):
        raise RefusedError(reason="begins with '-' and would be misread as an option")
    return found


def become_user(node: Node, base: Path) -> str:
    """A user's name that any login shell hands on unchanged."""
    found = word(node, base)
    if any(character in found for character in "'\"!\\"):
        raise RefusedError(
            reason="holds a quote, '!' or a backslash, which a login shell would misread"
        )
    return found


def address(node: Node, base: Path) -> str:
    """A host name or an IP address; or the absolute path of a directory, for chroot."""
    found = word(node, base)
    if found.startswith("/"):
        return found
    if found.startswith("["):
        raise RefusedError(reason="is in brackets", hint="write an IPv6 address without them")
    if "@" in found or "/" in found:
        raise RefusedError(hint="set the user with kubexm_user")
    if ":" in found:
        try:
            ipaddress.ip_address(found)
        except ValueError:
            if found.count(":") > 1:
                raise RefusedError(reason=f"is no IPv6 address: {found!r}") from None
            raise RefusedError(hint="set the port with kubexm_port") from None
    elif "." in found:
        _check_dotted(found)
    return found


def _check_dotted(name: str) -> None:
    """No host name ends in a number (RFC 1123 section 2.1), so that is meant as an address."""
    parts = name.removesuffix(".").split(".")
    if not all(parts):
        raise RefusedError(reason="has nothing between two dots", hint="write the whole name")
    if parts[-1].isdecimal():
        try:
            ipaddress.IPv4Address(name)
        except ValueError:
            hint = "write four numbers from 0 to 255, without zeros in front"
            raise RefusedError(reason=f"is no IPv4 address: {name!r}", hint=hint) from None


def path(node: Node, base: Path) -> str:
    """A path; `~` is expanded, and a relative one starts at the inventory's directory."""
    found = text(node, base)
    if "PRIVATE KEY" in found:
        raise RefusedError(reason="holds a key instead of its path", hint="save the key in a file")
    if not found.isprintable():
        raise RefusedError(reason="holds a control character")
    try:
        return str(base / Path(found).expanduser())
    except RuntimeError:
        raise RefusedError(reason="names a home directory that is not known") from None


def elsewhere(node: Node, base: Path) -> str:
    """An absolute path, perhaps of another machine."""
    found = text(node, base)
    if not found.startswith("/") or not found.isprintable():
        raise RefusedError
    return found


def secret(node: Node, _base: Path) -> Secret:
    """A password."""
    if isinstance(node, ScalarNode) and isinstance(node.value, Secret):
        return node.value
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        raise RefusedError(hint=_QUOTE)
    if not node.value:
        raise RefusedError(reason="is empty", hint="give a value, or remove the line")
    return Secret(node.value)


def port(node: Node, _base: Path) -> int:
    """A TCP port."""
    number = node.value
    if isinstance(number, str) and re.fullmatch(r"[0-9]{1,5}", number):
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _HIGHEST_PORT:
        raise RefusedError
    return number


def seconds(node: Node, _base: Path) -> float:
    """A time as seconds: 15, 2.5, "15s", "2m", "1h"."""
    found = node.value
    if isinstance(found, str) and (match := _DURATION.fullmatch(found)):
        found = float(match[1]) * _UNITS_S[match[2]]
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise RefusedError
    if not 0 < found <= _LONGEST_TIMEOUT_S:
        raise RefusedError
    return float(found)


def become(node: Node, _base: Path) -> BecomeMode:
    """auto, true or false; yes and no as well."""
    said = node.value.lower() if isinstance(node.value, str) else node.value
    match said:
        case "auto":
            return BecomeMode.AUTO
        case True | "true" | "yes" | "on":
            return BecomeMode.TRUE
        case False | "false" | "no" | "off":
            return BecomeMode.FALSE
        case _:
            raise RefusedError


def become_method(node: Node, base: Path) -> Become:
    """sudo, su or doas, also by Ansible's long names."""
    method = choice(Become)(ScalarNode(_last(text(node, base)), "", 0, 0), base)
    if method is Become.NONE:
        raise RefusedError(hint="to become nobody else: kubexm_become: false")
    return method


@dataclass(frozen=True, slots=True)
class Choice(Generic[ChoiceT]):
    """A reader for the values of an enumeration."""

    kind: type[ChoiceT]

    def __call__(self, node: Node, _base: Path) -> ChoiceT:
        """The member whose value it is."""
        for member in self.kind:
            if member.value == node.value:
                return member
        raise RefusedError


def choice(kind: type[ChoiceT]) -> Choice[ChoiceT]:
    """A reader for the values of an enumeration."""
    return Choice(kind)


def connection(node: Node, base: Path) -> str:
    """The name of a connector plugin, also by Ansible's names for the same."""
    name = _last(plugin_name(node, base))
    return _ANSIBLES.get(name, name)


def plugin_name(node: Node, base: Path) -> str:
    """A name under which a plugin registers."""
    name = text(node, base)
    if _PLUGIN_NAME.fullmatch(name) is None:
        raise RefusedError
    return name


def strings(node: Node, _base: Path) -> Mapping[str, str]:
    """A mapping of strings to strings."""
    if not isinstance(node, MappingNode):
        raise RefusedError
    found: dict[str, str] = {}
    for key, item in node.entries:
        if not isinstance(key.value, str):
            reason = f"has a key that is not a string: {describe(key)}"
            raise RefusedError(reason=reason, node=key, hint=_QUOTE)
        if not isinstance(item.value, str):
            reason = f"has {describe(item)} for {key.text!r}, which must be a string"
            raise RefusedError(reason=reason, node=item, hint=_QUOTE)
        found[key.value] = item.value
    return MappingProxyType(found)


def _last(name: str) -> str:
    """`ssh` of `ansible.builtin.ssh`."""
    return name.rpartition(".")[2]
