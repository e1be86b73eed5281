"""A call that nobody can interrupt, for which whoever waits may stop waiting."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def _forget(outcome: object) -> None:
    del outcome


class Errand(Generic[_T]):
    """One call in a thread of its own. `shutdown` ends the wait for it, as that of a socket.

    `_lock` guards who is first: the end of the call, or that of the wait.

    Args:
        work: The call.
        late: Gets what it returns when nobody waits any more.
    """

    def __init__(self, work: Callable[[], _T], late: Callable[[_T], object] = _forget) -> None:
        self._work = work
        self._late = late
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._abandoned = False
        self._returned: list[_T] = []
        self._raised: BaseException | None = None

    def result(self) -> _T:
        """What the call returns; whatever it raises is raised here.

        Raises:
            ConnectionAbortedError: The wait was ended.
        """
        threading.Thread(target=self._run, name="kubexm-errand", daemon=True).start()
        try:
            self._over.wait()
        except BaseException:
            self.shutdown()
            raise
        with self._lock:
            if self._raised is not None:
                raise self._raised
            if self._returned:
                return self._returned[0]
            message = "nobody waits for it any more"
            raise ConnectionAbortedError(message)

    def shutdown(self, how: int = 0) -> None:
        """End the wait."""
        del how
        with self._lock:
            self._abandoned = True
            self._over.set()

    def _run(self) -> None:
        try:
            found = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            with self._lock:
                self._raised = None if self._abandoned else error
                self._over.set()
            return
        with self._lock:
            is_late = self._abandoned
            if not is_late:
                self._returned.append(found)
                self._over.set()
        if is_late:
            # what it tidies up may have gone already, and there is nobody to tell
            with contextlib.suppress(Exception):
                self._late(found)
