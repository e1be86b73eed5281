"""Noticing that a peer is gone: a question that it must answer, asked when it has been silent.

TCP notices a link that is cut. It does not notice an sshd that hangs on a machine whose kernel
answers, nor what is wrong behind a bastion or a proxy; the question goes to the peer itself.

There is no thread and no timer: paramiko's thread, which waits for the peer, looks around now
and then anyway (`Link`), and asks on that occasion.
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Protocol

from kubexm.connector.turn import turn_now

if TYPE_CHECKING:
    from paramiko import Transport

_QUESTION = "keepalive@openssh.com"
_GLOBAL_REQUEST = b"\x50"
"""SSH_MSG_GLOBAL_REQUEST (RFC 4254, 4). A peer that knows no such request must say so."""


class Hears(Protocol):
    """A stream that knows when something last came from the other end (`time.monotonic`)."""

    heard_at: float

    def has_room(self) -> bool:
        """Whether a few bytes can be sent without waiting."""
        ...


class KeepAlive:
    """The question, and the patience with those who do not answer it.

    Args:
        transport: Logged in.
        stream: What it runs on.
        interval_s: Silence before the first question, and between two.
        count: So many intervals of silence are the end.
    """

    def __init__(
        self, transport: Transport, stream: Hears, *, interval_s: float, count: int
    ) -> None:
        self._transport = transport
        self._stream = stream
        self._interval_s = interval_s
        self._limit_s = interval_s * count
        self._asked_at = 0.0

    def check(self) -> None:
        """Ask when it is time to; runs in paramiko's thread, and never waits.

        Raises:
            ConnectionAbortedError: The peer has been silent for too long. It ends the transport,
                and whoever waits on it learns that the host no longer answers.
        """
        now = time.monotonic()
        silence_s = now - self._stream.heard_at
        if silence_s >= self._limit_s:
            raise ConnectionAbortedError(errno.ETIMEDOUT, "no sign of life")
        since_s = now - max(self._stream.heard_at, self._asked_at)
        if since_s >= self._interval_s and self._stream.has_room() and self._ask():
            self._asked_at = now

    def _ask(self) -> bool:
        from paramiko import Message

        question = Message()
        question.add_byte(_GLOBAL_REQUEST)
        question.add_string(_QUESTION)
        question.add_boolean(True)  # noqa: FBT003 - an answer is wanted
        with turn_now(self._transport) as is_ours:
            if is_ours:
                self._transport._send_message(question)  # type: ignore[attr-defined] # noqa: SLF001 - `global_request` waits, or wants no answer
        return is_ours
