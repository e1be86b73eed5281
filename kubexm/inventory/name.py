"""Names of hosts, groups and variables: what they may hold, and ranges such as `node[01:20]`."""

from __future__ import annotations

import ipaddress
import re
from string import ascii_letters

CONTROL_NODE = "control-node"
ALL = "all"
UNGROUPED = "ungrouped"
OURS = "kubexm_"
ANSIBLES = "ansible_"

_SECRET_ENDS = ("_pass", "_password", "_passphrase", "_private_key")
_LONGEST = 253
_MOST = 10_000
_MISREAD = frozenset(",:!&*?[]{}/\\")
_MISREAD_FIRST = frozenset("~@")
_RANGE = re.compile(r"\[([0-9]+|[a-zA-Z])?:([0-9]+|[a-zA-Z])(?::([0-9]+))?\]")
_PORT = re.compile(r"(?:\[([^\[\]]+)\]|((?:[^:\[\]]|\[[^\]]*\])+)):([0-9]+)")
_RFC_1123 = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE)


def fault(name: str) -> str:
    """Why this cannot be a name of a host or a group; empty when it can.

    Names are used as words of `--limit` and as names of directories.
    """
    if not name:
        return "is empty"
    if not name.isprintable() or " " in name:
        return "holds a space or a control character"
    misread = _MISREAD.intersection(name) | _MISREAD_FIRST.intersection(name[0])
    if (found := sorted(misread)) and not _is_ip(name):
        return f"holds {found[0]!r}, which has a meaning in --limit or in file names"
    if name.startswith("-") or name in {".", ".."}:
        return "would be misread as an option or a directory"
    if len(name) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    return ""


def is_host_name(name: str) -> bool:
    """Whether RFC 1123 section 2.1 allows it: a host name of letters, digits, '-' and '.'."""
    return _RFC_1123.fullmatch(name) is not None or _is_ip(name)


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_secret_name(name: str) -> bool:
    """Whether a connection variable of that name holds what must not be shown."""
    return name.startswith((OURS, ANSIBLES)) and name.endswith(_SECRET_ENDS)


def expand(pattern: str) -> tuple[str, ...]:
    """The names that ranges stand for, as Ansible has them: both ends count.

    `node[01:03]` is node01, node02, node03; `rack[a:c]` has letters; `[0:10:5]` has a stride.

    Raises:
        ValueError: A range that is empty, mixed or too large, as a sentence without a subject.
    """
    if len(pattern) > _LONGEST:
        message = f"is longer than {_LONGEST} characters"
        raise ValueError(message)
    found = _RANGE.search(pattern)
    if found is None:
        return (pattern,)
    members = _members(*found.groups())
    rests = expand(pattern[found.end() :])
    if len(members) * len(rests) > _MOST:
        message = f"stands for more than {_MOST} hosts"
        raise ValueError(message)
    start = pattern[: found.start()]
    return tuple(start + member + rest for member in members for rest in rests)


def split_port(pattern: str) -> tuple[str, str]:
    """A name and the port behind it, as Ansible has them: `web1:2222`, `[2001:db8::1]:22`.

    The port is empty where there is none; the colons of ranges and IPv6 addresses are none.
    """
    found = _PORT.fullmatch(pattern)
    return (found[1] or found[2], found[3]) if found else (pattern, "")


def _members(first: str | None, last: str, stride: str | None) -> tuple[str, ...]:
    step = int(stride or 1)
    first = first or "0"
    if first.isdigit() != last.isdigit():
        message = "has a range from a digit to a letter"
        raise ValueError(message)
    if first.startswith("0") and len(first) > 1 and len(first) != len(last):
        message = "has a range whose ends differ in length"
        raise ValueError(message)
    low, high = (
        (int(first), int(last))
        if first.isdigit()
        else (ascii_letters.index(first), ascii_letters.index(last))
    )
    if step == 0 or low > high:
        message = "has a range that is empty"
        raise ValueError(message)
    if (high - low) // step >= _MOST:
        message = f"stands for more than {_MOST} hosts"
        raise ValueError(message)
    numbers = range(low, high + 1, step)
    if not first.isdigit():
        return tuple(ascii_letters[number] for number in numbers)
    width = len(first) if first.startswith("0") else 0
    return tuple(str(number).zfill(width) for number in numbers)
