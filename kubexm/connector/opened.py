"""What a connector has started and nobody has let go of yet: it ends when the connector closes."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from kubexm.shell import Process

ProcessT = TypeVar("ProcessT", bound="Process")


class Opened:
    """Processes, as long as somebody holds them. `_lock` guards them; any thread may call `end`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: weakref.WeakSet[Process] = weakref.WeakSet()

    def add(self, process: ProcessT) -> ProcessT:
        """Remember a process; returns it."""
        with self._lock:
            self._processes.add(process)
        return process

    def end(self) -> None:
        """Kill them all."""
        with self._lock:
            processes = list(self._processes)
            self._processes.clear()
        for process in processes:
            process.kill()
