"""A list of hosts on the command line: `--inventory 'web1,web2:2222,'`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.inventory.source import Document, Reading


class HostList:
    """Names between commas; one name alone has a comma behind it."""

    def claims(self, given: str) -> int:
        """Whether it has a comma and is no file."""
        return 20 if "," in given and not Path(given).exists() else 0

    def read(self, given: str, reading: Reading) -> Iterable[Document]:
        """Every name as a host in no group."""
        names = [name.strip() for name in given.split(",") if name.strip()]
        yield reading.document(given, {"all": {"hosts": dict.fromkeys(names)}})


source = HostList()
