"""What a listener plugin is: a function from options to a listener."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from kubexm.engine.bus import Listener
from kubexm.errors import UsageError
from kubexm.registry import LISTENERS, plugin, plugins

if TYPE_CHECKING:
    from pathlib import Path

    from kubexm.runtime import WorkDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerOptions:
    """How a listener was asked for.

    Args:
        target: What stood behind `NAME=`, most often a file; empty when nothing did.
        directory: The inventory's work directory; what has no target goes to `file`.
    """

    target: str
    directory: WorkDirectory

    def file(self, run: str, name: str) -> Path:
        """A place in a run's own directory, which is made, for a file of that name."""
        return self.directory.make("runs", run) / name


ListenerFactory: TypeAlias = Callable[[ListenerOptions], Listener]
"""What an entry point of `kubexm.listeners` names.

The listener hears all runs of one task. When it is a context manager it is entered before the
first and left after the last. What cannot work is an error of the factory's: nothing has begun.
"""


def listener(asked: str, directory: WorkDirectory) -> Listener:
    """The listener that "NAME" or "NAME=TARGET" asks for.

    Raises:
        UsageError: There is none of that name, or its target will not do.
        PluginError: It does not load.
    """
    name, _, target = asked.partition("=")
    known = plugins(LISTENERS)
    if name not in known:
        message = f"there is no listener {name!r}"
        raise UsageError(message, hint=f"--listener takes NAME[=TARGET]: {', '.join(known)}")
    found = plugin(LISTENERS, name)
    factory = found.load()
    if not callable(factory):
        message = "expected a function from ListenerOptions to Listener"
        raise found.fault(message)
    return cast("ListenerFactory", factory)(ListenerOptions(target=target, directory=directory))
