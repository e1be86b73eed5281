"""os-release(5) read as it is meant: assignments with shell quoting and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubexm.facts.model import OperatingSystem

if TYPE_CHECKING:
    from collections.abc import Iterable

_ASSIGNMENT = re.compile(r"""\s*([A-Za-z_][A-Za-z0-9_]*)=(["']?)(.*)\2\s*""", re.ASCII)
_ESCAPE = re.compile(r"""\\([\\$"'`])""")
_CODENAME = re.compile(r"\(([^()]+)\)")


def parse_os_release(lines: Iterable[str]) -> OperatingSystem:
    """The operating system that the lines of an os-release file describe."""
    values = {}
    for line in lines:
        found = _ASSIGNMENT.fullmatch(line)
        if found is not None:
            name, quote, text = found.groups()
            values[name] = text if quote == "'" else _ESCAPE.sub(r"\1", text)
    codename = values.get("VERSION_CODENAME", "")
    if not codename and (named := _CODENAME.search(values.get("VERSION", ""))):
        codename = named[1]
    return OperatingSystem(
        id=values.get("ID", ""),
        id_like=tuple(values.get("ID_LIKE", "").split()),
        version_id=values.get("VERSION_ID", ""),
        codename=codename,
        pretty_name=values.get("PRETTY_NAME", ""),
    )
