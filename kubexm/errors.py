"""The one hierarchy of errors; what a message shows is already free of secrets.

A message says what happened and where; `hint` says what to do next. Foreign exceptions are
mapped to these at the connector, so nothing above it catches paramiko's or the socket's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TAIL_LINES = 12
_TAIL_CHARS = 2_000


def tail(text: str, *, lines: int = _TAIL_LINES) -> str:
    """The last `lines` lines of an output, at most 2,000 characters of them."""
    kept = "\n".join(text.rstrip().splitlines()[-lines:])
    return kept if len(kept) <= _TAIL_CHARS else "…" + kept[-_TAIL_CHARS:]


class KubexmError(Exception):
    """Everything that kubexm raises on purpose.

    Args:
        message: What happened, and where.
        hint: What to do next; empty when there is nothing useful to say.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(KubexmError):
    """The caller must change something: a flag, a setting, a file."""


class InventoryError(UsageError):
    """A fault in an inventory.

    Args:
        message: What is wrong, without its place.
        path: The file.
        line: Counted from 1; 0 when the fault has no line.
        column: Counted from 1; 0 when the fault has no column.
        key: The key at fault, where there is one.
        hint: What to do next, often a suggestion.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        line: int = 0,
        column: int = 0,
        key: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.line = line
        self.column = column
        self.key = key

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part)
        return f"{place}: {self.message}" if place else self.message


class PlanError(UsageError):
    """A plan that cannot be walked: a cycle, an unknown name, a bad selector."""


class JournalError(UsageError):
    """The journal cannot be written or read: no space, no permission, not a journal."""


class ResumeError(UsageError):
    """A run that cannot be resumed: unknown, at work, over, or not the same any more."""


class PluginError(UsageError):
    """An entry point that is missing, does not load, or is not what its group asks for."""

    def __init__(
        self,
        message: str,
        *,
        group: str,
        name: str = "",
        distribution: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.group = group
        self.name = name
        self.distribution = distribution


class HostError(KubexmError):
    """One machine's answer, or the lack of one.

    `host` may be empty where the error is raised; the layer that knows the name calls `on`.
    `operation` names the operation that was at work, where there was one. `fatal` is set by who
    wants the whole run to be broken off because of it.
    """

    def __init__(
        self, message: str, *, host: str = "", operation: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.host = host
        self.operation = operation
        self.fatal = False

    def on(self, host: str) -> HostError:
        """The same error, named for `host` unless it has a name already."""
        self.host = self.host or host
        return self

    def during(self, operation: str) -> HostError:
        """The same error, named for `operation` unless it has one already."""
        self.operation = self.operation or operation
        return self


def as_host_error(error: KubexmError) -> HostError:
    """An error of any kind as the one that ended a host's work."""
    if isinstance(error, HostError):
        return error
    wrapped = HostError(str(error), hint=error.hint)
    wrapped.__cause__ = error
    return wrapped


class ConnectError(HostError):
    """A machine could not be reached or would not let us in."""


class UnreachableError(ConnectError):
    """No usable answer: refused, timed out, no route, unknown name, or a link that was lost."""


class DialRefusedError(UnreachableError):
    """Something answered at the address, and said that nobody listens at that port."""


class DialTimeoutError(UnreachableError):
    """Nothing answered in time: the dialling, the banner, the key exchange or the login."""


class DroppedError(UnreachableError):
    """The machine hung up before it said anything: trying again may help (sshd's MaxStartups)."""


class AuthenticationError(ConnectError):
    """The machine answered and refused every credential that we offered."""


class HostKeyError(ConnectError):
    """The machine's host key is unknown, or is not the one on record."""


class HostKeyChangedError(HostKeyError):
    """Another host key than the one that is on record or pinned."""


class NotPermittedError(ConnectError):
    """We got in, and the machine (or the proxy before it) does not permit what was asked of it."""


class EscalationError(ConnectError):
    """The login user could not become another user (sudo, su, doas)."""


class SessionLostError(UnreachableError):
    """The link or the remote shell ended in the middle of a batch.

    `completed` counts the scripts of the batch whose reply had come in whole.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str = "",
        operation: str = "",
        completed: int = 0,
        hint: str = "",
    ) -> None:
        super().__init__(message, host=host, operation=operation, hint=hint)
        self.completed = completed


class CommandError(HostError):
    """A command that had to succeed did not.

    `command` is shown as given; a secret command is replaced by its redaction before it
    comes here. `exit_status` is 0 to 255.
    """

    def __init__(
        self,
        message: str,
        *,
        command: str = "",
        exit_status: int = 0,
        stdout: str = "",
        stderr: str = "",
        host: str = "",
        operation: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, host=host, operation=operation, hint=hint)
        self.command = command
        self.exit_status = exit_status
        self.stdout = stdout
        self.stderr = stderr

    def __str__(self) -> str:
        said = tail(self.stderr) or tail(self.stdout)
        return f"{self.message}: {said}" if said else self.message


class DeadlineError(HostError):
    """Time ran out. What was running was ended; whether it had taken effect is unknown."""


class TransferError(HostError):
    """Content did not arrive, or did not arrive as it was sent."""


class AbortedError(HostError):
    """The run was broken off while the host waited, or before it had begun."""


class LockedError(HostError):
    """Another kubexm holds the host."""


class UnsupportedError(HostError):
    """No handler for this operation on this kind of machine."""


class UnmetError(HostError):
    """A prerequisite is missing on the machine: no such unit, no such package, no such tool.

    `assumed` is the state to expect once the prerequisite is there; check mode predicts from
    it when an earlier pending change may supply what is missing.
    """

    def __init__(self, message: str, *, assumed: object = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.assumed = assumed


class NotConvergedError(HostError):
    """A change ran without error and the machine is still not as it should be."""


class UnstableError(HostError):
    """A reading that changes by itself, so that nothing can be decided from it."""


class PoolExhaustedError(KubexmError):
    """No connection became free in time."""


class PoolClosedError(PoolExhaustedError):
    """The pool was shut down: no connection will ever become free."""


class InitializationError(KubexmError):
    """Every host that could not be opened, told at once.

    Args:
        errors: Host name to what happened there, in inventory order.
    """

    def __init__(self, errors: Mapping[str, KubexmError]) -> None:
        lines = [f"  {host}: {error}" for host, error in errors.items()]
        hint = "nothing was begun on any host"
        super().__init__("\n".join(["hosts could not be opened:", *lines]), hint=hint)
        self.errors = dict(errors)


class RunFailedError(KubexmError):
    """A run that ended with failures; `failed` and `unreachable` are host names."""

    def __init__(self, *, failed: Sequence[str], unreachable: Sequence[str]) -> None:
        parts = []
        if failed:
            parts.append(f"failed on {', '.join(failed)}")
        if unreachable:
            parts.append(f"unreachable: {', '.join(unreachable)}")
        super().__init__("; ".join(parts))
        self.failed = tuple(failed)
        self.unreachable = tuple(unreachable)
