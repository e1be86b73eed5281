"""What is to be put: a file or a tree of this machine, looked at once for all hosts."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


class EntryKind(StrEnum):
    """What one path of a tree is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path of a source.

    Args:
        name: Below the source, with slashes; empty for the source itself.
        path: On this machine.
        kind: What it is.
        mode: Its permission bits.
        size_bytes: Of a file.
        digest: SHA-256 of a file's content, in hexadecimal.
        target: Of a symbolic link.
    """

    name: str
    path: Path
    kind: EntryKind
    mode: int = 0
    size_bytes: int = 0
    digest: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file or a directory with all that is in it, with the digest of every content.

    Args:
        path: As it was given.
        entries: Parents before what is in them, sorted.
    """

    path: Path
    entries: tuple[Entry, ...]

    @property
    def is_directory(self) -> bool:
        """Whether it is a tree."""
        return self.entries[0].kind is EntryKind.DIRECTORY

    @classmethod
    def read(cls, path: str | Path) -> Source:
        """Look at a path of this machine; a symbolic link to it is followed, those in it are not.

        Raises:
            UsageError: It is not there, cannot be read, or has something in it that cannot be
                put: a socket, a pipe, a device.
        """
        path = Path(path)
        try:
            return cls(path=path, entries=tuple(_entries(path.resolve(strict=True), "")))
        except OSError as error:
            message = f"{error.filename or path} cannot be put: {os.strerror(error.errno or 0)}"
            raise UsageError(message) from error


def _entries(path: Path, name: str) -> Iterator[Entry]:
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        yield Entry(name=name, path=path, kind=EntryKind.DIRECTORY, mode=mode)
        for child in sorted(os.listdir(path)):  # noqa: PTH208 - names, not paths
            yield from _entries(path / child, f"{name}/{child}" if name else child)
    elif stat.S_ISLNK(status.st_mode):
        target = os.readlink(path)  # noqa: PTH115 - as it is written: Path would tidy it up
        yield Entry(name=name, path=path, kind=EntryKind.LINK, target=target)
    elif stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield Entry(
            name=name,
            path=path,
            kind=EntryKind.FILE,
            mode=mode,
            size_bytes=status.st_size,
            digest=digest,
        )
    else:
        message = f"{path} cannot be put: it is neither a file nor a directory nor a link"
        raise UsageError(message, hint="leave sockets, pipes and devices out")
