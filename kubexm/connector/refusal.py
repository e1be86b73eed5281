"""Why a channel was not opened, in the words of the machine that refused it.

paramiko keeps one exception for everybody who waits on a connection, and drops the words
("Connection refused") for a text of its own. Through a shared bastion many wait at once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from paramiko import Message, Transport

_OPEN_FAILURE = 92
"""SSH_MSG_CHANNEL_OPEN_FAILURE (RFC 4254, 5.1)."""
PROHIBITED = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED."""


class Refusal(NamedTuple):
    """The reason code of RFC 4254 and the machine's words."""

    code: int
    words: str


class Refusals:
    """What became of the channels that each thread asked for; `_lock` guards what was heard.

    Args:
        transport: Not yet started.
    """

    def __init__(self, transport: Transport) -> None:
        self._lock = threading.Lock()
        self._heard: dict[int, Refusal] = {}
        self._asking = threading.local()
        self._number = transport._next_channel  # type: ignore[attr-defined] # noqa: SLF001 - paramiko has no hook
        self._parse = transport._handler_table[_OPEN_FAILURE]  # type: ignore[attr-defined] # noqa: SLF001 - the same
        transport._next_channel = self._next  # type: ignore[attr-defined] # noqa: SLF001 - the same
        transport._handler_table[_OPEN_FAILURE] = self._hear  # type: ignore[attr-defined] # noqa: SLF001 - the same

    def last(self) -> Refusal | None:
        """Why the channel that this thread asked for last was refused; `None` if it was not."""
        with self._lock:
            return self._heard.pop(getattr(self._asking, "number", -1), None)

    def _next(self) -> int:
        number: int = self._number()
        self._asking.number = number
        return number

    def _hear(self, message: Message) -> None:
        number, code, words = message.get_int(), message.get_int(), message.get_string()
        with self._lock:
            self._heard[number] = Refusal(code, words.decode("utf-8", "replace"))
        message.rewind()
        self._parse(message)
