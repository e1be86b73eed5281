"""ProxyCommand: a command whose standard input and output are the link to a machine.

It gets one end of a socket pair, so that our end is a socket like any other: nobody polls it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
from typing import IO, TYPE_CHECKING

from kubexm.connector.dial import Line
from kubexm.errors import ConnectError, UnreachableError, tail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import ReadableBuffer

_PATIENCE_S = 1.0
_KEPT = 4096
_TOKEN = re.compile(r"%(.)")


def expand(command: str, tokens: Mapping[str, str]) -> str:
    """The command line with its tokens replaced, each quoted for the shell where it must be.

    Args:
        command: As in ssh_config(5), where `%%` is a percent sign.
        tokens: By letter.

    Raises:
        ConnectError: It has a token that is not among them.
    """

    def replaced(match: re.Match[str]) -> str:
        letter = match[1]
        if letter == "%":
            return "%"
        if letter not in tokens:
            known = ", ".join(f"%{each}" for each in tokens)
            message = f"the proxy command has the token %{letter}; {known} and %% are known"
            raise ConnectError(message)
        return shlex.quote(tokens[letter])

    return _TOKEN.sub(replaced, command)


class CommandLine(Line):
    """Our end of the link. `close` ends the command, with all that it has started."""

    _process: subprocess.Popen[bytes]
    _said: IO[bytes]
    _heard = False

    @classmethod
    def start(cls, command: str) -> CommandLine:
        """Run a command line under sh.

        Raises:
            ConnectError: There is no process to be had.
        """
        ours, theirs = socket.socketpair()
        said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=said,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            said.close()
            message = f"the proxy command cannot be started: {error.strerror}"
            raise ConnectError(message) from error
        finally:
            theirs.close()
        line = cls(ours.family, ours.type, ours.proto, fileno=ours.detach())
        line._process, line._said = process, said
        return line

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As `socket.recv`; an UnreachableError with its last words when it ends unheard."""
        try:
            data = super().recv(size, flags)
        except ConnectionError as error:  # it ended without reading all that we said
            if self._heard:
                raise
            raise self._failure() from error
        if not data and not self._heard:
            raise self._failure()
        self._heard = True
        return data

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """As `socket.send`; that a command has ended unheard is for `recv` to tell."""
        try:
            return super().send(data, flags)
        except ConnectionError:
            if self._heard:
                raise
            return memoryview(data).nbytes

    def close(self) -> None:
        """End the command. Harmless when repeated."""
        super().close()
        if self._said.closed:
            return
        self._said.close()
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _failure(self) -> UnreachableError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        status = self._process.poll()
        how = "closed its output" if status is None else f"ended with status {status}"
        # Without moving the position, which the command writes at.
        size = os.fstat(self._said.fileno()).st_size
        said = os.pread(self._said.fileno(), _KEPT, max(0, size - _KEPT))
        words = tail(said.decode("utf-8", "replace"), lines=3)
        return UnreachableError(
            f"the proxy command {how} and said nothing of ssh" + (f": {words}" if words else ""),
            hint="try the command (kubexm_proxy_command, or ProxyCommand in ssh_config) by hand",
        )
