"""What an inventory is read from: files, directories, programs, lists of names, and strangers'.

Every kind of source is a plugin of `kubexm.inventories` and answers with `Document`s in the shape
of Ansible's YAML format, whatever it read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kubexm.errors import InventoryError
from kubexm.inventory.node import MappingNode, Node, mapping, mapping_from
from kubexm.registry import INVENTORIES, Plugin, plugin, plugins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubexm.inventory.problem import FileProblems, Problems
    from kubexm.inventory.safe import Safe

_NAME_ONE = "name one with --inventory, or set KUBEXM_INVENTORY"
_NOTHING = mapping((), 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One part of an inventory: a mapping of groups, as Ansible's YAML format has it.

    Args:
        path: The file, or what else errors name as the place.
        base: The directory that relative paths start from.
        root: Groups, each with `hosts`, `children` and `vars`.
        is_loose: Its format has no way to say that a number is meant as text (INI, JSON of a
            program), so that a number will do where a connection variable wants text.
        problems: Gets what is wrong with it.
    """

    path: str
    base: Path
    root: Node = field(default=_NOTHING)
    is_loose: bool = False
    problems: FileProblems

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all stands in it."""
        return isinstance(self.root, MappingNode) and not self.root.entries


class Reading:
    """What sources share while one inventory is read.

    Args:
        problems: Gets every fault.
        safe: Where secrets come from.
    """

    def __init__(self, problems: Problems, safe: Safe) -> None:
        self.problems = problems
        self.safe = safe
        self._plugins: dict[str, tuple[Plugin, Source]] = {}

    def read(self, given: str) -> Iterable[Document]:
        """The documents of whatever source `given` names.

        Raises:
            InventoryError: No plugin knows what that is, or it cannot be read.
            PluginError: Two plugins claim it alike, or one is not what its group asks for.
        """
        source = self._source(given)
        yield from source.read(given, self)

    def document(
        self, path: str, data: Mapping[str, object], *, base: Path | None = None
    ) -> Document:
        """A document of plain data: groups by name, as Ansible's YAML format has them.

        Args:
            path: What errors name as the place.
            data: Mappings, lists, strings, numbers, booleans, None and `Secret`s.
            base: The directory that relative paths start from; the current one by default.
        """
        return Document(
            path=path,
            base=base or Path.cwd(),
            root=mapping_from(data),
            is_loose=True,
            problems=self.problems.of("", says=path),
        )

    def _source(self, given: str) -> Source:
        if not self._plugins:
            self._plugins = {name: (it, source_of(it)) for name, it in plugins(INVENTORIES).items()}
        claims = {
            name: claim
            for name, (_, source) in self._plugins.items()
            if (claim := source.claims(given)) > 0
        }
        if not self._plugins:
            plugin(INVENTORIES, "file")
        if not claims:
            message = "is no file, no directory and no list of hosts ('a,b,')"
            if "/" in given or "." in given or not given:
                message = "there is no such file"
            raise InventoryError(message, path=given, hint=_NAME_ONE)
        best = max(claims.values())
        first, *others = [name for name, claim in claims.items() if claim == best]
        registered, source = self._plugins[first]
        if others:
            message = f"{given!r} is claimed as strongly by {others[0]!r}"
            raise registered.fault(message)
        return source


@runtime_checkable
class Source(Protocol):
    """A kind of inventory source: what an entry point of `kubexm.inventories` names."""

    def claims(self, given: str) -> int:
        """How surely `given` (a word after `--inventory`) is of this kind; 0 is not at all.

        A file of any kind is 10 and the other kinds of kubexm are 20, so that a plugin of yours
        that knows its own by name or content says 100.
        """
        ...

    def read(self, given: str, reading: Reading) -> Iterable[Document]:
        """Its documents, in the order in which later ones win.

        Raises:
            InventoryError: It cannot be read.
        """
        ...


def source_of(registered: Plugin) -> Source:
    """What an entry point of `kubexm.inventories` names.

    Raises:
        PluginError: It does not load, or is something else.
    """
    found = registered.load()
    if not isinstance(found, Source):
        message = "expected an object with `claims` and `read`"
        raise registered.fault(message)
    return found
