"""A command that is run each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import CommandError
from kubexm.runner.procedure import Done, Procedure
from kubexm.secret import Secret
from kubexm.shell import Script

if TYPE_CHECKING:
    from kubexm.runner.host import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand(Procedure):
    """A shell command, as the user that operations need, in / with the C locale.

    A command that can say whether it is still needed is a `CommandRun` operation instead.

    Args:
        command: POSIX sh text; an exit status other than 0 is a failure.
        payload: For its stdin; a `Secret` there hides the command's output too.
        name: What messages call it; the command's first line when empty.
        publishes: Later steps read its output, without the last newline, under this name.
        hidden: Its output must not be shown, and what it publishes is a `Secret`.
        repeatable: Running it again is harmless when nobody saw how the last time ended.
        timeout_s: Enforced on the host; 0 for the run's own.
    """

    command: str
    payload: str | Secret = ""
    name: str = ""
    publishes: str = ""
    hidden: bool = False
    repeatable: bool = False
    timeout_s: float = 0

    def label(self) -> str:
        """See `Procedure.label`."""
        return f"run {self.name or self.command.strip().splitlines()[0][:60]}"

    @property
    def is_secret(self) -> bool:
        """See `Procedure.is_secret`."""
        return self.hidden or isinstance(self.payload, Secret)

    def preview(self, host: Host) -> Done:
        """It would run; nobody can say what it would come to."""
        del host
        return Done()

    def run(self, host: Host) -> Done:
        """See `Procedure.run`.

        Raises:
            CommandError: It ended with another status than 0.
        """
        text = self.payload.reveal() if isinstance(self.payload, Secret) else self.payload
        script = Script(self.command, payload=text.encode() or None, secret=self.is_secret)
        reply = host.session.ask(script, deadline_s=self.timeout_s or host.deadline_s)
        stdout, stderr = reply.text, reply.stderr.decode("utf-8", "replace")
        if reply.exit_status != 0:
            msg = f"{self.label()} ended with exit status {reply.exit_status}"
            raise CommandError(
                msg,
                command="" if self.is_secret else self.command,
                exit_status=reply.exit_status,
                stdout="" if self.is_secret else stdout,
                stderr="" if self.is_secret else stderr,
                hint="its output is secret; run it by hand on the host" if self.is_secret else "",
            )
        value = stdout.removesuffix("\n")
        values = {self.publishes: Secret(value) if self.is_secret else value}
        return Done(
            stdout=stdout,
            stderr=stderr,
            exit_status=reply.exit_status,
            values=values if self.publishes else {},
        )
