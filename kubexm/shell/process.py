"""A running command on a machine, as three pipes: what a connector's `open` returns."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Exchange(NamedTuple):
    """What one turn of the non-blocking loop moved.

    `taken` counts the outgoing bytes that were accepted. `ended` is true when the process
    has closed stdout and stderr and both have been read to the end, when it has ended and
    nothing is left to read although others keep its pipes, and after `kill`.
    """

    taken: int
    stdout: bytes
    stderr: bytes
    ended: bool


class Process(Protocol):
    """Three pipes to a running command.

    One thread drives it. Any thread may `kill` it, at which a waiting `exchange` returns.
    """

    def exchange(self, outgoing: memoryview, timeout_s: float) -> Exchange:
        """Write what fits, read what is there; wait only when neither was possible.

        Writing and reading happen in one call because write-then-read deadlocks as soon as
        both directions hold more than the pipes do.

        Args:
            outgoing: Bytes for stdin; may be empty.
            timeout_s: The longest wait in seconds. Nothing moved in time is an empty result.

        Raises:
            UnreachableError: The link is gone.
        """
        ...

    def close_stdin(self) -> None:
        """Send end of file to the command."""
        ...

    def exit_status(self) -> int | None:
        """0 to 255 once the command has ended; `None` while unknown or when never told."""
        ...

    def kill(self) -> None:
        """Close all pipes and end what can be ended from here. Harmless when repeated."""
        ...
