"""The inventories in `broken/`: a file for each, with what must be said about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from kubexm.errors import InventoryError
from kubexm.inventory import InventoryErrors, load
from kubexm.inventory.check import faults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DIRECTORY = Path(__file__).parent / "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is told about one mistake; `place` is `file:line:column`."""

    place: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One case.

    Args:
        name: Of its file.
        files: Texts by name, the first one is the inventory.
        problems: In the order in which they are told.
        schema: "silent" when the JSON Schema cannot see it.
    """

    name: str
    files: Mapping[str, str]
    problems: tuple[Problem, ...]
    schema: str = "rejects"

    def write(self, directory: Path) -> Path:
        """The inventory, written below a directory."""
        for name, text in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return directory / next(iter(self.files))


@cache
def broken_inventories() -> tuple[Broken, ...]:
    """Every case, by name."""
    return tuple(_read(path) for path in sorted(_DIRECTORY.glob("*.yaml")))


def _read(path: Path) -> Broken:
    said = YAML(typ="safe").load(path)
    assert said.keys() <= {"inventory", "files", "problems", "schema"}, path
    return Broken(
        name=path.stem,
        files=said.get("files") or {"inv.yaml": said["inventory"]},
        problems=tuple(Problem(**problem) for problem in said["problems"]),
        schema=said.get("schema", "rejects"),
    )


def problems_of(path: Path) -> Sequence[InventoryError]:
    """Everything that is wrong with an inventory, as `inventory.check` finds it."""
    try:
        inventory = load(path)
    except InventoryErrors as errors:
        return errors.problems
    except InventoryError as error:
        return [error]
    return faults(inventory.hosts)
