"""Whose a run is: a lock that ends with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from kubexm.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "at-work"


class Claim:
    """The right to work on a run, held by at most one process.

    A lock of the kernel (flock), so that nothing has to be tidied up after a kill -9. Programs
    that are started meanwhile do not inherit it.

    Args:
        directory: The run's.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / _NAME
        self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def take(self) -> bool:
        """Whether it is ours now; `holder` says whose it is when it is not.

        Raises:
            JournalError: The file of the lock cannot be made.
        """
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"{self._path} cannot be made: {error.strerror}"
            raise JournalError(message, hint="choose a directory with --work-dir") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def sign(self) -> None:
        """Leave word of who holds it."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, process().encode(), 0)

    def holder(self) -> str:
        """Who took it last, in words."""
        with suppress(OSError):
            return self._path.read_text("utf-8", "replace").strip()
        return ""

    def release(self) -> None:
        """Let it go; harmless when repeated."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def is_at_work(directory: Path) -> bool:
    """Whether some process works on the run of this directory."""
    if not (directory / _NAME).exists():
        return False
    with Claim(directory) as claim:
        return not claim.take()


def process() -> str:
    """This process in words: "process 4711 on ops1"."""
    return f"process {os.getpid()} on {socket.gethostname()}"
