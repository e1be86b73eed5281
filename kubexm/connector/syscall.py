"""The few calls of the Linux kernel that a sandbox is made with and Python does not offer."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_LIBC = ctypes.CDLL(None, use_errno=True)

# sched.h
NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWPID = 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000

# mount.h
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 32, 4096, 0x4000, 0x40000
_DETACH = 2

# prctl.h, capability.h
_SET_PDEATHSIG, _SET_DUMPABLE, _CAPBSET_READ, _CAPBSET_DROP = 1, 4, 23, 24
_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_SIGKILL = 9

KEPT = (0, 1, 3, 4, 5, 6, 7, 8, 18, 24, 29, 31)
"""The capabilities that the installation of packages needs.

CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, SYS_CHROOT, SYS_RESOURCE and
AUDIT_WRITE (PAM fails without these two), SETFCAP. Without the others root changes neither the
kernel nor the network nor what is mounted.
"""


def unshare(flags: int) -> None:
    """Give this process namespaces of its own (unshare(2))."""
    _call("unshare", flags)


def enter(namespace: int) -> None:
    """Move into the namespace that a descriptor stands for (setns(2))."""
    _call("setns", namespace, 0)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mount a file system (mount(2))."""
    _call("mount", *map(os.fsencode, (source, target, kind)), flags, os.fsencode(options))


def bind(source: str, target: str) -> None:
    """Show a directory at another place, without what is mounted below it."""
    mount(source, target, "", _BIND)


def bind_read_only(source: str, target: str) -> None:
    """Show a directory at another place, where it cannot be written to."""
    bind(source, target)
    # Without _BIND a remount would reach the file system itself, at every place.
    mount("", target, "", _BIND | _REMOUNT | RDONLY | NOSUID | NODEV | NOEXEC)


def make_private() -> None:
    """Let no mount of this namespace reach another one, nor the other way round."""
    mount("", "/", "", _RECURSIVE | _PRIVATE)


def pivot_here() -> None:
    """Make the current directory, a mount point, the root and let go of the old one."""
    # Old and new are mounted at one place for a moment; see pivot_root(2), NOTES.
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")


def set_host_name(name: bytes) -> None:
    """Name this process's UTS namespace (sethostname(2))."""
    _call("sethostname", name, len(name))


def die_with_parent() -> None:
    """Be killed when the thread that started this process ends."""
    _control(_SET_PDEATHSIG, _SIGKILL)


def hide_memory() -> None:
    """Let nobody look at this process in /proc or trace it, unless it has SYS_PTRACE.

    Its /proc/PID/exe is a file of the machine, not of the copy.
    """
    _control(_SET_DUMPABLE, 0)


def drop_privileges() -> None:
    """Leave this process, and all that it will ever start, with the `KEPT` capabilities only."""
    number = 0
    while _has(number):
        if number not in KEPT:
            _control(_CAPBSET_DROP, number)
        number += 1
    _control(_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable: the lower 32 of each, then the upper (capset(2)).
    data = ctypes.create_string_buffer(24)
    _call("capget", header, data)
    permitted = struct.unpack("=6I", data.raw)[1] & sum(1 << number for number in KEPT)
    _call("capset", header, struct.pack("=6I", permitted, permitted, 0, 0, 0, 0))


def _has(capability: int) -> bool:
    """Whether the kernel knows a capability of that number."""
    try:
        _control(_CAPBSET_READ, capability)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    return True


def _control(option: int, argument: int) -> None:
    _call("prctl", option, argument, 0, 0, 0)


def _call(function: str, *arguments: bytes | int | ctypes.Array[ctypes.c_char]) -> None:
    """Call the C library; numbers are passed as long ones."""
    words = [ctypes.c_ulong(one) if isinstance(one, int) else one for one in arguments]
    if getattr(_LIBC, function)(*words) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
