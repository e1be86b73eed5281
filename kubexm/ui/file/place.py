"""Files that are their owner's alone."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, TextIO

from kubexm.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def append(path: Path) -> TextIO:
    """The file, open at its end; made with mode 0600.

    Raises:
        UsageError: It cannot be opened.
    """
    try:
        return _open(path, os.O_APPEND)
    except OSError as error:
        raise _fault(path, error) from error


def replace(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Give the file this text and mode, as a whole: a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with _open(temporary, os.O_EXCL) as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check(path: Path) -> Path:
    """The path, when `replace` will be able to write there.

    Raises:
        UsageError: It is a directory, or its directory cannot be written to.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(21, os.strerror(21))
        probe = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        _open(probe, os.O_EXCL).close()
        probe.unlink()
    except OSError as error:
        raise _fault(path, error) from error
    return path


def _open(path: Path, flags: int) -> TextIO:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    return os.fdopen(file, "w", encoding="utf-8", errors="replace")


def _fault(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be written: {error.strerror}", hint="name another file")
