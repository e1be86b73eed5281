"""`inv` in processes that have kubexm imported already, which saves a second for each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext


@cache
def context() -> ForkServerContext:
    """What starts the processes; one for all tests."""
    found = get_context("forkserver")
    found.set_forkserver_preload(["tests.preload"])
    return found


def inv(project: Path, *words: str, timeout_s: float = 100) -> subprocess.CompletedProcess[str]:
    """Run an `inv` command in a project, without a terminal.

    Raises:
        subprocess.TimeoutExpired: It took too long, and was killed.
    """
    with tempfile.TemporaryDirectory() as directory:
        out, err = Path(directory, "out"), Path(directory, "err")
        process = context().Process(target=_inv, args=(str(project), words, str(out), str(err)))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout_s)
        return subprocess.CompletedProcess(
            words, process.exitcode, out.read_text("utf-8"), err.read_text("utf-8")
        )


def _inv(project: str, words: tuple[str, ...], out: str, err: str) -> None:
    from invoke.main import program

    os.chdir(project)
    for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    # what was open before the fork is a file now, which buffers otherwise than a pipe
    sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115 - for the process's life
    program.run(["inv", *words])
