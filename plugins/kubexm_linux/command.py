"""Commands with a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import HostError, tail
from kubexm.runner import Change
from kubexm.runner.operations import CommandRun
from kubexm.shell import Library, Reply, Script

if TYPE_CHECKING:
    from kubexm.facts import Facts

COMMAND = Library.load("kubexm_linux", "command")
"""Functions about commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandState:
    """Whether the command has to be run, as its conditions tell."""

    is_needed: bool


class Commands:
    """`CommandRun` on any Linux."""

    operation = CommandRun

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: CommandRun, facts: Facts) -> Script:
        """See `Handler.probe`; what the conditions print is dropped, only their status counts."""
        del facts
        return COMMAND.call("kx_needed", op.creates, op.unless, op.only_if)

    def read(self, op: CommandRun, reply: Reply, facts: Facts) -> CommandState:
        """See `Handler.read`."""
        del facts
        match reply.text.strip():
            case "needed":
                return CommandState(is_needed=True)
            case "done":
                return CommandState(is_needed=False)
            case _:
                said = tail(reply.stderr.decode("utf-8", "replace"), lines=3)
                message = f"{op.label()}: its conditions could not be tried: {said}"
                raise HostError(message)

    def change(
        self, op: CommandRun, state: CommandState, facts: Facts
    ) -> Change[CommandState] | None:
        """See `Handler.change`."""
        del facts
        if not state.is_needed:
            return None
        return Change(
            before=state,
            after=CommandState(is_needed=False),
            script=Script(op.command, deadline_s=op.deadline_s),
            diff=f"+ran: {op.label().removeprefix('command ')}\n",
        )
