"""This machine itself: subprocesses behind the Connector interface."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.connector.opened import Opened
from kubexm.errors import ConnectError, UnreachableError
from kubexm.shell import Exchange

if TYPE_CHECKING:
    from kubexm.connector.endpoint import Endpoint

_CHUNK = 1 << 16
_TURN = 1 << 20
_LOOK_S = 1.0
_POLITE_S = 0.5
_PATIENCE_S = 2.0


class LocalProcess:
    """A subprocess with three non-blocking pipes.

    `_lock` guards the descriptors: `exchange` holds it, and `kill`, which may come from any
    thread, wakes `exchange` up before it takes the lock to close them.

    Args:
        argv: What to run; the first word is found in PATH.
        directory: Where; the caller's own by default.

    Raises:
        ConnectError: The program cannot be started.
    """

    def __init__(self, argv: list[str], directory: Path | None = None) -> None:
        try:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=directory,
                start_new_session=True,
            )
        except OSError as error:
            message = f"{argv[0]} cannot be started: {error.strerror}"
            raise ConnectError(message) from error
        pipes = (self._popen.stdin, self._popen.stdout, self._popen.stderr)
        self._pipes = [pipe for pipe in pipes if pipe is not None]
        self._stdin, self._stdout, self._stderr = (pipe.fileno() for pipe in self._pipes)
        self._lock = threading.Lock()
        self._waker, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._reading = {self._stdout, self._stderr}
        self._is_writable = True
        self._is_killed = False
        for descriptor in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(descriptor, False)
        for descriptor in self._reading:
            self._selector.register(descriptor, selectors.EVENT_READ)

    def __repr__(self) -> str:
        return f"<LocalProcess {self._popen.pid}, {'killed' if self._is_killed else 'open'}>"

    def exchange(self, outgoing: memoryview, timeout_s: float) -> Exchange:
        """See `Process.exchange`."""
        limit = time.monotonic() + timeout_s
        with self._lock:
            while not self._is_killed:
                # A child may keep the pipes when the process is gone: that is an end as well.
                gone = self._popen.poll() is not None
                taken = self._write(outgoing)
                stdout, stderr = self._read(self._stdout), self._read(self._stderr)
                ended = not self._reading
                left = limit - time.monotonic()
                if taken or stdout or stderr or ended or gone or left <= 0:
                    ended = ended or (gone and not stdout and not stderr)
                    return Exchange(taken, stdout, stderr, ended)
                self._wait(min(left, _LOOK_S), writing=bool(outgoing) and self._is_writable)
        return Exchange(0, b"", b"", ended=True)

    def close_stdin(self) -> None:
        """See `Process.close_stdin`."""
        self._is_writable = False
        with contextlib.suppress(OSError):
            self._pipes[0].close()

    def exit_status(self) -> int | None:
        """See `Process.exit_status`; a signal's number is added to 128, as in sh."""
        if self._reading and self._popen.poll() is None:
            return None
        try:
            status = self._popen.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            return None
        return status if status >= 0 else 128 - status

    def kill(self) -> None:
        """Close the pipes, on which a session's loop ends; what does not is ended by signals.

        Those go to the process group that was started. A process of another user's, such as
        sudo, is left to notice that nobody listens.
        """
        self._is_killed = True
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")
        with self._lock:
            self._reading.clear()
            self._is_writable = False
            for pipe in self._pipes:
                with contextlib.suppress(OSError):
                    pipe.close()
            self._selector.close()
            self._waker.close()
            self._woken.close()
        if self._ends_within(_POLITE_S):
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._popen.pid, number)
            except (ProcessLookupError, PermissionError):
                return
            if self._ends_within(_PATIENCE_S):
                return

    def _ends_within(self, seconds: float) -> bool:
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _write(self, outgoing: memoryview) -> int:
        if not outgoing or not self._is_writable:
            return 0
        try:
            return os.write(self._stdin, outgoing[:_TURN])
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            self._is_writable = False
            return 0

    def _read(self, descriptor: int) -> bytes:
        if descriptor not in self._reading:
            return b""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            self._reading.discard(descriptor)
            self._selector.unregister(descriptor)
        return data

    def _wait(self, timeout_s: float, *, writing: bool) -> None:
        if writing:
            self._selector.register(self._stdin, selectors.EVENT_WRITE)
        self._selector.select(timeout_s)
        if writing:
            self._selector.unregister(self._stdin)


class LocalConnector:
    """The Connector for the machine that kubexm runs on."""

    def __init__(self) -> None:
        self._connected = False
        self._closed = False
        self._opened = Opened()

    def __repr__(self) -> str:
        return "<LocalConnector>"

    def connect(self) -> None:
        """Nothing to reach: always succeeds."""
        self._connected = True
        self._closed = False

    def close(self) -> None:
        """See `Connector.close`. What is open ends; whoever waits on it wakes."""
        self._connected = False
        self._closed = True
        self._opened.end()

    def is_connected(self) -> bool:
        """Whether `connect` was called and `close` was not."""
        return self._connected

    def open(self, command: str) -> LocalProcess:
        """Run a command line with /bin/sh, in the user's home as ssh would.

        There is nothing to connect to, so that only `close` ends it.

        Raises:
            UnreachableError: It was closed.
        """
        if self._closed:
            message = "the connection to this machine was closed"
            raise UnreachableError(message)
        home = Path.home()
        argv = ["/bin/sh", "-c", command]
        process = LocalProcess(argv, home if os.access(home, os.X_OK) else None)
        return self._opened.add(process)


def plugin(endpoint: Endpoint) -> LocalConnector:
    """The entry point `local`: the endpoint's address and credentials are not used."""
    del endpoint
    return LocalConnector()
