"""The executor that carries hosts in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event


class Processes(ProcessPoolExecutor):
    """Fresh processes, no more than there are processors: each carries one host at a time."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._over = context.Event()
        super().__init__(
            min(workers, multiprocessing.cpu_count()),
            mp_context=context,
            initializer=_begin,
            initargs=(self._over,),
        )

    def abort(self) -> None:
        """See `kubexm.engine.executor.Abortable`."""
        self._over.set()


def _begin(over: Event) -> None:
    """In a new process: Ctrl-C is for the one that hands out the work, which says when to end."""

    def end() -> None:
        over.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end, name="kubexm-end", daemon=True).start()
