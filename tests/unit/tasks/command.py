"""`inv` in this process: what a command prints and exits with, without starting a Python."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from invoke.program import Program

from kubexm.tasks import ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


def inv(*words: str) -> Done:
    """Run a command, in the current directory."""
    stdout, stderr = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            Program(namespace=ns).run(["inv", *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(returncode=code, stdout=stdout.getvalue(), stderr=stderr.getvalue())
