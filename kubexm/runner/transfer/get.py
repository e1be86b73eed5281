"""From a host to this machine: what is not here already, checked, and put in place at once."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from kubexm.errors import TransferError
from kubexm.runner.operations.file import check_path
from kubexm.runner.transfer.model import (
    BLOCK_BYTES,
    FIRST_PART_BYTES,
    SMALL_BYTES,
    Progress,
    Transfer,
    next_part_bytes,
)
from kubexm.runner.transfer.remote import Remote, Wire
from kubexm.shell import TRANSFER, Script

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from kubexm.shell import Session

_TOGETHER = 256
_ERRORS_KEPT = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One path of the host and where it goes."""

    path: str
    local: Path
    found: Remote


def get(
    session: Session,
    path: str,
    local: Path,
    *,
    deadline_s: float,
    check: bool = False,
    progress: Progress | None = None,
) -> Transfer:
    """Get a file, a link or a directory of the host.

    What is here already is not fetched. Modes and symbolic links are kept, owners are this
    process's; sockets, pipes and devices are left out. What `local` has beside it stays.

    Args:
        session: As a user who may read it.
        path: On the host. A symbolic link there is followed, those below it are not.
        local: Of the file or directory itself; missing parents are made.
        deadline_s: For each trip, enforced on the host.
        check: Write nothing; say what would be.
        progress: Told while content moves.

    Raises:
        ValueError: The path cannot be one.
        TransferError: It cannot be read there or written here, or it changed meanwhile.
        SessionLostError: The link broke; nothing half-written is left here.
        DeadlineError: A trip took too long; likewise.
    """
    check_path(path)
    wire = Wire(session=session, deadline_s=deadline_s)
    items = _look(wire, path, local)
    taken = [item for item in items if item.found.kind in ("file", "directory", "link")]
    try:
        todo = [item for item in taken if not _is_here(item)]
        files = [item for item in todo if item.found.kind == "file"]
        total = sum(item.found.size_bytes for item in files)
        fetch = _Fetch(wire, local, total, progress)
        if not check:
            fetch.apply(todo)
    except OSError as error:
        message = f"{error.filename or local} cannot be written: {os.strerror(error.errno or 0)}"
        raise TransferError(message) from error
    return Transfer(
        changed=tuple(str(item.local) for item in todo),
        unchanged=len(taken) - len(todo),
        sent_bytes=total,
        left_out=tuple(item.path for item in items if item.found.kind == "special"),
        diff="".join(f"+{item.local}: {item.found.shown()}\n" for item in todo),
    )


def _look(wire: Wire, path: str, local: Path) -> list[_Item]:
    """What is there: one trip for the path itself, two more for the inside of a directory."""
    doing = f"looking at {path}"
    found = Remote.read(wire.ask(_call("kx_content_state", path, "-1"), doing).text)
    if found.kind in ("absent", "dangling"):
        message = f"there is nothing at {path}"
        raise TransferError(message)
    if found.kind != "directory":
        return [_Item(path=path, local=local, found=found)]
    names = wire.ask(_call("kx_get_names", path), doing)
    if names.truncated:
        message = f"{path} holds more names than one answer takes"
        raise TransferError(message, hint="get the directories in it one by one")
    below = sorted(
        name.removeprefix("./") for name in os.fsdecode(names.stdout).split("\0") if name
    )
    items = [_Item(path=path, local=local, found=found)]
    inside = [name for name in below if name != "."]
    for start in range(0, len(inside), _TOGETHER):
        some = inside[start : start + _TOGETHER]
        scripts = [_call("kx_file_state", f"{path}/{name}", "-1") for name in some]
        for name, reply in zip(some, wire.ask_all(scripts, doing), strict=True):
            state = Remote.read(reply.text)
            items.append(_Item(path=f"{path}/{name}", local=local / plain(name), found=state))
    return items


def plain(name: str) -> str:
    """The name, when it stays below the directory that it was found in.

    Raises:
        TransferError: It does not: the host wants to write elsewhere on this machine.
    """
    if any(part in ("", ".", "..") for part in name.split("/")):
        message = f"the host answers with a name that leads elsewhere: {name!r}"
        raise TransferError(message)
    return name


def _is_here(item: _Item) -> bool:
    """Whether the local path is already as the host's is."""
    local, found = item.local, item.found
    if found.kind == "link":
        return local.is_symlink() and os.readlink(local) == found.rest  # noqa: PTH115 - unaltered
    if local.is_symlink():
        return False
    if found.kind == "directory":
        return local.is_dir()
    if not local.is_file() or local.stat().st_size != found.size_bytes:
        return False
    if local.stat().st_mode & 0o7777 != found.mode:
        return False
    with local.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == found.digest


