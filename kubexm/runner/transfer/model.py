"""What a transfer is asked for, and what it came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from kubexm.runner.operations.file import check_mode

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes that have moved and those that have to move."""

SMALL_BYTES = 8 << 20
"""Files up to this size travel together; larger ones in parts, so that they can be resumed."""

FIRST_PART_BYTES = BLOCK_BYTES = 1 << 20
MOST_PART_BYTES = 64 * BLOCK_BYTES
_PART_S = 10.0
_MOST_GROWTH = 8


def next_part_bytes(part_bytes: int, took_s: float, deadline_s: float) -> int:
    """The size of a part, in whole blocks, from that of the one before and how long it took.

    Each part has the deadline of a trip to itself (0 for none): on a slow link parts stay small.
    """
    wanted_s = min(_PART_S, deadline_s / 3 or _PART_S)
    fitting = int(part_bytes * wanted_s / max(took_s, 0.001)) // BLOCK_BYTES * BLOCK_BYTES
    return max(FIRST_PART_BYTES, min(fitting, _MOST_GROWTH * part_bytes, MOST_PART_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOptions:
    """How files are put on a host. The default keeps the source's modes and the host's owners.

    Args:
        mode: Of every file, as for chmod(2); `None` for the source's own. New directories keep
            the source's in any case.
        owner: A user's name; empty leaves it (the session's user for something new).
        group: A group's name; empty leaves it.

    Raises:
        ValueError: The mode is none.
    """

    mode: int | None = None
    owner: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        if self.mode is not None:
            check_mode(self.mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a transfer came to, or in check mode would come to.

    Args:
        changed: Paths that were made or altered: on the host for a put, here for a get.
        unchanged: How many were so already.
        sent_bytes: Of content that moved.
        resumed_bytes: Of content that an earlier try had moved.
        left_out: Paths of sockets, pipes and devices, which no get takes along.
        diff: A line for each path that changed, before and after.
    """

    changed: tuple[str, ...] = ()
    unchanged: int = 0
    sent_bytes: int = 0
    resumed_bytes: int = 0
    left_out: tuple[str, ...] = ()
    diff: str = field(default="", repr=False)
