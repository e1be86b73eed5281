"""Run by the Python of ansible-core's venv: `ansible-inventory --list` for many inventories.

Reads one JSON list of arguments a line, and answers each with one line: a JSON object with the
exit status and what was printed. Importing ansible-core takes a second and its command-line
arguments are global, so that each inventory gets a fork of this process.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NoReturn

from ansible.cli.inventory import InventoryCLI  # type: ignore[import-not-found]


def child(arguments: list[str], answer: int) -> NoReturn:
    """Run the command and write what it said into the pipe."""
    stdout, stderr, status = io.StringIO(), io.StringIO(), 0
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            InventoryCLI(["ansible-inventory", "--list", *arguments]).run()
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
        status, _ = 1, stderr.write(f"{type(error).__name__}: {error}")
    said = {"status": status, "stdout": stdout.getvalue(), "stderr": stderr.getvalue()}
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(said))
    os._exit(0)


for line in sys.stdin:
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(reading)
        child(json.loads(line), writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        sys.stdout.write(stream.read() + "\n")
    sys.stdout.flush()
    os.waitpid(pid, 0)
