"""A secret that is fetched when it is first needed: from a vault, the environment, a program."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, final

from kubexm.secret import REDACTED, Secret

if TYPE_CHECKING:
    from collections.abc import Callable


@final
class Sealed:
    """The value of `!secret` and `!vault`: it shows itself as `***` and is fetched once.

    `_lock` guards `_found`: a host's variables are read by many threads.

    Args:
        fetch: Gets it; what it raises says where in which file the secret is asked for.
    """

    __slots__ = ("_fetch", "_found", "_lock")

    def __init__(self, fetch: Callable[[], Secret]) -> None:
        self._fetch = fetch
        self._found: Secret | None = None
        self._lock = threading.Lock()

    def open(self) -> Secret:
        """The secret itself.

        Raises:
            InventoryError: It cannot be had.
        """
        with self._lock:
            if self._found is None:
                self._found = self._fetch()
            return self._found

    def __repr__(self) -> str:
        return f"Sealed({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return format(REDACTED, spec)

    def __reduce__(self) -> str | tuple[object, ...]:
        message = "a Sealed is not pickled"
        raise TypeError(message)
