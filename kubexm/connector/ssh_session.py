"""The session channels of one ssh connection: not more of them at once than sshd allows."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from kubexm.connector.dial import lost
from kubexm.errors import ConnectError, UnreachableError

if TYPE_CHECKING:
    from paramiko import Channel, Transport

    from kubexm.connector.endpoint import Endpoint

_MOST = 8
"""Below sshd's MaxSessions of 10, which counts a command a little longer than we do."""
_LOOK_S = 0.02
_PAUSES_S = (0.01, 0.04, 0.16)


class Sessions:
    """Opens session channels. `_lock` guards which are open.

    Args:
        endpoint: Its name, and how long to wait for each channel.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._host = endpoint.name
        self._timeout_s = endpoint.connect_timeout_s
        self._lock = threading.Lock()
        self._open: list[Channel] = []
        self._opening = 0

    def open(self, transport: Transport) -> Channel:
        """A new channel, once there are not too many of them.

        Raises:
            UnreachableError: The link is gone, or the host did not answer.
            ConnectError: The host refuses, or no channel was closed in time.
        """
        limit = time.monotonic() + self._timeout_s
        while not self._takes_place():
            if time.monotonic() > limit:
                message = f"{_MOST} commands are at work on this connection already"
                hint = "wait for one of them, or lease another connection"
                raise ConnectError(message, host=self._host, hint=hint)
            time.sleep(_LOOK_S)  # paramiko tells nobody that a channel was closed
        channel: Channel | None = None
        try:
            channel = self._channel(transport)
        finally:
            with self._lock:
                self._opening -= 1
                self._open += [channel] if channel is not None else []
        return channel

    def _takes_place(self) -> bool:
        with self._lock:
            self._open = [channel for channel in self._open if not channel.closed]
            is_free = len(self._open) + self._opening < _MOST
            self._opening += is_free
            return is_free

    def _channel(self, transport: Transport) -> Channel:
        """Ask for a channel.

        sshd counts a command (MaxSessions) until it has our answer to its end, which may still
        be on its way: a refusal is final only when it lasts.
        """
        from paramiko import SSHException

        pauses = iter(_PAUSES_S)
        while True:
            try:
                return transport.open_session(timeout=self._timeout_s)
            except (SSHException, EOFError, OSError) as error:
                fault = self._meaning(error, transport)
                pause = None if isinstance(fault, UnreachableError) else next(pauses, None)
                if pause is None:
                    raise fault from error
            time.sleep(pause)

    def _meaning(self, error: Exception, transport: Transport) -> ConnectError:
        from paramiko import ChannelException

        if not transport.is_active():
            return lost(self._host, error)
        if "Timeout" in str(error):
            return UnreachableError(
                f"the host did not open a channel within {self._timeout_s:g} s", host=self._host
            )
        reason = error.text if isinstance(error, ChannelException) else str(error)
        return ConnectError(
            f"the host refuses another session on this connection: {reason}",
            host=self._host,
            hint="sshd allows 10 at a time by default (MaxSessions in sshd_config)",
        )
