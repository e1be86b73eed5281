"""Plain tables for terminals and pipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.ui import text

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST = 8


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: frozenset[int],
    most: int | None = None,
) -> str:
    """Rows under a header, in columns two blanks apart.

    Args:
        header: A word for each column.
        rows: As many cells each.
        right: The columns that are aligned to the right, counted from 0.
        most: The width of the terminal, for which the first column is cut; `None` cuts nothing.
    """
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(text.columns(line[column]) for line in lines) for column in range(len(header))]
    if most is not None:
        over = sum(widths) + 2 * (len(widths) - 1) - most
        widths[0] = min(widths[0], max(_LEAST, widths[0] - over))
        lines = [(text.cut_middle(first, widths[0]), *others) for first, *others in lines]
    return "\n".join(
        "  ".join(
            text.right(cell, width) if column in right else text.left(cell, width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
