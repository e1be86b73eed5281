"""The collection of all commands: those of every installed distribution, ours included."""

from __future__ import annotations

import sys

from invoke.collection import Collection

from kubexm.errors import PluginError
from kubexm.registry import TASKS, Plugin, plugins


def namespace() -> Collection:
    """Every command.

    A plugin that does not load is reported on stderr and left out, so that one broken
    distribution does not take the others' commands away.
    """
    ns = Collection()
    for plugin in plugins(TASKS).values():
        try:
            ns.add_collection(collection_of(plugin))
        except PluginError as error:
            print(f"warning: {error}\n  hint: {error.hint}", file=sys.stderr)
    return ns


def collection_of(plugin: Plugin) -> Collection:
    """What an entry point of `kubexm.tasks` names.

    Raises:
        PluginError: It does not load, or is something else.
    """
    loaded = plugin.load()
    if not isinstance(loaded, Collection):
        msg = f"expected an invoke Collection, found {type(loaded).__name__}"
        raise plugin.fault(msg)
    return loaded
