"""`group_vars/` and `host_vars/` beside an inventory: files and directories of variables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError
from kubexm.inventory import variable_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kubexm.inventory.source import Reading
    from kubexm.inventory.variable import Variable

_ENDS = ("", ".yml", ".yaml", ".json")
"""In the order in which Ansible looks; the first that is there is the only one that counts."""

GROUPS = "group_vars"
HOSTS = "host_vars"


class Adjacent:
    """The variables in the directories beside one source.

    Args:
        directory: That of the source.
        reading: Gets every fault, and has the secrets.
    """

    def __init__(self, directory: Path, reading: Reading) -> None:
        self.directory = directory
        self._reading = reading
        self._names = {kind: _entries(directory / kind) for kind in (GROUPS, HOSTS)}
        self._used: set[str] = set()

    def variables(self, kind: str, name: str) -> Mapping[str, Variable]:
        """Those of one group or host; of several files the later name has the say.

        Args:
            kind: `GROUPS` or `HOSTS`.
            name: Of the group or the host.
        """
        names = self._names[kind]
        chosen = next((name + end for end in _ENDS if name + end in names), None)
        if chosen is None:
            return {}
        self._used.add(f"{kind}/{chosen}")
        source = f"{'group' if kind == GROUPS else 'host'} {name}"
        found: dict[str, Variable] = {}
        for path in _files(self.directory / kind / chosen):
            for key, new in self._read(path, source).items():
                found[key] = new._replace(beaten=found.get(key))
        return found

    def unused(self) -> tuple[Path, ...]:
        """The files and directories that no group or host has the name of."""
        return tuple(
            self.directory / kind / name
            for kind, names in self._names.items()
            for name in sorted(names)
            if f"{kind}/{name}" not in self._used and _counts(Path(name))
        )

    def _read(self, path: Path, source: str) -> Mapping[str, Variable]:
        try:
            return variable_file.read(path, source, self.directory.absolute(), self._reading)
        except InventoryError as error:
            self._reading.problems.of(str(path)).note(error)
            return {}


def _entries(directory: Path) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise InventoryError(message, path=str(directory)) from error


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or those in a directory by name and at any depth."""
    if not path.is_dir():
        yield path
        return
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if _counts(entry) and not entry.suffix:
                yield from _files(entry)
        elif _counts(entry):
            yield entry


def _counts(path: Path) -> bool:
    is_backup = path.name.startswith(".") or path.name.endswith("~")
    return not is_backup and path.suffix in _ENDS
