"""What a path on a host is: parsed from `kx_file_state`, compared, shown as a diff."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from kubexm.errors import HostError, tail
from kubexm.runner import text_diff
from kubexm.shell import STATE, Script, is_plain, quote

if TYPE_CHECKING:
    from kubexm.shell import Reply

_LIBRARIES = (STATE,)

CONTENT_LIMIT = 65_536
"""A probe answers a file's content up to so many bytes; beyond that only its digest."""


class Kind(StrEnum):
    """What is at a path."""

    ABSENT = "absent"
    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    SPECIAL = "special"
    DANGLING = "dangling"


_KINDS = frozenset(kind.value for kind in Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathState:
    """One path on a host.

    Args:
        kind: What it is.
        mode: Permission bits; 0 when there is nothing.
        owner: The user's name, or the number when it has none.
        group: The group's name, or the number when it has none. Of an absent path the one that
            a setgid directory hands down, else empty.
        digest: SHA-256 of a regular file's content.
        content: That content, when it is at most 64 KiB and not secret.
    """

    kind: Kind
    mode: int = 0
    owner: str = ""
    group: str = ""
    digest: str = ""
    content: bytes | None = None


def probe_state(
    path: str, *, limit: int = CONTENT_LIMIT, known: bytes | None = None, follow: bool = True
) -> Script:
    """What asks a host for the state of a path.

    Args:
        path: An absolute one.
        limit: Content of up to so many bytes is answered with it; -1 for none.
        known: Content that need not be answered, because the caller has it.
        follow: Of a symbolic link look at what it leads to.
    """
    function = "kx_content_state" if follow else "kx_file_state"
    digest = "" if known is None else f" {hashlib.sha256(known).hexdigest()}"
    if not is_plain(path):
        return Script(f"{function} {quote(path)} {limit}{digest}", libraries=_LIBRARIES)
    return Script(
        f"{function} {path} {limit}{digest}",
        libraries=_LIBRARIES,
        looks=(("kx_look", path),),
        answer="kx_seen_state" if follow else "kx_seen_link",
    )


def attributes(path: str, mode: int, *others: str) -> tuple[str, ...]:
    """Arguments of what writes a path, without the empty ones at the end."""
    while others and not others[-1]:
        others = others[:-1]
    return (path, f"{mode:o}", *others)


def read_state(
    path: str,
    reply: Reply,
    *,
    limit: int = CONTENT_LIMIT,
    known: bytes | None = None,
    owner: str = "",
    group: str = "",
) -> PathState:
    """The state that `kx_file_state` or `kx_content_state` printed.

    Args:
        path: For messages.
        reply: The probe's.
        limit: The one that the probe was given.
        known: Likewise.
        owner: The wanted one: when it is a number, so is the state's.
        group: The wanted one, likewise.

    Raises:
        HostError: The probe failed, or answered something else.
    """
    if reply.exit_status != 0:
        said = tail(reply.stderr.decode("utf-8", "replace"))
        msg = f"cannot read {path}: {said or reply.exit_status}"
        raise HostError(msg)
    head, _, rest = reply.stdout.partition(b"\n")
    first, _, line = head.decode("utf-8", "surrogateescape").partition(" ")
    if first not in _KINDS:
        message = f"cannot read {path}: its state makes no sense: {tail(reply.text, lines=3)!r}"
        raise HostError(message)
    kind = Kind(first)
    if kind in (Kind.ABSENT, Kind.DANGLING):
        gid, _, group_name = line.partition(" ")
        return PathState(kind=kind, group=_name(group_name, gid, group))
    mode, uid, gid, size, digest, names = line.split(" ", 5)
    user_name, _, group_name = names.partition(":")
    content = rest if kind is Kind.FILE and int(size) <= limit else None
    if content is not None and known is not None and digest == hashlib.sha256(known).hexdigest():
        content = known
    return PathState(
        kind=kind,
        mode=int(mode, 8),
        owner=_name(user_name, uid, owner),
        group=_name(group_name, gid, group),
        digest="" if digest == "-" else digest,
        content=content,
    )


def _name(name: str, number: str, wanted: str) -> str:
    return number if name == "UNKNOWN" or wanted.isdecimal() else name


def state_diff(path: str, before: PathState, after: PathState) -> str:
    """A unified diff of content, then one line for each attribute that differs."""
    lines = _content_diff(path, before, after)
    for name, old, new in (
        ("type", _kind(before), _kind(after)),
        ("mode", _mode(before), _mode(after)),
        ("owner", before.owner, after.owner),
        ("group", before.group, after.group),
    ):
        if old != new:
            lines += f"-{name}: {old}\n" if old else ""
            lines += f"+{name}: {new}\n" if new else ""
    if lines and not lines.startswith("--- "):
        lines = f"--- {path}\n+++ {path}\n{lines}"
    return lines


def _kind(state: PathState) -> str:
    return "" if state.kind is Kind.ABSENT else state.kind.value


def _mode(state: PathState) -> str:
    return "" if state.kind in (Kind.ABSENT, Kind.DANGLING) else f"{state.mode:04o}"


def _content_diff(path: str, before: PathState, after: PathState) -> str:
    if before.digest == after.digest:
        return ""
    old, new = _text(before), _text(after)
    unseen = (before.digest and old is None) or (after.digest and new is None)
    if not unseen:
        return text_diff(path, old, new)
    lines = f"--- {path}\n+++ {path}\n"
    lines += f"-sha256: {before.digest}\n" if before.digest else ""
    return lines + (f"+sha256: {after.digest}\n" if after.digest else "")


def _text(state: PathState) -> str | None:
    """The content for a reader, `None` when it is too long or not text."""
    if state.content is None or b"\0" in state.content:
        return None
    try:
        return state.content.decode()
    except UnicodeDecodeError:
        return None
