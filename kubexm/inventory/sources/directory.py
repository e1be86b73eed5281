"""A directory of inventory sources, read in the order of their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.inventory.source import Document, Reading

_VARIABLES = frozenset({"group_vars", "host_vars", "vars_plugins"})
_IGNORED = (
    *(".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg"),
    ".retry",
)
"""Ends of names, as Ansible's INVENTORY_IGNORE_EXTS has them."""


class Directory:
    """Everything in it but hidden files, backups and the directories of variables."""

    def claims(self, given: str) -> int:
        """Whether it is a directory."""
        return 20 if given and Path(given).is_dir() else 0

    def read(self, given: str, reading: Reading) -> Iterable[Document]:
        """The documents of every source in it; a later one has the say."""
        try:
            entries = sorted(Path(given).iterdir(), key=lambda entry: entry.name)
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise InventoryError(message, path=given) from error
        sources = [entry for entry in entries if _is_source(entry.name)]
        if not sources:
            message = "has no inventory in it"
            raise InventoryError(
                message, path=given, hint="name a file, or put one into this directory"
            )
        for entry in sources:
            yield from reading.read(str(entry))


def _is_source(name: str) -> bool:
    return not name.startswith(".") and name not in _VARIABLES and not name.endswith(_IGNORED)


source = Directory()
