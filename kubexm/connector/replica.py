"""A copy-on-write copy of this machine's files, as a root file system of its own.

One overlay (see the kernel's overlayfs.rst) for each of the machine's file systems: below it the
machine's own, above it a directory that keeps what was changed. The kernel's file systems, /run
and /tmp are fresh ones. All mounts are made in a private mount namespace and are gone with it.
"""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.connector import syscall
from kubexm.connector.mount_table import is_foreign, is_in_sight, mounted
from kubexm.connector.syscall import NODEV, NOEXEC, NOSUID, RDONLY

if TYPE_CHECKING:
    from kubexm.connector.mount_table import Mounted

_FRESH = ("/proc", "/sys", "/dev", "/run", "/tmp")  # noqa: S108 - to be made, not to be used
"""What the copy has of its own; nothing below these is taken from the machine."""

_CGROUP = "/sys/fs/cgroup"
_MEMORY_DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_FILE_BYTES = 1 << 20


class NoReplicaError(Exception):
    """This machine cannot be copied; `hint` says what to do instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Replica:
    """The copy while it is being made, by a process in a mount namespace of its own.

    Args:
        base: What holds all copies of the machine; no copy shows it.
        kept: The directory below it for this one.
    """

    def __init__(self, base: str, kept: str) -> None:
        self._base = base
        self._kept = kept
        self._uppers: dict[str, Path] = {}
        self._numbers = itertools.count()
        self.left_out: list[str] = []
        """File systems that could not be copied, and why."""

    def make(self) -> None:
        """Mount everything and make it this process's root.

        Raises:
            NoReplicaError: The machine's root file system cannot be copied.
            OSError: Something else went wrong.
        """
        syscall.make_private()
        table = mounted(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"))
        if ("/", "overlay") in {(one.target, one.kind) for one in table}:
            message = (
                "this machine's root file system is an overlay, as in a container, "
                "and overlayfs cannot copy that"
            )
            raise NoReplicaError(
                message,
                "run kubexm on a machine with a disk of its own, or name machines to reach by ssh",
            )
        # A scratch directory, so that the names among mount's options are ours and plain.
        scratch = Path(self._kept, "mount")
        scratch.mkdir(exist_ok=True)
        syscall.mount("kubexm", str(scratch), "tmpfs", options="mode=700")
        os.chdir(scratch)
        Path("kept").mkdir()
        Path("root").mkdir()
        syscall.bind(self._kept, "kept")
        for one in table:
            if not is_foreign(one.kind) and not _is_below(one.target, *_FRESH, self._base):
                self._take(one)
        if Path(f"root{self._base}").is_dir():
            syscall.mount("kubexm", self._place(self._base), "tmpfs", RDONLY, "mode=755")
        self._refresh([one.target for one in table if _is_below(one.target, _CGROUP)])
        os.chdir("root")
        syscall.pivot_here()

    def _take(self, one: Mounted) -> None:
        """Copy one of the machine's file systems; without / there is no copy.

        What overlayfs does not take, such as FAT, is the machine's own and cannot be written to.
        """
        try:
            if not is_in_sight(one):
                return
            if Path(one.target).is_dir():
                self._overlay(one.target)
            else:
                self._copy_file(one.target)
        except OSError as error:
            if one.target == "/":
                raise _no_overlay(error, self._kept) from error
            try:
                syscall.bind_read_only(one.target, self._place(one.target))
            except OSError:
                self.left_out.append(f"{one.target} ({one.kind}): {error.strerror}")

    def _overlay(self, target: str) -> None:
        place = self._place(target)
        # Commas and colons mean something among mount's options.
        plain = (one if one.isalnum() else f"%{ord(one):x}" for one in target.rstrip("/"))
        name = "root" + "".join(plain)
        lower = Path(f"lower{next(self._numbers)}")
        upper, work = Path("kept", name, "upper"), Path("kept", name, "work")
        lower.mkdir()
        syscall.bind(target, str(lower))
        if not upper.is_dir():
            status = lower.stat()
            work.mkdir(parents=True, exist_ok=True)
            upper.mkdir()
            os.chown(upper, status.st_uid, status.st_gid)
            upper.chmod(status.st_mode & 0o7777)
        # `index` would tie what is kept to the very files below, which the machine may replace.
        options = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=on,index=off"
        syscall.mount("kubexm", place, "overlay", NODEV, options)
        self._uppers[target] = upper

    def _copy_file(self, target: str) -> None:
        """Something is mounted on a file; the copy may have changed its own meanwhile."""
        parent = max((one for one in self._uppers if _is_below(target, one)), key=len)
        changed = self._uppers[parent] / Path(target).relative_to(parent)
        content = _content(target)
        if content is not None and not os.path.lexists(changed):
            self._write(target, content)

    def _refresh(self, cgroups: list[str]) -> None:
        """Make what the copy has of its own."""
        resolver = os.path.realpath("/etc/resolv.conf")
        names = _content(resolver) if _is_below(resolver, *_FRESH) else None
        pure, mixed = NOSUID | NODEV | NOEXEC | RDONLY, NOSUID | NODEV
        # Root may write to much of /proc and /sys without any capability.
        syscall.mount("proc", self._place("/proc"), "proc", pure)
        syscall.mount("sysfs", self._place("/sys"), "sysfs", pure)
        for target in cgroups:
            syscall.bind_read_only(target, self._place(target))
        syscall.mount("kubexm", self._place("/run"), "tmpfs", mixed, "mode=755")
        if not Path("root/tmp").is_symlink():
            syscall.mount("kubexm", self._place("/tmp"), "tmpfs", mixed, "mode=1777")  # noqa: S108
        syscall.mount("kubexm", self._place("/dev"), "tmpfs", NOSUID, "mode=755,size=1m")
        terminals = "newinstance,ptmxmode=0666,mode=620,gid=5"
        syscall.mount("devpts", self._place("/dev/pts"), "devpts", NOSUID | NOEXEC, terminals)
        syscall.mount("kubexm", self._place("/dev/shm"), "tmpfs", mixed, "mode=1777")  # noqa: S108
        os.umask(0)
        for name, minor in _MEMORY_DEVICES.items():
            os.mknod(f"root/dev/{name}", 0o020666, os.makedev(1, minor))
        os.mknod("root/dev/tty", 0o020666, os.makedev(5, 0))
        Path("root/run/lock").mkdir(0o1777)
        os.umask(0o022)
        for name, goal in _LINKS.items():
            Path("root/dev", name).symlink_to(goal)
        if names is not None:
            self._write(resolver, names)

    def _place(self, path: str) -> str:
        """Where a directory of the copy is; made where it is missing.

        Raises:
            OSError: A link that a run left in the copy would lead a mount out of it.
        """
        place = Path.cwd() / "root" / path.lstrip("/")
        if place.resolve() != place:
            raise OSError(errno.ELOOP, f"{path} of the copy is behind a link")
        place.mkdir(parents=True, exist_ok=True)
        return str(place)

    def _write(self, path: str, content: bytes) -> None:
        place = self._place(str(Path(path).parent))
        Path(place, Path(path).name).write_bytes(content)


def _is_below(path: str, *folders: str) -> bool:
    return any(path == one or path.startswith(f"{one.rstrip('/')}/") for one in folders)


def _content(path: str) -> bytes | None:
    """A small file's content, or `None`."""
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        return file.read(_FILE_BYTES)


def _no_overlay(error: OSError, kept: str) -> NoReplicaError:
    if error.errno == errno.ENODEV:
        return NoReplicaError(
            "this machine's kernel has no overlayfs",
            "load it (modprobe overlay), or name machines to reach by ssh",
        )
    return NoReplicaError(
        f"no overlay can be mounted over / with its changes in {kept}: {error.strerror}",
        "name a directory on a local disk with the connection option `directory`; "
        "the kernel's reason is in dmesg",
    )
