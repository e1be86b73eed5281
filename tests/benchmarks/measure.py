"""One command, run to its end: how long it took, and what it cost here."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from resource import struct_rusage

_LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one run cost.

    Attributes:
        wall_s: From start to end of the whole process, interpreter start included.
        cpu_s: User and system time of it and of all its children that it waited for.
        peak_bytes: Memory of the largest single process among them, looked at five times a
            second. (What wait4(2) tells counts this process, too, before its child was another.)
        exit_code: How it ended.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    exit_code: int


class FailedError(Exception):
    """A measured command did not do its job."""


def run(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], *, timeout_s: float
) -> Figures:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        directory: Where it runs; its output is kept there in `output`.
        environment: In addition to this process's own.
        timeout_s: After this long it is killed.

    Raises:
        FailedError: It ended with another status than 0, or took too long; with its last words.
    """
    output = directory / "output"
    began = time.monotonic()
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        usage, status, peak_bytes = _wait(process, began + timeout_s)
    wall_s = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        last = output.read_text("utf-8", "replace")[-1500:]
        message = f"{' '.join(command)[:200]} ended with {process.returncode}: {last}"
        raise FailedError(message)
    return Figures(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=peak_bytes,
        exit_code=process.returncode,
    )


def _wait(process: subprocess.Popen[bytes], limit: float) -> tuple[struct_rusage, int, int]:
    """wait4(2), with a limit; it alone tells what this child used, and its children."""
    peak = max(map(_memory, _family(process.pid)))
    ended = select.poll()
    descriptor = os.pidfd_open(process.pid)
    try:
        ended.register(descriptor, select.POLLIN)
        while not ended.poll(_LOOK_S * 1000):
            if time.monotonic() > limit:
                process.kill()
                limit = float("inf")
            peak = max(peak, *map(_memory, _family(process.pid)))
    finally:
        os.close(descriptor)
    _, status, usage = os.wait4(process.pid, 0)
    return usage, status, peak


def _family(pid: int) -> list[int]:
    """A process and all that it has started, as far as they are still there."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                found += map(int, children.read_text("ascii").split())
    return found


def _memory(pid: int) -> int:
    """The most that it has had in memory, in bytes; 0 for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return 0
    _, _, rest = status.partition("VmHWM:")
    return int(rest.split()[0]) << 10 if rest else 0
