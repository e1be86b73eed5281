"""A command with a condition that says whether it is needed."""

from __future__ import annotations

from dataclasses import dataclass

from kubexm.runner.operation import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun(Operation):
    """A shell command that has been run, as its condition can tell.

    At least one condition is needed: without one nobody could say whether it is so already,
    and every run would be a change. After the command the condition must say that it is done.

    Args:
        command: POSIX sh text.
        creates: An absolute path that exists once the command has run.
        unless: A read-only shell command that succeeds once the command has run.
        only_if: A read-only shell command; when it fails there is nothing to do.
        name: What messages call it; the command itself when empty.
        deadline_s: For the command.
    """

    command: str
    creates: str = ""
    unless: str = ""
    only_if: str = ""
    name: str = ""
    deadline_s: int = 600

    def __post_init__(self) -> None:
        if not (self.creates or self.unless or self.only_if):
            message = f"no condition (creates, unless, only_if) for the command {self.command!r}"
            raise ValueError(message)

    def label(self) -> str:
        """See `Operation.label`."""
        return f"command {self.name or self.command.strip().splitlines()[0][:60]}"
