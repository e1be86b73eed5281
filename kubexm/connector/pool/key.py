"""What makes two connections the same: where they lead, as whom, with what and by which way."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING

from kubexm.secret import Secret

if TYPE_CHECKING:
    from kubexm.connector.endpoint import Endpoint

_PROCESS_KEY = os.urandom(32)
"""Known to nobody else and to no other process: a digest cannot be tried against passwords."""
_INDIFFERENT = frozenset({"connect_timeout_s", "connect_attempts"})
"""How patiently a connection was made says nothing about the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Connections with equal keys can stand for each other.

    Args:
        digest: HMAC-SHA256 of the whole endpoint, its secrets included.
        label: What metrics and messages call it: "admin@192.0.2.1:22 via gate"; no secret.
    """

    digest: bytes = field(repr=False)
    label: str = field(compare=False)

    @classmethod
    def of(cls, *way: Endpoint) -> Key:
        """The key of the last endpoint, when it is reached through those before it.

        Every field counts but for the time limits, so that one that is added later keeps
        connections apart until somebody decides otherwise. The name counts: messages about a
        connection speak of the host that it was made for.
        """
        digest = hmac.new(_PROCESS_KEY, digestmod=hashlib.sha256)
        for part in _parts(way):
            digest.update(len(part).to_bytes(8, "big") + part)
        *through, last = way
        label = _label(last)
        through = [*through, *last.bastions]
        if through:
            label += f" via {', '.join(map(_label, through))}"
        return cls(digest=digest.digest(), label=label)


def _label(endpoint: Endpoint) -> str:
    user = f"{endpoint.user}@" if endpoint.user else ""
    port = f":{endpoint.port}" if endpoint.port else ""
    return f"{user}{endpoint.address or endpoint.name}{port}"


def _parts(value: object) -> Iterator[bytes]:
    """A value as byte strings; values that differ give sequences that differ."""
    match value:
        case Secret():
            yield b"secret"
            yield value.reveal().encode("utf-8", "surrogateescape")
        case Mapping():
            yield b"mapping %d" % len(value)
            for name in sorted(value):
                yield from _parts(name)
                yield from _parts(value[name])
        case tuple():
            yield b"tuple %d" % len(value)
            for item in value:
                yield from _parts(item)
        case _ if is_dataclass(value):
            yield type(value).__name__.encode()
            for one in fields(value):
                if one.name not in _INDIFFERENT:
                    yield one.name.encode()
                    yield from _parts(getattr(value, one.name))
        case _:
            yield f"{type(value).__name__} {value}".encode("utf-8", "surrogateescape")
