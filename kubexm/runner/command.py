"""A user's own command on a host: how it is run, and what its status means."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from kubexm.errors import CommandError, EscalationError, HostError
from kubexm.secret import REDACTED, Secret
from kubexm.shell import Reply, Script, Session, quote

if TYPE_CHECKING:
    from kubexm.shell import OutputListener

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

Writer: TypeAlias = Callable[[str, bytes], None]
"""Called with "stdout" or "stderr" and what has just come."""

LoginShell: TypeAlias = Callable[[str], AbstractContextManager[Session]]
"""Opens a session with the login environment, as a user; empty for the login user."""

_EMPTY: Mapping[str, str | Secret] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """How a command is run. The default: as the login user, once, as it stands.

    Args:
        user: Become this user, by the inventory's method; empty for the login user.
        timeout_s: Enforced on the host, for each try; 0 for the run's own (`--timeout`).
        environment: Variables for the command. They travel with the script, never in an
            argument; with a `Secret` among them the output is secret too, as with `hidden`.
        directory: Where it runs; empty for the home directory.
        retries: So many further tries while it ends with another status than 0.
        retry_delay_s: Between two tries.
        fatal: When it fails, the whole run is broken off: no further host is begun.
        hidden: Neither the command nor its output is shown, logged or put into an error.
        any_status: A status other than 0 is an answer, not a failure.
        stream: Gets the output while it comes, unless it is hidden.

    Raises:
        ValueError: A variable's name is none, or a number is negative.
    """

    user: str = ""
    timeout_s: float = 0
    environment: Mapping[str, str | Secret] = field(default_factory=lambda: _EMPTY)
    directory: str = ""
    retries: int = 0
    retry_delay_s: float = 0
    fatal: bool = False
    hidden: bool = False
    any_status: bool = False
    stream: Writer | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in self.environment:
            if not _NAME.fullmatch(name):
                message = f"not the name of an environment variable: {name!r}"
                raise ValueError(message)
        if min(self.timeout_s, self.retries, self.retry_delay_s) < 0:
            message = "timeout, retries and the delay between them cannot be negative"
            raise ValueError(message)

    @property
    def is_secret(self) -> bool:
        """Whether nothing of the command may be shown."""
        return self.hidden or any(isinstance(value, Secret) for value in self.environment.values())

    def script(self, text: str) -> Script:
        """The command with its directory and environment; it ends when nobody listens."""
        lines = [
            f"export {name}={quote(value.reveal() if isinstance(value, Secret) else value)}"
            for name, value in self.environment.items()
        ]
        if self.directory:
            lines.append(f"cd -- {quote(self.directory)} || exit")
        return Script("\n".join((*lines, text)), secret=self.is_secret, tied=True)

    def failure(self, text: str, reply: Reply) -> CommandError:
        """A status that is no answer, as an error that shows no secret."""
        tries = f" after {self.retries + 1} tries" if self.retries else ""
        secret = self.is_secret
        error = CommandError(
            f"the command ended with exit status {reply.exit_status}{tries}",
            command=REDACTED if secret else text,
            exit_status=reply.exit_status,
            stdout="" if secret else reply.text,
            stderr="" if secret else reply.stderr.decode("utf-8", "replace"),
            hint="its output is hidden" if secret else "",
        )
        error.fatal = self.fatal
        return error


DEFAULT = CommandOptions()


def execute(session: Session, text: str, options: CommandOptions, *, deadline_s: float) -> Reply:
    """Run a command in a session with the login environment.

    Args:
        session: Of the user that the options name.
        text: POSIX sh; its stdin is /dev/null.
        options: How.
        deadline_s: For each try, unless the options have their own.

    Raises:
        CommandError: Its last status was not 0, and that is no answer.
        DeadlineError: It took too long, and was ended.
        SessionLostError: The link broke.
    """
    script = options.script(text)
    left = options.retries
    try:
        while True:
            batch = session.run(
                (script,),
                deadline_s=options.timeout_s or deadline_s,
                listener=_listener(options.stream),
            )
            reply = next(reply for reply in batch.whole() if isinstance(reply, Reply))
            if reply.exit_status == 0 or not left:
                break
            left -= 1
            time.sleep(options.retry_delay_s)
        if reply.exit_status != 0 and not options.any_status:
            raise options.failure(text, reply)
    except HostError as error:
        error.fatal = options.fatal
        raise
    return reply


def _listener(stream: Writer | None) -> OutputListener | None:
    if stream is None:
        return None

    def hear(number: int, name: str, data: bytes) -> None:
        del number
        stream(name, data)

    return hear


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """`host.commands`: a user's own commands, each on a channel of its own.

    They run with the login environment, and end a moment after this process does. In check
    mode only `check`, `look_path` and `is_sudoer` run, which look and change nothing.

    Args:
        open: Opens a session as a user.
        deadline_s: For each command that has none of its own.
        is_checking: Nothing may be changed.
    """

    open: LoginShell
    deadline_s: float
    is_checking: bool = False

    def run(self, text: str, options: CommandOptions = DEFAULT) -> Reply:
        """Run it; any exit status is an answer.

        Raises:
            HostError: It was not run, or was ended: the reason is the error's type.
        """
        return self._run(text, replace(options, any_status=True))

    def must_run(self, text: str, options: CommandOptions = DEFAULT) -> Reply:
        """Run it; an exit status other than 0 is an error, unless the options say otherwise.

        Raises:
            CommandError: It was not 0.
            HostError: It was not run, or was ended.
        """
        return self._run(text, options)

    def check(self, text: str, options: CommandOptions = DEFAULT) -> bool:
        """Whether a command that only looks succeeds. It runs in check mode too.

        Raises:
            HostError: It was not run, or was ended; that is not `False`.
        """
        return self._ask(text, replace(options, any_status=True)).exit_status == 0

    def look_path(self, program: str, options: CommandOptions = DEFAULT) -> str:
        """Where a program is found; empty when it is not.

        What a shell has built in or made up (an alias, a function) counts as not found.
        """
        options = replace(options, any_status=True)
        path = self._ask(f"command -v {quote(program)}", options).text.strip()
        return path if path.startswith("/") else ""

    def is_sudoer(self) -> bool:
        """Whether we can become root there: it is tried, not read from a list of groups.

        Raises:
            HostError: Nobody could tell, because the link broke.
        """
        try:
            with self.open("root") as session:
                return session.ask(Script('[ "$(id -u)" = 0 ]')).exit_status == 0
        except EscalationError:
            return False

    def _run(self, text: str, options: CommandOptions) -> Reply:
        if self.is_checking:
            message = "nobody can predict what a command would do, so it does not run in check mode"
            raise HostError(message, hint="use host.commands.check, or look at host.check first")
        return self._ask(text, options)

    def _ask(self, text: str, options: CommandOptions) -> Reply:
        with self.open(options.user) as session:
            return execute(session, text, options, deadline_s=self.deadline_s)
