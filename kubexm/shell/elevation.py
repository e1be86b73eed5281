"""One command line as another user, with its own pipes: for what is not a session."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from kubexm.errors import UnreachableError
from kubexm.shell.escalation import elevated_command
from kubexm.shell.session import converse

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubexm.shell.escalation import Escalation
    from kubexm.shell.process import Exchange, Process

_NO_BYTES = memoryview(b"")


def elevate(
    start: Callable[[str], Process], escalation: Escalation, command: str, *, timeout_s: float
) -> Process:
    """Start a command line as another user; its pipes are the command's own from its first byte.

    Args:
        start: A connector's `open`.
        escalation: Whom to become, and how.
        command: For sh.
        timeout_s: For sudo's conversation.

    Raises:
        EscalationError: sudo, su or doas refused, is absent, or said nothing in time.
        ConnectError: The login shell did not start sh.
    """
    nonce, prompt = secrets.token_hex(8), secrets.token_hex(16)
    ready = f"{nonce} ready\n".encode()
    limit = time.monotonic() + timeout_s
    process = start(elevated_command(escalation, nonce, prompt, command))
    try:
        out, err = converse(process, escalation, nonce=nonce, prompt=prompt, timeout_s=timeout_s)
        while ready not in err:
            left = limit - time.monotonic()
            _, stdout, stderr, ended = process.exchange(_NO_BYTES, max(0.0, left))
            out += stdout
            err += stderr
            if ready not in err and (ended or left <= 0):
                message = f"{escalation.method.value} lost what the command says"
                raise UnreachableError(message)  # noqa: TRY301 - the process is killed below
    except BaseException:
        process.kill()
        raise
    return _Continued(process, out.partition(ready)[2], err.partition(ready)[2])


class _Continued:
    """A process of whose output some has been read: that comes first."""

    def __init__(self, process: Process, stdout: bytes, stderr: bytes) -> None:
        self._process = process
        self._stdout = stdout
        self._stderr = stderr

    def __repr__(self) -> str:
        return f"<{self._process!r} as another user>"

    def exchange(self, outgoing: memoryview, timeout_s: float) -> Exchange:
        """See `Process.exchange`."""
        before = self._stdout, self._stderr
        self._stdout = self._stderr = b""
        found = self._process.exchange(outgoing, 0 if any(before) else timeout_s)
        return found._replace(stdout=before[0] + found.stdout, stderr=before[1] + found.stderr)

    def close_stdin(self) -> None:
        """See `Process.close_stdin`."""
        self._process.close_stdin()

    def exit_status(self) -> int | None:
        """See `Process.exit_status`."""
        return self._process.exit_status()

    def kill(self) -> None:
        """See `Process.kill`."""
        self._process.kill()
