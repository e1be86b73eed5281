"""Looking at the files of a host: questions, each of one round trip, that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kubexm.errors import HostError, tail
from kubexm.shell import TRANSFER, Reply, Script, quote

if TYPE_CHECKING:
    from typing import Literal

Ask: TypeAlias = Callable[[Script], Reply]
"""One script in the host's session, one reply."""

_FIELDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStatus:
    """What is at a path; of a missing one only `exists` says something.

    Args:
        path: As it was asked for.
        exists: Whether there is anything.
        size_bytes: Of its content.
        mode: Its permission bits.
        modified_s: When its content was changed, in seconds since 1970.
        is_file: A regular file.
        is_dir: A directory.
        is_link: A symbolic link that was not followed.
        owner: The user's name, or the number when it has none.
        group: The group's name, or the number when it has none.
    """

    path: str
    exists: bool
    size_bytes: int = 0
    mode: int = 0
    modified_s: int = 0
    is_file: bool = False
    is_dir: bool = False
    is_link: bool = False
    owner: str = ""
    group: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


def stat(ask: Ask, path: str, *, follow: bool) -> PathStatus:
    """What is at a path.

    Args:
        ask: Of the host.
        path: Absolute.
        follow: Look at what a symbolic link leads to.

    Raises:
        HostError: Nobody can tell: a directory above it may not be searched.
    """
    text = _must(ask, _call("kx_stat", path, "1" if follow else ""), path).text.strip()
    if text == "absent":
        return PathStatus(path=path, exists=False)
    words = text.split("|")
    if len(words) != _FIELDS:
        message = f"the state of {path} makes no sense: {text!r}"
        raise HostError(message)
    kind, mode, size, modified, uid, gid, owner, group = words
    return PathStatus(
        path=path,
        exists=True,
        size_bytes=int(size),
        mode=int(mode, 8),
        modified_s=int(modified),
        is_file=kind.startswith("regular"),
        is_dir=kind == "directory",
        is_link=kind == "symbolic link",
        owner=uid if owner == "UNKNOWN" else owner,
        group=gid if group == "UNKNOWN" else group,
    )


def read(ask: Ask, path: str) -> bytes:
    """A file's content, which is taken for a secret on its way here.

    Raises:
        HostError: It cannot be read, or is larger than an answer can be (64 MiB): `Host.get`
            takes files of any size.
    """
    reply = _must(ask, Script(f"cat -- {quote(path)}").hidden(), path)
    if reply.truncated:
        message = f"{path} is too large to be read into memory"
        raise HostError(message, hint="use host.get")
    return reply.stdout


def checksum(ask: Ask, path: str, algorithm: Literal["sha256", "md5"]) -> str:
    """The digest of a file's content, in hexadecimal.

    Raises:
        HostError: It cannot be read.
    """
    text = _must(ask, Script(f"{algorithm}sum <{quote(path)}"), path).text
    return text.split()[0]


def _must(ask: Ask, script: Script, path: str) -> Reply:
    reply = ask(script)
    if reply.exit_status != 0:
        said = tail(reply.stderr.decode("utf-8", "replace")).replace("kubexm: ", "")
        message = f"cannot read {path}: {said or reply.exit_status}"
        raise HostError(message)
    return reply


def _call(function: str, *arguments: str) -> Script:
    words = " ".join((function, *map(quote, arguments)))
    return Script(words, libraries=(TRANSFER,))
