"""A throwaway copy of this machine: whatever is done in it, the machine stays as it is.

What differs from the machine is kept in `.kubexm/sandbox/NAME` below the current directory, so
that a later run finds what an earlier one did; whoever removes that directory starts anew. The
connection option `directory` names another place for it than `.kubexm/sandbox`.

The copy has files, processes, a host name and devices of its own. It shares the machine's network,
in order to install packages, and its kernel, and is without every capability to change those.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import kubexm
from kubexm.connector.local import LocalProcess
from kubexm.connector.opened import Opened
from kubexm.errors import ConnectError, UnreachableError, tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubexm.connector.endpoint import Endpoint

DIRECTORY = ".kubexm/sandbox"

_START = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from kubexm.connector.enclosure import main; sys.exit(main(sys.argv[2:]))"
)
_PATIENCE_S = 5.0


class _Copy(NamedTuple):
    """What the program says of the copy that it made."""

    pid: str
    identity: str
    left_out: tuple[str, ...]


class SandboxConnector:
    """The Connector for a copy of this machine. Its processes end when it is closed.

    Args:
        endpoint: Of it count the name, the timeout and the option `directory`.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._name = endpoint.name
        self._timeout_s = endpoint.connect_timeout_s
        base = Path(endpoint.options.get("directory", DIRECTORY)).absolute()
        self._base = Path(os.path.realpath(base))
        # A name is one path component, whatever an inventory allows.
        self._kept = self._base / re.sub(r"^\.|[^\w.-]", _encoded, endpoint.name)
        self._holder: subprocess.Popen[bytes] | None = None
        self._opened = Opened()
        self._copy = _Copy("", "", ())

    def __repr__(self) -> str:
        return f"<SandboxConnector {self._name} in {self._kept}>"

    @property
    def is_image(self) -> bool:
        """See `Bootless.is_image`: nothing has booted in it."""
        return True

    @property
    def notices(self) -> Sequence[str]:
        """See `Notices.notices`: file systems of the machine that the copy is without."""
        return [f"the sandbox is without {one}" for one in self._copy.left_out]

    def connect(self) -> None:
        """Make the copy, on top of what was kept of it.

        Raises:
            ConnectError: Not on Linux, not root, no overlayfs, no namespaces, a root file
                system that is an overlay itself, or another process is at work in it.
        """
        if self.is_connected():
            return
        self.close()
        if not sys.platform.startswith("linux") or os.geteuid() != 0:
            message = "only root on Linux can make a sandbox, which is a copy of this machine"
            raise ConnectError(
                message,
                hint="run kubexm as root (sudo), or name machines to reach by ssh: "
                "see inventories/ha.example.yaml",
            )
        self._holder = subprocess.Popen(
            [*_program(), "hold", str(self._base), str(self._kept), str(self._timeout_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
        try:
            self._copy = self._announced(self._holder)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every process of the copy; harmless when repeated."""
        holder, self._holder = self._holder, None
        if holder is None:
            return
        for pipe in (holder.stdin, holder.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            holder.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            # Process 1 of the copy dies with it, and everything with that.
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()
        self._opened.end()

    def is_connected(self) -> bool:
        """Whether the copy is there."""
        return self._holder is not None and self._holder.poll() is None

    def open(self, command: str) -> LocalProcess:
        """Run a command line with the copy's /bin/sh, as root, in root's home."""
        if not self.is_connected():
            message = "the sandbox is not there, or has ended"
            raise UnreachableError(message, host=self._name)
        argv = [*_program(), "enter", self._copy.pid, self._copy.identity, command]
        return self._opened.add(LocalProcess(argv))

    def _announced(self, holder: subprocess.Popen[bytes]) -> _Copy:
        """What the program says once the copy is there.

        Raises:
            ConnectError: It says what is wrong, or nothing in time.
        """
        if holder.stdout is None:
            message = "the sandbox's program has no output"
            raise ConnectError(message)
        # The program itself waits for a lock as long as the timeout.
        limit = time.monotonic() + self._timeout_s + _PATIENCE_S
        said = b""
        poller = select.poll()
        poller.register(holder.stdout, select.POLLIN)
        while not said.endswith(b"\n") or not said.startswith(b"{"):
            if not poller.poll(max(0.0, limit - time.monotonic()) * 1000):
                message = f"the sandbox was not ready after {self._timeout_s:g} s"
                raise ConnectError(message, hint="set kubexm_connect_timeout to more seconds")
            data = os.read(holder.stdout.fileno(), 65536)
            if not data:
                words = tail(said.decode("utf-8", "replace"), lines=3) or "no reason given"
                message = f"the sandbox could not be made: {words}"
                raise ConnectError(message)
            said += data
        answer = json.loads(said)
        if "error" in answer:
            raise ConnectError(answer["error"], hint=answer["hint"])
        return _Copy(answer["pid"], answer["identity"], tuple(answer["left_out"]))


def _program() -> list[str]:
    """Without site, which costs time, and without anything from the environment."""
    root = Path(next(iter(kubexm.__path__))).parent
    return [sys.executable, "-I", "-S", "-c", _START, str(root)]


def _encoded(character: re.Match[str]) -> str:
    return f"%{ord(character[0]):x}"


def plugin(endpoint: Endpoint) -> SandboxConnector:
    """The entry point `sandbox`: the endpoint's address and credentials are not used."""
    return SandboxConnector(endpoint)
