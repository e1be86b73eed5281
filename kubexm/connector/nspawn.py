"""The transport `nspawn`: into a running systemd-nspawn container, as its root.

Its namespaces are entered (nsenter), with no more capabilities than the container has. That needs
neither a D-Bus nor a login in the container. The container is found where systemd-machined
registers it, else by the systemd-nspawn process of that name (`--register=no`).
For a directory tree that is not booted there is `chroot`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.connector.client import Client, ClientConnector, Refusal
from kubexm.errors import ConnectError, UnreachableError

if TYPE_CHECKING:
    from kubexm.connector.endpoint import Endpoint

_FIND = (
    'leader=; if [ -r "/run/systemd/machines/$1" ]; '
    'then leader=$(sed -n "s/^LEADER=//p" "/run/systemd/machines/$1"); '
    "else for comm in $(grep -lx systemd-nspawn /proc/[0-9]*/comm 2>/dev/null); do "
    "pid=${comm#/proc/}; pid=${pid%/comm}; "
    'case " $(tr "[:cntrl:]" " " <"/proc/$pid/cmdline") " in '
    '*" --machine=$1 "* | *" -M $1 "* | *" -M$1 "*) '
    'for child in $(cat "/proc/$pid/task/$pid/children"); do '
    'grep -q "^NSpid:.*[[:space:]]1$" "/proc/$child/status" && leader=$child; done;; '
    "esac; done; fi; "
    '[ -d "/proc/${leader:-none}" ] || { echo "kubexm: no container $1" >&2; exit 125; }; '
)
_BOUND = (
    'held=$(sed -n "s/^CapBnd:[[:space:]]*//p" "/proc/$leader/status"); bounding=-all; number=0; '
    'while [ "$number" -lt 64 ]; do '
    "[ $((0x$held >> number & 1)) = 0 ] || bounding=$bounding,+cap_$number; "
    "number=$((number + 1)); done; "
)
_ENTER = (
    f"{_FIND}{_BOUND}umask 022; "
    "exec env -i HOME=/root LOGNAME=root USER=root SHELL=/bin/sh TERM=dumb "
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "
    'setpriv --bounding-set="$bounding" '
    '"$3" --target "$leader" --all -- /bin/sh -c "cd 2>/dev/null; $2"'
)
"""One line without backslash or exclamation mark, which any login shell hands on unchanged."""

_REFUSALS = (
    Refusal(
        r"kubexm: no container",
        UnreachableError,
        "{place} does not run",
        "is its name right (machinectl list), and is it up?",
    ),
    Refusal(
        r"Operation not permitted|[Pp]ermission denied",
        ConnectError,
        "only root can enter {place}",
        "run kubexm as root, or do not forbid it there (kubexm_become: false of kubexm_via)",
    ),
    Refusal(
        r"failed to execute /bin/sh",
        ConnectError,
        "{place} has no sh",
        "kubexm needs a POSIX sh",
    ),
)


def plugin(endpoint: Endpoint) -> ClientConnector:
    """The entry point `nspawn`. The user is root, whatever the inventory calls the login user."""
    container = endpoint.inside.container or endpoint.address or endpoint.name
    program = endpoint.inside.executable or "nsenter"
    client = Client(
        program=program,
        place=f"the container {container}",
        argv=lambda command: ("sh", "-c", _ENTER, "sh", container, command, program),
        refusals=_REFUSALS,
        wants_root=True,
    )
    return ClientConnector(endpoint, client)
