"""Families of operating systems and their handlers, assembled from entry points.

A family is matched by a host's facts; its handlers are looked up by the operation's class,
then in the family that it extends. A stranger's family or operation has the same rights as
the built-in ones, because those register the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.errors import PluginError, UnsupportedError, UsageError
from kubexm.registry import FAMILIES, OPERATIONS, plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kubexm.facts import Facts
    from kubexm.registry import Plugin
    from kubexm.runner.operation import AnyHandler, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """An entry point of `kubexm.families`.

    Args:
        name: "debian". An inventory names it to override the match.
        match: A score for a host's facts: 100 when os-release's ID is this family's, 50 for
            ID_LIKE, 1 for a fallback, 0 for no.
        handlers: By priority: of those for one operation the first that supports the host wins.
        extends: The family to ask next; empty for none.
    """

    name: str
    match: Callable[[Facts], int]
    handlers: tuple[AnyHandler, ...]
    extends: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationPlugin:
    """An entry point of `kubexm.operations`: an operation and its handlers for families.

    Args:
        operation: The class of operations that it adds.
        handlers: Family name to handlers, by priority.
    """

    operation: type[Operation]
    handlers: Mapping[str, tuple[AnyHandler, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )


def family_of(plugin: Plugin) -> Family:
    """What an entry point of `kubexm.families` names.

    Raises:
        PluginError: It does not load, or is something else.
    """
    family = plugin.load()
    if not isinstance(family, Family):
        msg = f"expected a Family, found {type(family).__name__}"
        raise plugin.fault(msg)
    return family


def operation_of(plugin: Plugin) -> OperationPlugin:
    """What an entry point of `kubexm.operations` names.

    Raises:
        PluginError: It does not load, or is something else.
    """
    addition = plugin.load()
    if not isinstance(addition, OperationPlugin):
        msg = f"expected an OperationPlugin, found {type(addition).__name__}"
        raise plugin.fault(msg)
    return addition


class Catalogue:
    """Every family and handler that is installed. Immutable once built; share it freely."""

    def __init__(
        self, families: Iterable[Family], additions: Iterable[OperationPlugin] = ()
    ) -> None:
        self._families = {family.name: family for family in families}
        self._added: dict[str, list[AnyHandler]] = {}
        for addition in additions:
            for family, handlers in addition.handlers.items():
                self._added.setdefault(family, []).extend(handlers)
        for family_ in self._families.values():
            self._lineage(family_)

    def __repr__(self) -> str:
        return f"<Catalogue of {', '.join(sorted(self._families)) or 'no families'}>"

    @classmethod
    def installed(cls) -> Catalogue:
        """From the entry points of every installed distribution.

        Raises:
            PluginError: One does not load, or is not what its group asks for.
        """
        return cls(
            [family_of(plugin) for plugin in plugins(FAMILIES).values()],
            [operation_of(plugin) for plugin in plugins(OPERATIONS).values()],
        )

    @property
    def operations(self) -> Mapping[type[Operation], tuple[str, ...]]:
        """Every operation that somebody handles, and the families with a handler of their own."""
        found: dict[type[Operation], dict[str, None]] = {}
        for name, family in self._families.items():
            for handler in (*self._added.get(name, ()), *family.handlers):
                found.setdefault(handler.operation, {})[name] = None
        return {operation: tuple(names) for operation, names in found.items()}

    def family(self, facts: Facts, *, override: str = "") -> Family:
        """The family that fits a host best; of two equals the one that extends the other.

        Args:
            facts: The host's.
            override: A family's name, from the inventory.

        Raises:
            PluginError: No installed family fits.
            UsageError: `override` is not installed, or two families fit equally well.
        """
        known = ", ".join(sorted(self._families)) or "none"
        if override:
            if override not in self._families:
                message = f"no OS family named {override!r}"
                raise UsageError(message, hint=f"installed: {known}")
            return self._families[override]
        scores = {name: family.match(facts) for name, family in self._families.items()}
        best = max(scores.values(), default=0)
        tied = [self._families[name] for name, score in scores.items() if score == best]
        if best <= 0:
            os = facts.os
            msg = (
                f"no OS family is installed for {os.pretty_name or os.id or 'this machine'} "
                f"(ID={os.id or 'unknown'}); installed: {known}"
            )
            raise PluginError(
                msg,
                group=FAMILIES,
                name=os.id,
                hint=f"install a distribution that provides a family for {os.id or 'it'}: "
                "kubexm itself ships linux and debian, so if those are missing reinstall kubexm; "
                "or set kubexm_family in the inventory",
            )
        winners = [
            family for family in tied if all(other.name in self._names(family) for other in tied)
        ]
        if len(winners) != 1:
            names = " and ".join(sorted(family.name for family in tied))
            message = f"the OS families {names} fit equally well"
            raise UsageError(message, hint="set kubexm_family in the inventory")
        return winners[0]

    def handler(self, op: Operation, family: Family, facts: Facts) -> AnyHandler:
        """The handler for an operation on a host.

        Raises:
            UnsupportedError: None of the family or its ancestors supports it there.
        """
        for ancestor in self._lineage(family):
            for handler in (*self._added.get(ancestor.name, ()), *ancestor.handlers):
                if handler.operation is type(op) and handler.supports(facts):
                    found: AnyHandler = handler
                    return found
        msg = f"{type(op).__name__} is not supported on this {family.name} host"
        raise UnsupportedError(
            msg,
            operation=op.label(),
            hint="install a distribution that provides a handler, or leave the step out",
        )

    def _names(self, family: Family) -> frozenset[str]:
        return frozenset(ancestor.name for ancestor in self._lineage(family))

    def _lineage(self, family: Family) -> tuple[Family, ...]:
        line = [family]
        while line[-1].extends:
            parent = self._families.get(line[-1].extends)
            if parent is None or parent in line:
                reason = "is not installed" if parent is None else "extends it in turn"
                msg = f"the family {line[-1].name!r} extends {line[-1].extends!r}, which {reason}"
                raise PluginError(
                    msg,
                    group=FAMILIES,
                    name=line[-1].name,
                    hint="reinstall kubexm or the distribution that provides it",
                )
            line.append(parent)
        return tuple(line)
