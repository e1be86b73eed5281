"""The transport `chroot`: into a directory tree that holds a system, as root; nothing boots there.

Every command line gets mounts of its own of /proc, /dev and /sys, which end with it: nothing is
left mounted. The kernel's settings below /proc/sys and /sys can only be read there, because they
are the machine's. Network, processes and users' limits are the machine's too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.connector.client import Client, ClientConnector, Refusal
from kubexm.errors import ConnectError, UnreachableError

if TYPE_CHECKING:
    from kubexm.connector.endpoint import Endpoint

_ENTER = (
    '[ -d "$1/bin" ] || { echo "kubexm: no system in $1" >&2; exit 125; }; '
    'set -e; mkdir -p "$1/proc" "$1/sys" "$1/dev"; '
    'mount --rbind /proc "$1/proc"; mount --bind /sys "$1/sys"; mount --rbind /dev "$1/dev"; '
    'mount --bind /proc/sys "$1/proc/sys"; '
    'mount -o remount,bind,ro "$1/proc/sys"; mount -o remount,bind,ro "$1/sys"; '
    "umask 022; exec env -u TMPDIR -u XDG_RUNTIME_DIR -u SSH_AUTH_SOCK "
    "HOME=/root LOGNAME=root USER=root SHELL=/bin/sh SYSTEMD_OFFLINE=1 "
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "
    '"$3" "$1" /bin/sh -c "cd 2>/dev/null; $2"'
)
"""One line without backslash or exclamation mark, which any login shell hands on unchanged."""

_REFUSALS = (
    Refusal(
        r"kubexm: no system in",
        UnreachableError,
        "{place} holds no system: there is no directory bin in it",
        "check kubexm_root, on the machine of kubexm_via if there is one",
    ),
    Refusal(
        r"unshare failed|Operation not permitted|[Pp]ermission denied|must be superuser",
        ConnectError,
        "only root, with the capability SYS_ADMIN, can enter {place}",
        "run kubexm as root, or do not forbid it there (kubexm_become: false of kubexm_via)",
    ),
    Refusal(
        r"failed to run command|can't execute|Exec format error",
        ConnectError,
        "{place} has no sh that this machine can run",
        "kubexm needs /bin/sh in it, for this machine's kind of processor",
    ),
)


def plugin(endpoint: Endpoint) -> ClientConnector:
    """The entry point `chroot`. The user is root, whatever the inventory calls the login user."""
    root = endpoint.inside.root or endpoint.address
    program = endpoint.inside.executable or "chroot"
    start = ("unshare", "--mount", "sh", "-c", _ENTER, "sh", root)
    client = Client(
        program=program,
        place=f"the directory tree {root}",
        argv=lambda command: (*start, command, program),
        refusals=_REFUSALS,
        wants_root=True,
        is_image=True,
    )
    return ClientConnector(endpoint, client)
