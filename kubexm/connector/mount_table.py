"""What is mounted on this machine, and which of that is its own."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

_FOREIGN = frozenset(
    {
        *("9p", "afs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "virtiofs"),
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts"),
        *("devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc"),
        *("pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs"),
        "overlay",
    }
)
"""File systems that are not this machine's own: other machines', the kernel's, containers'."""


class Mounted(NamedTuple):
    """A line of /proc/self/mountinfo."""

    number: str
    target: str
    kind: str


def mounted(table: str) -> list[Mounted]:
    """What is mounted where, every place once, parents first.

    Args:
        table: The text of /proc/self/mountinfo (proc_pid_mountinfo(5)); of two mounts at one
            place the later counts.
    """
    found = {}
    for line in table.splitlines():
        place, _, system = line.partition(" - ")
        number, _, _, _, escaped = place.split()[:5]
        target = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), escaped)
        found[target] = Mounted(number, target, system.split()[0])
    return [found[target] for target in sorted(found)]


def is_foreign(kind: str) -> bool:
    """Whether a file system of that type is none of this machine's disks."""
    return kind in _FOREIGN or kind.startswith("fuse.")


def is_in_sight(one: Mounted) -> bool:
    """Whether its mount point leads to it; a later mount may hide it."""
    try:
        descriptor = os.open(one.target, os.O_PATH)
    except FileNotFoundError:
        return False
    try:
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii")
    finally:
        os.close(descriptor)
    return re.search(rf"^mnt_id:\s*{one.number}$", told, re.MULTILINE) is not None
