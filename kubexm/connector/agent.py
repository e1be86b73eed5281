"""The ssh-agent that SSH_AUTH_SOCK names: the keys and certificates that it holds."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paramiko import Agent, PKey

_PATIENCE_S = 2.0
_CERTIFIED = "-cert-v01@openssh.com"


class Held(NamedTuple):
    """One key that the agent signs with.

    `blob` is its public half, `certificate` what is presented instead; empty for a bare key.
    """

    key: PKey
    algorithm: str
    blob: bytes
    certificate: bytes


class KeyAgent:
    """One conversation with the agent, begun when its keys are first asked for."""

    def __init__(self) -> None:
        self._agent: Agent | None = None

    def held(self) -> Sequence[Held]:
        """What it holds, in its order; nothing when there is no agent, or one that is broken."""
        from paramiko import Agent, SSHException

        if self._agent is None and _listens():
            with contextlib.suppress(SSHException, OSError):
                self._agent = Agent()
        return [_held(key, key.blob) for key in self._agent.get_keys()] if self._agent else []

    def close(self) -> None:
        """End the conversation: keys that came from it sign no more."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None


def _held(key: PKey, blob: bytes) -> Held:
    """An entry of the agent; its certificate is set to be presented, which paramiko does not do."""
    algorithm = key.get_name()
    if not algorithm.endswith(_CERTIFIED):
        return Held(key, algorithm, blob, b"")
    bare = key.asbytes()
    key.public_blob = getattr(getattr(key, "inner_key", None), "public_blob", None)
    # The agent signs with the entry that is named to it, and may hold nothing but this one.
    key.asbytes = lambda: blob  # type: ignore[method-assign]
    return Held(key, algorithm.removesuffix(_CERTIFIED), bare, blob)


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
