"""What things may cost, in figures that no clock and no other load has a part in.

The bounds are in budgets.toml, a few percent above what was measured when they were recorded.
They may only go down: who makes something cheaper lowers its bound in the same commit, and who
needs a higher one says in the commit what is bought for it.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from _typeshed import TraceFunction

RECORDED = sys.version_info[:2] == (3, 11)
"""Whether this is the Python that counts of modules and instructions were recorded with."""

FILE = Path(__file__).with_name("budgets.toml")


def bound(name: str) -> int:
    """The recorded bound of that name, `table.key`."""
    table, _, key = name.partition(".")
    return int(tomllib.loads(FILE.read_text("utf-8"))[table][key])


def keep(name: str, measured: int) -> None:
    """Hold a figure against its bound.

    Raises:
        AssertionError: It costs more.
    """
    most = bound(name)
    sys.stdout.write(f"budget {name}: {measured} of {most}\n")  # what pytest -s is for
    assert measured <= most, f"{name} costs {measured}, and may cost {most} ({FILE.name})"


@dataclass(slots=True)
class _Count:
    instructions: int = 0

    def trace(self, frame: FrameType, event: str, _argument: object) -> TraceFunction:
        """See `sys.settrace`."""
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        elif event == "opcode":
            self.instructions += 1
        return self.trace


def instructions(work: Callable[[], object]) -> int:
    """How many instructions of Python's virtual machine a call takes; what C does is not seen.

    It is called once before, so that what is computed once and kept is not counted.
    """
    work()
    count = _Count()
    before = sys.gettrace()
    sys.settrace(count.trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count.instructions
