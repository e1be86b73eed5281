"""A command in a pseudo-terminal of its own, and what is to be seen there."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

import pyte

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

_LAUNCH = (
    "import fcntl, os, sys, termios; "
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
)
"""Makes the terminal the controlling one, so that what is typed can interrupt."""


class PtySession:
    """`python -m invoke` with these words. A context manager: leaving it ends the command.

    Args:
        project: Where it runs.
        words: Of the command.
        environment: On top of our own.
        columns: The terminal's width.
        lines: Its height.
    """

    def __init__(
        self,
        project: Path,
        *words: str,
        environment: Mapping[str, str] | None = None,
        columns: int = 80,
        lines: int = 24,
    ) -> None:
        self.written = b""
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._terminal, inner = os.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, sys.executable, "-m", "invoke", *words],
            cwd=project,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            env=kept | {"TERM": "xterm-256color"} | dict(environment or {}),
        )
        os.close(inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    @property
    def seen(self) -> str:
        """The screen, without blanks at the ends."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip() + "\n"

    def hides_cursor(self) -> bool:
        """Whether who looks at it sees no cursor."""
        return bool(self.screen.cursor.hidden)

    def wait_for(self, text: str, *, timeout_s: float = 30) -> str:
        """Read until the screen shows a text.

        Returns:
            The screen at that moment.
        """
        limit = time.monotonic() + timeout_s
        while text not in self.seen:
            if time.monotonic() > limit or not self._read(limit - time.monotonic()):
                message = f"the terminal never showed {text!r} but:\n{self.seen}"
                raise AssertionError(message)
        return self.seen

    def end(self, *, timeout_s: float = 30) -> int:
        """Read until the command ends.

        Returns:
            Its exit status.
        """
        limit = time.monotonic() + timeout_s
        while self._read(limit - time.monotonic()):
            pass
        return self._process.wait(timeout=5)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._terminal, keys)

    def _read(self, seconds: float) -> bool:
        """Take what comes next; false when nothing more will."""
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, seconds))
        try:
            data = os.read(self._terminal, 1 << 16) if ready else b""
        except OSError:  # EIO: the last one who had it open has closed it
            return False
        self.written += data
        self._stream.feed(data)
        return bool(data)
