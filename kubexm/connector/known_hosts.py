"""The lines of known_hosts files: what each says of which host (sshd(8), SSH_KNOWN_HOSTS).

In: text. Out: `Entry` values, and how a key that a host presents stands among them. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """A public key. `algorithm` is its type as OpenSSH writes it ("ssh-ed25519")."""

    algorithm: str
    blob: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return "SHA256:" + digest.rstrip("=")

    def __str__(self) -> str:
        return f"{self.algorithm} {self.fingerprint}"

    @property
    def line(self) -> str:
        """The last two fields of a known_hosts line."""
        return f"{self.algorithm} {base64.b64encode(self.blob).decode()}"


class Marker(StrEnum):
    """What a line's first field says about its key."""

    NONE = ""
    REVOKED = "@revoked"
    AUTHORITY = "@cert-authority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a file. `line` is counted from 1."""

    names: tuple[str, ...]
    key: HostKey
    marker: Marker
    path: Path
    line: int

    @property
    def place(self) -> str:
        """Where to look, as `file:line`."""
        return f"{self.path}:{self.line}"

    def matches(self, name: str) -> bool:
        """Whether the line speaks of `name`; a negated pattern that fits forbids it."""
        found = False
        for pattern in self.names:
            negated = pattern.startswith("!")
            if _fits(pattern.removeprefix("!"), name):
                if negated:
                    return False
                found = True
        return found


class Standing(StrEnum):
    """How a key that a host presents compares with those on record."""

    KNOWN = "known"
    NEW = "new"
    CHANGED = "changed"
    REVOKED = "revoked"


def name_of(address: str, port: int) -> str:
    """The name under which OpenSSH records a host."""
    name = address.lower()
    return name if port in {0, 22} else f"[{name}]:{port}"


def compare(entries: Iterable[Entry], key: HostKey) -> tuple[Standing, tuple[Entry, ...]]:
    """How `key` stands among the entries of its host, and the entries that say so.

    A key of a type that is not on record is a change as soon as any other key is: whoever
    stands between could otherwise present a type that nobody has noted.
    """
    entries = tuple(entries)
    revoked = tuple(e for e in entries if e.marker is Marker.REVOKED and e.key == key)
    if revoked:
        return Standing.REVOKED, revoked
    plain = tuple(e for e in entries if e.marker is Marker.NONE)
    same = tuple(e for e in plain if e.key == key)
    if same:
        return Standing.KNOWN, same
    rivals = tuple(e for e in plain if e.key.algorithm == key.algorithm) or plain
    return (Standing.CHANGED, rivals) if rivals else (Standing.NEW, ())


def parse_line(line: str, path: Path, number: int) -> Entry | None:
    """One line as an entry; `None` for comments and for lines that OpenSSH would skip too."""
    fields = line.split()
    marker = Marker.NONE
    if fields and fields[0].startswith("@"):
        if fields[0] not in set(Marker):
            return None
        marker = Marker(fields.pop(0))
    match fields:
        case [names, algorithm, text, *_] if not names.startswith("#"):
            pass
        case _:
            return None
    try:
        blob = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    if blob[:4] + blob[4 : 4 + len(algorithm)] != (
        len(algorithm).to_bytes(4, "big") + algorithm.encode("utf-8", "replace")
    ):
        return None
    hosts = tuple(name if name.startswith("|") else name.lower() for name in names.split(","))
    return Entry(
        names=hosts,
        key=HostKey(algorithm=algorithm, blob=blob),
        marker=marker,
        path=path,
        line=number,
    )


def _fits(pattern: str, name: str) -> bool:
    if pattern.startswith("|"):
        try:
            _, version, salt, digest = pattern.split("|")
            wanted = base64.b64decode(digest, validate=True)
            made = hmac.digest(base64.b64decode(salt, validate=True), name.encode(), "sha1")
        except ValueError:
            return False
        return version == "1" and hmac.compare_digest(made, wanted)
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    translated = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(translated, name) is not None
