"""The ssh-agent that SSH_AUTH_SOCK names: the keys that it holds."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paramiko import Agent, PKey

_PATIENCE_S = 2.0


class KeyAgent:
    """One conversation with the agent, begun when its keys are first asked for."""

    def __init__(self) -> None:
        self._agent: Agent | None = None

    def keys(self) -> Mapping[bytes, PKey]:
        """Its keys by their public halves; none when there is no agent, or one that is broken."""
        from paramiko import Agent, SSHException

        if self._agent is None and _listens():
            with contextlib.suppress(SSHException, OSError):
                self._agent = Agent()
        return {key.asbytes(): key for key in self._agent.get_keys()} if self._agent else {}

    def close(self) -> None:
        """End the conversation: keys that came from it sign no more."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None


def _listens() -> bool:
    """Whether SSH_AUTH_SOCK leads anywhere; paramiko would leave a socket open on a dead one."""
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE_S)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
