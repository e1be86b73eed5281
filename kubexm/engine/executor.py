"""Who carries hosts: threads of this process, other processes, or an engine of your own.

An executor is what `concurrent.futures` calls one; plugins register under the entry-point group
`kubexm.executors`. One that shares memory with this process works on live objects; any other is
given parcels, so that what crosses must pickle.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kubexm.registry import EXECUTORS, Plugin, plugin

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorPlugin:
    """A kind of executor.

    Args:
        start: Makes one that works on so many hosts at once; it is shut down after the run.
        shares_memory: Its work runs in this process.
    """

    start: Callable[[int], Executor]
    shares_memory: bool


@runtime_checkable
class Abortable(Protocol):
    """An optional ability of an executor: to drop work at once, for a second Ctrl-C."""

    def abort(self) -> None:
        """End what runs; its futures fail."""
        ...


def executor(name: str) -> ExecutorPlugin:
    """The executor plugin of that name.

    Raises:
        PluginError: There is none, or it does not load, or is something else.
    """
    return executor_of(plugin(EXECUTORS, name))


def executor_of(registered: Plugin) -> ExecutorPlugin:
    """What an entry point of `kubexm.executors` names.

    Raises:
        PluginError: It does not load, or is something else.
    """
    loaded = registered.load()
    if not isinstance(loaded, ExecutorPlugin):
        msg = f"expected an ExecutorPlugin, found {type(loaded).__name__}"
        raise registered.fault(msg)
    return loaded


def _threads(workers: int) -> Executor:
    return ThreadPoolExecutor(workers, thread_name_prefix="kubexm-host")


def _processes(workers: int) -> Executor:
    from kubexm.engine.process import Processes  # loads multiprocessing, which few runs need

    return Processes(workers)


threads = ExecutorPlugin(start=_threads, shares_memory=True)
processes = ExecutorPlugin(start=_processes, shares_memory=False)
