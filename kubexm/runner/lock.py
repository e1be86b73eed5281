"""The host lock: one kubexm at a time changes a machine, and the next one is told who it is."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kubexm.errors import HostError, LockedError, tail
from kubexm.shell import LOCK, Reply, Script

_TAKEN = 75
"""EX_TEMPFAIL of sysexits.h: somebody else has the lock."""
_IMPOSSIBLE = 69
"""EX_UNAVAILABLE: no flock(1), or nowhere to put the file."""
_PATIENCE_S = 2
"""For somebody who is just leaving."""


def _holder() -> str:
    """This process for its operator's colleagues: "anna@laptop, process 4711"."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such account, as in some containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLock:
    """What the sessions of one run lock their machines with.

    Args:
        owner: Marks the run's own locks.
        holder: Who that is, in words.
    """

    owner: str = field(default_factory=lambda: secrets.token_hex(8))
    holder: str = field(default_factory=_holder)

    def script(self, host: str) -> Script:
        """The script that takes the lock, until its session ends.

        Args:
            host: The inventory's name for the machine; whoever has to wait is told.
        """
        since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        words = f"{self.holder}, since {since}, as {host}"
        return LOCK.call("kx_lock", self.owner, words, str(_PATIENCE_S)).staying()

    def judge(self, reply: Reply) -> str:
        """Read the script's reply.

        Returns:
            What the operator should know: that there can be no lock there, and why. Empty when
            the lock is ours.

        Raises:
            LockedError: Somebody else has it.
            HostError: The script failed for another reason.
        """
        match reply.exit_status:
            case 0:
                return ""
            case status if status == _TAKEN:
                holder = reply.text.strip() or "it does not say who"
                message = f"another kubexm is at work on the machine: {holder}"
                hint = "wait for that run to end, or stop it; its lock ends with it"
                raise LockedError(message, hint=hint)
            case status if status == _IMPOSSIBLE:
                reason = tail(reply.stderr.decode("utf-8", "replace"), lines=1)
                return f"not locked against other operators: {reason}"
            case status:
                said = tail(reply.stderr.decode("utf-8", "replace"))
                message = f"the host lock failed with exit status {status}: {said}"
                raise HostError(message, hint="the host needs a POSIX sh")
