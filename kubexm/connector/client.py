"""Transports that are a program: `ssh`, `podman exec`, `kubectl exec` and their like.

Each says in a `Client` how its program is called and what its complaints mean; `ClientConnector`
makes a Connector of that. The program runs on this machine, or on any that a connector leads to.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kubexm.connector.endpoint import Notices
from kubexm.connector.local import LocalProcess
from kubexm.connector.opened import Opened
from kubexm.errors import ConnectError, UnreachableError, tail
from kubexm.shell import quote_for_login

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubexm.connector.endpoint import Connector, Endpoint
    from kubexm.shell import Process

_NO_BYTES = memoryview(b"")
_HEARD_BYTES = 1 << 16


class Refusal(NamedTuple):
    """What a program's words mean when it did not get there.

    `pattern` is searched in its output; `message` may name the `{place}`.
    """

    pattern: str
    kind: type[ConnectError]
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program that starts command lines somewhere.

    Args:
        program: What has to be installed for it.
        place: Where that is, in words: "the container web".
        argv: From a command line to the argument list that runs it there.
        refusals: What its complaints mean, the most telling first.
        is_image: Nothing has booted there; see `Bootless`.
        wants_root: The program works for root only; see `Carried`.
        noise: What lines begin with that it says without complaining, as a pattern.
        notices: From what it said while connecting to what the operator should know.
    """

    program: str
    place: str
    argv: Callable[[str], Sequence[str]]
    refusals: tuple[Refusal, ...]
    is_image: bool = False
    wants_root: bool = False
    noise: str = "(?!)"
    notices: Callable[[str], Sequence[str]] = lambda _: ()


class ClientConnector:
    """The Connector for a `Client`.

    While connected it keeps one process there that does nothing: that there is a way was seen,
    and when the place goes away, the end of that process tells.

    Args:
        endpoint: Of it count the name and the timeout; the client knows the rest.
        client: How to get there.
    """

    def __init__(self, endpoint: Endpoint, client: Client) -> None:
        self._name = endpoint.name
        self._timeout_s = endpoint.connect_timeout_s
        self._client = client
        self._other: Connector | None = None
        self._notices: tuple[str, ...] = ()
        self._connecting = threading.Lock()
        self._opened = Opened()
        self._lock = threading.Lock()  # guards the next two
        self._holder: Process | None = None
        self._closings = 0

    def __repr__(self) -> str:
        state = "not connected" if self._holder is None else "connected"
        via = "" if self._other is None else f" via {self._other!r}"
        return f"<ClientConnector {self._client.place}{via}, {state}>"

    @property
    def is_image(self) -> bool:
        """See `Bootless.is_image`."""
        return self._client.is_image

    @property
    def wants_root(self) -> bool:
        """See `Carried.wants_root`."""
        return self._client.wants_root

    @property
    def notices(self) -> Sequence[str]:
        """See `Notices.notices`; those of the machine that it goes through come first."""
        other: object = self._other
        return (*(other.notices if isinstance(other, Notices) else ()), *self._notices)

    def through(self, other: Connector) -> None:
        """See `Carried.through`."""
        self._other = other

    def connect(self) -> None:
        """See `Connector.connect`."""
        with self._connecting:
            if self.is_connected():
                return
            self.close()
            closings = self._closings
            try:
                nonce = secrets.token_hex(8)
                holder = self._start(f"exec sh -c 'echo {nonce} ready; read -r end'")
                said = self._await(holder, f"{nonce} ready\n".encode())
                self._notices = tuple(self._client.notices(said))
                self._settle(holder, closings)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """See `Connector.close`. What is open ends; whoever waits on it wakes."""
        with self._lock:
            holder, self._holder = self._holder, None
            self._closings += 1
        self._opened.end()
        del holder  # known to `_opened` only as long as somebody holds it

    def is_connected(self) -> bool:
        """Whether the process that is kept there is still there, as far as is known here."""
        with self._lock:
            try:
                return self._holder is not None and not self._holder.exchange(_NO_BYTES, 0).ended
            except UnreachableError:
                return False

    def open(self, command: str) -> Process:
        """See `Connector.open`: the shell is the `sh` of the place, or there the login shell."""
        if not self.is_connected():
            raise self._not_connected()
        process = self._start(command)
        if self._holder is None:  # closed meanwhile, by another thread
            process.kill()
            raise self._not_connected()
        return process

    def _not_connected(self) -> UnreachableError:
        message = f"not connected to {self._client.place}, or not any more"
        return UnreachableError(message, host=self._name)

    def _start(self, command: str) -> Process:
        argv = list(self._client.argv(command))
        process: Process
        if self._other is not None:
            process = self._other.open(" ".join(map(quote_for_login, argv)))
        else:
            try:
                process = LocalProcess(argv)
            except ConnectError as error:
                hint = "install it on this machine, or name another with kubexm_executable"
                raise ConnectError(error.message, host=self._name, hint=hint) from error.__cause__
        return self._opened.add(process)

    def _settle(self, holder: Process, closings: int) -> None:
        """Be connected, unless somebody has closed this meanwhile."""
        with self._lock:
            if self._closings == closings:
                self._holder = holder
                return
        message = "closed while connecting"
        raise UnreachableError(message, host=self._name)

    def _await(self, holder: Process, ready: bytes) -> str:
        """Wait until the kept process announces itself; what was said until then.

        Raises:
            UnreachableError: It did not, within the time.
            ConnectError: The program ended instead.
        """
        out, err = bytearray(), bytearray()
        limit = time.monotonic() + self._timeout_s
        while ready not in out:
            left = limit - time.monotonic()
            if left <= 0:
                message = f"{self._client.place} did not answer within {self._timeout_s:g} s"
                said = tail(self._complaint(err), lines=1)
                raise UnreachableError(
                    f"{message}: {said}" if said else message,
                    host=self._name,
                    hint="is it healthy? kubexm_connect_timeout sets the time",
                )
            _, stdout, stderr, ended = holder.exchange(_NO_BYTES, left)
            out += stdout
            err += stderr
            if ended and ready not in out:
                raise self._meaning(self._complaint(err + out), holder.exit_status())
            del out[:-_HEARD_BYTES], err[:-_HEARD_BYTES]
        return err.decode("utf-8", "replace")

    def _complaint(self, said: bytearray) -> str:
        """What the program said, without the lines that are no complaints."""
        lines = said.decode("utf-8", "replace").strip().splitlines()
        return "\n".join(line for line in lines if not re.match(self._client.noise, line))

    def _meaning(self, said: str, status: int | None) -> ConnectError:
        """The program's last words as an error of ours."""
        program = self._client.program
        absent = Refusal(
            rf"{re.escape(program)}\W+(command )?not found",
            ConnectError,
            "{place} cannot be reached: " + f"{program} is missing where it is to run",
            "install it on the machine of kubexm_via, or name another with kubexm_executable",
        )
        for pattern, kind, message, hint in (*self._client.refusals, absent):
            if re.search(pattern, said, re.MULTILINE):
                words = message.replace("{place}", self._client.place)
                return kind(words, host=self._name, hint=hint)
        last = tail(said, lines=3)
        if not last:
            last = "it ended" if status is None else f"it ended with exit status {status}"
        return UnreachableError(f"{self._client.place}: {last}", host=self._name)
