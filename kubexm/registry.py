"""Entry points, found lazily: a name becomes an object when somebody asks for it.

Every fault names the distribution that registered the entry point, so that a user knows
which package to fix. Nothing here knows what a group's objects are; the caller checks that.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from kubexm.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECTORS = "kubexm.connectors"
FAMILIES = "kubexm.families"
LISTENERS = "kubexm.listeners"
OPERATIONS = "kubexm.operations"
TASKS = "kubexm.tasks"
EXECUTORS = "kubexm.executors"
INVENTORIES = "kubexm.inventories"
SECRETS = "kubexm.secrets"
GROUPS = (CONNECTORS, FAMILIES, OPERATIONS, TASKS, INVENTORIES, SECRETS, LISTENERS, EXECUTORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One entry point: where it came from, and the way to its object."""

    group: str
    name: str
    entry: EntryPoint

    @property
    def distribution(self) -> str:
        """The name of the distribution; reading it opens that one's metadata."""
        return self.entry.dist.name if self.entry.dist is not None else "an unknown distribution"

    @property
    def version(self) -> str:
        """Of the distribution; empty when it does not say."""
        return self.entry.dist.version if self.entry.dist is not None else ""

    def load(self) -> object:
        """Import and return the object.

        Raises:
            PluginError: The import failed, whatever the reason; the cause is attached.
        """
        try:
            return self.entry.load()
        except Exception as error:
            message = (
                f"the plugin {self.name!r} of {self.group} from {self.distribution} "
                f"does not load: {type(error).__name__}: {error}"
            )
            raise PluginError(
                message,
                group=self.group,
                name=self.name,
                distribution=self.distribution,
                hint=f"reinstall or remove {self.distribution}",
            ) from error

    def fault(self, reason: str) -> PluginError:
        """An error about this plugin, for callers that find its object wanting."""
        return PluginError(
            f"the plugin {self.name!r} of {self.group} from {self.distribution}: {reason}",
            group=self.group,
            name=self.name,
            distribution=self.distribution,
            hint=f"report it to the authors of {self.distribution}",
        )


def registered(group: str) -> tuple[Plugin, ...]:
    """Every plugin of a group, sorted by name; two of one name when two distributions have it."""
    found: dict[tuple[str, str], Plugin] = {}
    entries = _entries(tuple(sys.path)).get(group, ())
    for entry in sorted(entries, key=lambda entry: (entry.name, entry.value)):
        found.setdefault(
            (entry.name, entry.value), Plugin(group=group, name=entry.name, entry=entry)
        )
    return tuple(found.values())


def registered_groups() -> frozenset[str]:
    """The groups that begin as ours do, whether or not anybody reads them."""
    return frozenset(_entries(tuple(sys.path)))


@functools.cache
def _entries(path: tuple[str, ...]) -> Mapping[str, tuple[EntryPoint, ...]]:
    """Those whose groups begin as ours do, by group.

    Every distribution on the path costs the reading of a file: once a process is enough.
    """
    del path  # a key only: importlib looks at sys.path itself
    found = entry_points()
    ours = (group for group in found.groups if group.startswith("kubexm."))
    return {group: tuple(found.select(group=group)) for group in ours}


def plugins(group: str) -> Mapping[str, Plugin]:
    """Every plugin of a group by name, sorted by name.

    Raises:
        PluginError: Two distributions registered one name.
    """
    found: dict[str, Plugin] = {}
    for plugin in registered(group):
        other = found.setdefault(plugin.name, plugin)
        if other is not plugin:
            message = (
                f"{group} has two plugins named {plugin.name!r}: "
                f"from {other.distribution} and from {plugin.distribution}"
            )
            raise PluginError(
                message,
                group=group,
                name=plugin.name,
                distribution=plugin.distribution,
                hint="uninstall one of the two",
            )
    return found


def plugin(group: str, name: str) -> Plugin:
    """The plugin of that name.

    Raises:
        PluginError: There is none; the hint lists those that exist.
    """
    known = plugins(group)
    if name in known:
        return known[name]
    message = f"no plugin named {name!r} in {group}"
    listed = ", ".join(known) or "none, not even kubexm's own: reinstall kubexm"
    hint = f"install the distribution that provides it; installed: {listed}"
    raise PluginError(message, group=group, name=name, hint=hint)
