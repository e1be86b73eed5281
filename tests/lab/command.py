"""Programs of this machine: found, run, reported."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LabError(Exception):
    """The laboratory could not do what was asked of it."""


class MissingError(LabError):
    """This machine lacks something that the laboratory needs."""


class CommandError(LabError):
    """A program ended with a status other than 0.

    Attributes:
        result: What it was, what it said and how it ended.
    """

    def __init__(self, result: subprocess.CompletedProcess[str]) -> None:
        self.result = result
        said = (result.stderr or result.stdout).strip()[-2000:]
        super().__init__(f"{' '.join(result.args)!r} ended with {result.returncode}: {said}")


def note(text: str) -> None:
    """Say on stderr what is going on."""
    sys.stderr.write(f"lab: {text}\n")
    sys.stderr.flush()


def find(program: str) -> str | None:
    """The path of a program, looked for in the sbin directories too."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{PATH}")


def run(
    *argv: str | Path,
    stdin: str = "",
    timeout_s: float = 60.0,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program of this machine and keep what it says.

    Args:
        argv: The program and its arguments; no shell reads them.
        stdin: What it reads.
        timeout_s: After this long the program and its children are killed.
        check: Whether a status other than 0 is an error.

    Raises:
        CommandError: The status was not 0, and `check` was asked for.
        MissingError: There is no such program.
        subprocess.TimeoutExpired: It took too long.
    """
    words = [str(word) for word in argv]
    program = find(words[0])
    if program is None:
        message = f"{words[0]}: not on this machine"
        raise MissingError(message)
    with subprocess.Popen(
        [program, *words[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        umask=0o022,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_s)
        except BaseException:
            # nsenter forks: killing it alone would leave what it started, and the pipes, open.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    result = subprocess.CompletedProcess(words, process.returncode, stdout, stderr)
    if check and process.returncode != 0:
        raise CommandError(result)
    return result
