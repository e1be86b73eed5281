"""Who may send on a paramiko transport, and when: one at a time, from the decision to the wire.

paramiko decides what to send under a channel's lock and sends it after letting go. In between,
its own thread may answer the host's CLOSE, and sshd ends the whole connection, with all its
channels, when data or EOF follow on a channel that is closed (paramiko's issues 1115, 1584, 1705).

Every message and every key exchange passes one lock of the transport. Made reentrant, it can be
held around the decision too, which keeps the order.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paramiko import Channel, Transport

_PAUSE_S = 1.0


def prepare(transport: Transport) -> None:
    """Make turns possible; before the transport is started."""
    transport.clear_to_send_lock = threading.RLock()  # type: ignore[assignment] # used as a Lock


@contextlib.contextmanager
def turn(transport: Transport) -> Iterator[bool]:
    """Hold off everyone else; yields whether sending is possible now.

    It is not while keys are exchanged, and who waited for that here would hold it off too.
    """
    with transport.clear_to_send_lock:
        yield transport.clear_to_send.is_set()


@contextlib.contextmanager
def turn_now(transport: Transport) -> Iterator[bool]:
    """As `turn`, but for who must not wait: it is nobody's turn while somebody else sends."""
    lock = transport.clear_to_send_lock
    is_held = lock.acquire(blocking=False)
    try:
        yield is_held and transport.clear_to_send.is_set()
    finally:
        if is_held:
            lock.release()


def send_last(channel: Channel, send: Callable[[], object]) -> None:
    """Send a channel's EOF or CLOSE, unless it is closed already; waits for a key exchange."""
    transport = channel.get_transport()
    limit = time.monotonic() + transport.clear_to_send_timeout
    while transport.is_active() and time.monotonic() < limit:
        with turn(transport) as is_ours:
            if channel.closed:
                return
            if is_ours:
                send()
                return
        transport.clear_to_send.wait(_PAUSE_S)
