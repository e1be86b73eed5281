"""What this machine must have to carry a laboratory, and how to get it."""

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.lab.cgroup import hierarchies
from tests.lab.command import CommandError, MissingError, find, note, run

_PROGRAMS = {
    "dpkg-deb": "dpkg",
    "ip": "iproute2",
    "losetup": "mount",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "tar": "tar",
    "unshare": "util-linux",
}
"""Program to the Debian package that has it."""

_VIRTUAL_PROGRAMS = {
    "mke2fs": "e2fsprogs",
    "mkswap": "util-linux",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
}
"""The same, for virtual machines."""

_FILES = {"/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring"}


_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
"""Bit numbers of linux/capability.h; root in a container often lacks these."""

_INOTIFY_PER_HOST = 8
"""Seven when idle."""


def obstacles() -> tuple[str, ...]:
    """What keeps this machine from carrying a laboratory and cannot be installed."""
    found: list[str] = []
    if not sys.platform.startswith("linux"):
        return (f"Linux (this is {sys.platform})",)
    if os.geteuid() != 0:
        found.append("root's rights")
    if "overlay" not in Path("/proc/filesystems").read_text("utf-8").split():
        found.append("overlayfs in the kernel")
    capabilities = _capabilities()
    found += [name for name, bit in _CAPABILITIES.items() if not capabilities >> bit & 1]
    roots = hierarchies()
    if not roots or not all(os.access(root, os.W_OK) for root in roots):
        found.append("a writable cgroup2 or systemd control group hierarchy")
    if find("apt-get") is None:
        found.append("apt-get, to bootstrap the hosts with")
    return tuple(found)


def virtual_obstacles() -> tuple[str, ...]:
    """What keeps this machine from carrying a virtual machine too; nothing of kvm is needed."""
    found = obstacles()
    if platform.machine() != "x86_64":
        found += (f"an x86_64 machine (this is {platform.machine()})",)
    return found


def provide() -> None:
    """Install what is missing.

    Raises:
        MissingError: Something is missing that no package brings, or apt-get cannot install it.
    """
    _provide(obstacles(), _PROGRAMS)


def provide_virtual() -> None:
    """Install what is missing for virtual machines.

    Raises:
        MissingError: Something is missing that no package brings, or apt-get cannot install it.
    """
    _provide(virtual_obstacles(), _PROGRAMS | _VIRTUAL_PROGRAMS)


def _provide(missing: tuple[str, ...], programs: Mapping[str, str]) -> None:
    if missing:
        message = f"the laboratory needs {', '.join(missing)}"
        raise MissingError(message)
    packages = {package for program, package in programs.items() if find(program) is None}
    packages |= {package for file, package in _FILES.items() if not Path(file).exists()}
    if not packages:
        return
    wanted = sorted(packages)
    note(f"installing {' '.join(wanted)}")
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq")
    try:
        run(*quiet, "update", timeout_s=300.0)
        run(*quiet, "install", "--yes", "--no-install-recommends", *wanted, timeout_s=600.0)
    except CommandError as error:
        message = f"the laboratory needs {', '.join(wanted)}, and {error}"
        raise MissingError(message) from error


def check_room(hosts: int) -> None:
    """Make sure that more hosts can boot: their systemd shares root's inotify instances with all.

    Args:
        hosts: How many are about to boot.

    Raises:
        MissingError: So many do not fit.
    """
    limit_file = Path("/proc/sys/fs/inotify/max_user_instances")
    limit = int(limit_file.read_text("ascii"))
    used = _inotify_instances()
    if used + hosts * _INOTIFY_PER_HOST > limit:
        message = f"{hosts} more hosts need about {hosts * _INOTIFY_PER_HOST} inotify instances; "
        message += f"{used} of this machine's {limit} are used ({limit_file})"
        raise MissingError(message)


def _inotify_instances() -> int:
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == 0:
                links = (str(descriptor.readlink()) for descriptor in (process / "fd").iterdir())
                count += sum(link == "anon_inode:inotify" for link in links)
        except OSError:
            continue
    return count


def _capabilities() -> int:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
