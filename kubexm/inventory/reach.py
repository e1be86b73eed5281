"""Reading what stands between us and a machine: bastions, proxies, its host key."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from kubexm.connector import Proxy
from kubexm.inventory import value
from kubexm.inventory.bastion import Hop
from kubexm.inventory.node import Node, ScalarNode, SequenceNode, describe
from kubexm.inventory.value import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_MOST_ATTEMPTS = 20


def bastions(node: Node, base: Path) -> tuple[Hop, ...]:
    """One bastion or a list of them, the first one dialled first; `none` for none."""
    if isinstance(node, ScalarNode) and node.value in {"none", False}:
        return ()
    hops = []
    for item in _items(node):
        written = value.word(item, base)
        # Somebody used to ProxyJump writes several into one string.
        for part in written.split(","):
            try:
                hops.append(Hop.parse(part))
            except ValueError as error:
                raise RefusedError(reason=str(error), node=item) from error
    return tuple(hops)


def proxies(node: Node, base: Path) -> tuple[Proxy, ...]:
    """`socks5://user@host:port` or `http://user@host:port`; `none` for none of a group's."""
    if isinstance(node, ScalarNode) and node.value in {"none", False}:
        return ()
    written = value.text(node, base)
    try:
        return (Proxy.parse(written),)
    except ValueError as error:
        hint = "set kubexm_proxy_password" if "password" in str(error) else ""
        raise RefusedError(reason=str(error), hint=hint) from error


def proxy_command(node: Node, base: Path) -> str:
    """A command line; `none` for none."""
    if isinstance(node, ScalarNode) and node.value in {"none", False}:
        return ""
    written = value.text(node, base)
    if not written.isprintable():
        raise RefusedError(reason="holds a control character")
    return written


def host_keys(node: Node, base: Path) -> tuple[str, ...]:
    """Public keys as in known_hosts, or their fingerprints as `ssh-keygen -l` shows them."""
    return tuple(_host_key(item, base) for item in _items(node))


def _host_key(node: Node, base: Path) -> str:
    written = value.text(node, base)
    match written.split():
        case [fingerprint] if _FINGERPRINT.fullmatch(fingerprint):
            return fingerprint.rstrip("=")
        case [algorithm, blob, *_] if _is_key(algorithm, blob):
            return f"{algorithm} {blob}"
        case _:
            raise RefusedError(
                reason='must be "ssh-ed25519 AAAA…" or "SHA256:…"',
                node=node,
                hint="what the machine has: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
            )


def attempts(node: Node, _base: Path) -> int:
    """How often to try."""
    number = node.value
    if isinstance(number, bool) or not isinstance(number, int):
        raise RefusedError
    if not 1 <= number <= _MOST_ATTEMPTS:
        raise RefusedError
    return number


def _items(node: Node) -> Iterator[Node]:
    match node:
        case ScalarNode():
            yield node
        case SequenceNode(items=items) if items:
            for item in items:
                if not isinstance(item, ScalarNode):
                    raise RefusedError(reason=f"has {describe(item)} in its list", node=item)
                yield item
        case _:
            raise RefusedError


def _is_key(algorithm: str, blob: str) -> bool:
    try:
        data = base64.b64decode(blob, validate=True)
    except ValueError:
        return False
    return data.startswith(len(algorithm).to_bytes(4, "big") + algorithm.encode())
