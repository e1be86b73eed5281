"""Options as the ssh command has them, such as `-J gate` and `-o Port=22` → settings of our own.

Ansible hands `ansible_ssh_common_args` to the ssh command. There is none here, so that what it says
of the way to a machine and of its host key is understood, what only concerns the command itself is
left out, and the rest is told.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubexm.connector import HostKeyPolicy
from kubexm.inventory import reach, value
from kubexm.inventory.node import Node, ScalarNode
from kubexm.inventory.value import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NAMES = (
    *("kubexm_ssh_args", "ansible_ssh_common_args"),
    *("kubexm_ssh_extra_args", "ansible_ssh_extra_args", "ansible_ssh_args"),
)
"""The variables that hold options."""

_LANDS = ("ssh_args", "ssh_extra_args")
_WITH_VALUE = frozenset("BbcDEeFIiJLlmOopQRSWw")
"""Options of ssh(1) that have a value."""
_FLAGS_LEFT_OUT = frozenset("46AaCgKkMNnqTtVvXxYy")
_OPTIONS = {"J": "proxyjump", "i": "identityfile", "l": "user", "p": "port"}
"""Those that are another way to write an option of ssh_config(5)."""
_LEFT_OUT = frozenset(
    {
        *("addkeystoagent", "batchmode", "canonicalizehostname", "checkhostip", "compression"),
        *("controlmaster", "controlpath", "controlpersist", "exitonforwardfailure"),
        *("forwardagent", "forwardx11", "forwardx11trusted", "globalknownhostsfile"),
        *("gssapiauthentication", "gssapidelegatecredentials", "hashknownhosts"),
        *("identitiesonly", "ipqos", "kbdinteractiveauthentication", "loglevel"),
        *("nohostauthenticationforlocalhost", "numberofpasswordprompts"),
        *("passwordauthentication", "permitlocalcommand", "preferredauthentications"),
        *("pubkeyauthentication", "requesttty", "sendenv", "serveralivecountmax"),
        *("serveraliveinterval", "setenv", "tcpkeepalive", "updatehostkeys", "visualhostkey"),
    }
)
"""Options of ssh_config(5) that concern the command, or what is done here anyway."""
_CHECKING = {
    "no": HostKeyPolicy.INSECURE,
    "off": HostKeyPolicy.INSECURE,
    "accept-new": HostKeyPolicy.ACCEPT_NEW,
    "yes": HostKeyPolicy.STRICT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SshArgs:
    """What the options come to.

    Args:
        settings: By attribute of `Settings`.
        unused: Options that nothing here does, as they are written.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def ssh_args(node: Node, base: Path) -> SshArgs:
    """The options of the ssh command in one string, or none of them."""
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        raise RefusedError
    try:
        words = shlex.split(node.value)
    except ValueError:
        raise RefusedError(reason="has a quote that is not closed") from None
    settings: dict[str, Any] = {}
    unused: list[str] = []
    for name, said in _pairs(words):
        if name in _READERS:
            # ssh_config(5): for each parameter, the first obtained value will be used
            part = ScalarNode(said, said, node.line, node.column)
            for lands, setting in _READERS[name](part, base).items():
                settings.setdefault(lands, setting)
        elif name not in _LEFT_OUT:
            unused.append(name if len(name) > 1 else f"-{name}")
    return SshArgs(settings=settings, unused=tuple(unused))


def spread(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings with those that the options come to; what has a variable of its own is stronger."""
    if not any(lands in settings for lands in _LANDS):
        return settings
    found = {lands: setting for lands, setting in settings.items() if lands not in _LANDS}
    for lands in _LANDS:
        if isinstance(given := settings.get(lands), SshArgs):
            found = {**given.settings, **found}
    return found


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    """Every option by its name in ssh_config(5), or its letter, and its value."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or len(word) < len("-x"):
            raise RefusedError(
                reason=f"has {word!r}, which is no option", hint="quote a value with spaces"
            )
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter not in _WITH_VALUE:
                if letter not in _FLAGS_LEFT_OUT:
                    yield letter, ""
                continue
            said = letters or next(rest, "")
            letters = ""
            if not said:
                raise RefusedError(reason=f"has -{letter} without a value")
            if letter == "o":
                name, _, said = said.replace("=", " ", 1).strip().partition(" ")
                yield name.lower(), said.strip()
            else:
                yield _OPTIONS.get(letter, letter), said


def _one(lands: str, read: Callable[[Node, Path], object]) -> Callable[..., Mapping[str, object]]:
    return lambda node, base: {lands: read(node, base)}


def _checking(node: ScalarNode, _base: Path) -> Mapping[str, object]:
    policy = _CHECKING.get(node.text.lower())
    return {} if policy is None else {"host_key_policy": policy}


def _known_hosts(node: ScalarNode, base: Path) -> Mapping[str, object]:
    """Without /dev/null, which says that no key is to be remembered."""
    first = node.text.split()[0] if node.text.split() else ""
    if first in {"", "/dev/null", "none"}:
        return {}
    return {"known_hosts": value.path(ScalarNode(first, first, node.line, node.column), base)}


def _proxy_command(node: ScalarNode, base: Path) -> Mapping[str, object]:
    """`ssh -W %h:%p gate` is a bastion; any other command is run."""
    gate = _gate(node.text)
    if gate:
        return _bastions(ScalarNode(gate, gate, node.line, node.column), base)
    return {"proxy_command": reach.proxy_command(node, base)}


def _gate(command: str) -> str:
    """The bastion of a command that does nothing but go through it; empty for any other."""
    try:
        program, *words = shlex.split(command)
        pairs = dict(_pairs(words[:-1])) if words else {}
    except (ValueError, RefusedError):
        return ""
    last = words[-1] if words else ""
    known = pairs.keys() - {"W", "port", "user"} - _LEFT_OUT
    if Path(program).name != "ssh" or pairs.get("W") != "%h:%p" or known or last.startswith("-"):
        return ""
    user = f"{pairs['user']}@" if "user" in pairs and "@" not in last else ""
    port = f":{pairs['port']}" if "port" in pairs else ""
    return f"{user}{last}{port}"


def _bastions(node: ScalarNode, base: Path) -> Mapping[str, object]:
    return {"bastions": reach.bastions(node, base)}


def _attempts(node: ScalarNode, base: Path) -> Mapping[str, object]:
    number = int(node.text) if node.text.isdigit() else 0
    return {"connect_attempts": reach.attempts(node._replace(value=number), base)}


_READERS: Mapping[str, Callable[[ScalarNode, Path], Mapping[str, Any]]] = {
    "certificatefile": _one("certificate", value.path),
    "connectionattempts": _attempts,
    "connecttimeout": _one("connect_timeout_s", value.seconds),
    "identityfile": _one("private_key", value.path),
    "port": _one("port", value.port),
    "proxycommand": _proxy_command,
    "proxyjump": _bastions,
    "stricthostkeychecking": _checking,
    "user": _one("user", value.word),
    "userknownhostsfile": _known_hosts,
}