@dataclass(slots=True)
class _Fetch:
    """The second half: everything that writes here."""

    wire: Wire
    root: Path
    total: int
    progress: Progress | None
    moved: int = field(default=0, init=False)

    def apply(self, todo: Sequence[_Item]) -> None:
        """Directories, then files, then links, so that nothing is written through a new link."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        directories = [item for item in todo if item.found.kind == "directory"]
        for item in directories:
            self._within(item)
            item.local.mkdir(mode=0o700)
        small: list[_Item] = []
        for item in (item for item in todo if item.found.kind == "file"):
            self._within(item)
            size = sum(one.found.size_bytes for one in (*small, item))
            if small and (len(small) == _TOGETHER or size > SMALL_BYTES):
                self._small(small)
                small = []
            if item.found.size_bytes > SMALL_BYTES:
                self._large(item)
            else:
                small.append(item)
        if small:
            self._small(small)
        for item in (item for item in todo if item.found.kind == "link"):
            self._within(item)
            _link(item)
        for item in reversed(directories):
            item.local.chmod(item.found.mode)

    def _within(self, item: _Item) -> None:
        """Refuse to write through a symbolic link that lies below the root."""
        for parent in item.local.parents:
            if parent == self.root.parent:
                return
            if parent.is_symlink():
                message = f"{parent} is a symbolic link; nothing is written through it"
                raise TransferError(message, hint="remove it, or get into another directory")

    def _add(self, count: int) -> None:
        self.moved += count
        if self.progress is not None:
            self.progress(self.moved, self.total)

    def _small(self, items: Sequence[_Item]) -> None:
        """In one trip."""
        scripts = [_call("kx_get_part", item.path, "0", "8") for item in items]
        doing = f"getting {items[0].path}" + (" and others" if len(items) > 1 else "")
        for item, reply in zip(items, self.wire.ask_all(scripts, doing), strict=True):
            with _draft(item) as file:
                file.write(reply.stdout)
                _compare(item, hashlib.sha256(reply.stdout).hexdigest())
            self._add(len(reply.stdout))

    def _large(self, item: _Item) -> None:
        """In parts, each with the deadline of a trip, straight to the disk."""
        hashed = hashlib.sha256()
        with _draft(item) as file:

            def hear(number: int, stream: str, data: bytes) -> None:
                del number
                if stream == "stdout":
                    file.write(data)
                    hashed.update(data)
                    self._add(len(data))

            offset, size = 0, FIRST_PART_BYTES
            while offset < item.found.size_bytes:
                began = time.monotonic()
                blocks = (str(offset // BLOCK_BYTES), str(size // BLOCK_BYTES))
                script = _call("kx_get_part", item.path, *blocks)
                doing = f"getting {item.path}"
                self.wire.ask_all([script], doing, listener=hear, cap_bytes=_ERRORS_KEPT)
                offset += size
                size = next_part_bytes(size, time.monotonic() - began, self.wire.deadline_s)
            _compare(item, hashed.hexdigest())


def _compare(item: _Item, digest: str) -> None:
    if digest != item.found.digest:
        message = f"{item.path} changed while it was fetched"
        raise TransferError(message, hint="get it again when nobody writes to it")


def _link(item: _Item) -> None:
    """A symbolic link in the place of whatever but a directory is there, at once."""
    if item.local.is_dir() and not item.local.is_symlink():
        message = f"{item.local} is a directory here and a link on the host"
        raise TransferError(message, hint="remove it, or get into another directory")
    draft = item.local.with_name(f".kubexm-{secrets.token_hex(4)}")
    draft.symlink_to(item.found.rest)
    draft.replace(item.local)


@contextmanager
def _draft(item: _Item) -> Iterator[BinaryIO]:
    """A new private file beside the destination that takes its place when all went well."""
    if item.local.is_dir() and not item.local.is_symlink():
        message = f"{item.local} is a directory here and a file on the host"
        raise TransferError(message, hint="name the file itself, or remove what is here")
    draft = item.local.with_name(f".kubexm-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), item.found.mode & 0o777)
            os.fsync(file.fileno())
        draft.replace(item.local)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _call(function: str, *arguments: str) -> Script:
    call = TRANSFER.call(function, *arguments)
    return Script(call.text, libraries=(TRANSFER,))
