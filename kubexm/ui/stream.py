"""Writing to a reader that may go away."""

from __future__ import annotations

import os
from typing import TextIO


def say(out: TextIO, text: str) -> None:
    """Write a line at once; what the stream's encoding does not have is replaced by "?".

    When the reader has gone (`inv … | head`), what follows goes nowhere: the run goes on,
    because stopping half-way would be worse, and its exit code still tells how it went.
    """
    try:
        _write(out, text + "\n")
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, out.fileno())
        os.close(nowhere)


def _write(out: TextIO, text: str) -> None:
    try:
        out.write(text)
    except UnicodeEncodeError:
        encoding = out.encoding or "ascii"
        out.write(text.encode(encoding, "replace").decode(encoding))
    out.flush()
