"""known_hosts files: read when they change, shared by the process, and only ever appended to."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from kubexm.connector.known_hosts import Entry, HostKey, Standing, compare, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK_PATIENCE_S = 5.0
_Signature: TypeAlias = tuple[int, int, int] | None


class KnownHostsFile:
    """One known_hosts file. `_lock` guards everything that was read from it."""

    _shared: ClassVar[dict[Path, KnownHostsFile]] = {}
    _shared_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._signature: _Signature = None
        self._lines = 0
        self._named: dict[str, list[Entry]] = {}
        self._patterns: list[Entry] = []
        self._unsaved: list[Entry] = []

    def __repr__(self) -> str:
        return f"<KnownHostsFile {self.path}>"

    @classmethod
    def at(cls, path: Path) -> KnownHostsFile:
        """The one object of this process for a path, so that it is parsed once."""
        with cls._shared_lock:
            return cls._shared.setdefault(path, cls(path))

    def entries(self, name: str) -> tuple[Entry, ...]:
        """Every entry for a host's name (see `name_of`), in the file's order.

        A file that is missing or cannot be read has none.
        """
        with self._lock:
            self._refresh()
            return self._find(name)

    def add(self, name: str, key: HostKey) -> tuple[Standing, tuple[Entry, ...]]:
        """Record a new key, unless the file has come to say something about its host.

        Returns:
            NEW with no entries when the line was appended; otherwise what `compare` says.

        Raises:
            OSError: It could not be written. The key is remembered for this process.
        """
        with self._lock:
            try:
                with self._locked() as descriptor:
                    self._refresh()
                    standing, said = compare(self._find(name), key)
                    if standing is Standing.NEW:
                        self._append(descriptor, name, key)
            except OSError:
                unsaved = parse_line(f"{name} {key.line}", self.path, 0)
                if unsaved is not None and unsaved not in self._unsaved:
                    self._unsaved.append(unsaved)
                raise
            return standing, said

    def _find(self, name: str) -> tuple[Entry, ...]:
        found = [e for e in (*self._patterns, *self._unsaved) if e.matches(name)]
        return tuple(sorted((*self._named.get(name, ()), *found), key=lambda e: e.line))

    def _refresh(self) -> None:
        try:
            signature = _signature(self.path.stat())
            if signature == self._signature:
                return
            text = self.path.read_text("utf-8", "surrogateescape")
        except OSError:
            signature, text = None, ""
        self._lines = 0
        self._named, self._patterns = {}, []
        for line in text.split("\n"):
            self._index(line)
        self._lines -= 1  # what follows the last newline is no line yet
        self._signature = signature

    def _index(self, line: str) -> None:
        self._lines += 1
        entry = parse_line(line, self.path, self._lines)
        if entry is None:
            return
        if any(c in name for name in entry.names for c in "*?!|"):
            self._patterns.append(entry)
        else:
            for name in dict.fromkeys(entry.names):
                self._named.setdefault(name, []).append(entry)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            _take_lock(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)

    def _append(self, descriptor: int, name: str, key: HostKey) -> None:
        before = os.fstat(descriptor)
        line = f"{name} {key.line}"
        unended = before.st_size > 0 and os.pread(descriptor, 1, before.st_size - 1) != b"\n"
        os.write(descriptor, (b"\n" if unended else b"") + f"{line}\n".encode())
        # Otherwise somebody else has written too: the next reader parses the file anew.
        if _signature(before) == self._signature and not unended:
            self._index(line)
            self._signature = _signature(os.fstat(descriptor))


def _take_lock(descriptor: int) -> None:
    """Lock against other processes, for a while at most.

    Where that fails (a network file system without locks, a holder that hangs), O_APPEND alone
    keeps lines whole, which is all that OpenSSH relies on.
    """
    limit = time.monotonic() + _LOCK_PATIENCE_S
    while time.monotonic() < limit:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            return
        else:
            return


def _signature(status: os.stat_result) -> _Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns
