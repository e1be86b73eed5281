"""Faults of an inventory, collected so that all of them are told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.errors import InventoryError

if TYPE_CHECKING:
    from collections.abc import Sequence

_LISTED = 50


class InventoryErrors(InventoryError):  # noqa: N818 - it is several of them
    """Several faults of one inventory; the message has a line for each, up to 50.

    Args:
        path: The file.
        problems: Every fault, in the order of the file.
    """

    def __init__(self, path: str, problems: Sequence[InventoryError]) -> None:
        lines = [_in_full(problem) for problem in problems[:_LISTED]]
        if len(problems) > _LISTED:
            lines.append(f"… and {len(problems) - _LISTED} more")
        super().__init__(
            f"{len(problems)} problems in the inventory:\n" + "\n".join(lines), path=path
        )
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return self.message


def _in_full(problem: InventoryError) -> str:
    return f"{problem} ({problem.hint})" if problem.hint else str(problem)


class Problems:
    """What is wrong so far with one file; one thread fills it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._found: dict[tuple[int, int, str], InventoryError] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, message: str, line: int, column: int, *, key: str = "", hint: str = "") -> None:
        """Note a fault; line 0 is for what was not in the file (an extra variable).

        The same fault at the same place counts once: an anchor may be used many times.
        """
        self._found.setdefault(
            (line, column, message),
            InventoryError(
                message if line else f"extra variables: {message}",
                path=self._path if line else "",
                line=line,
                column=column,
                key=key,
                hint=hint,
            ),
        )

    def raise_if_any(self) -> None:
        """End the work on the file when there is anything to tell.

        Raises:
            InventoryError: The only fault.
            InventoryErrors: All of them.
        """
        ordered = [self._found[place] for place in sorted(self._found, key=lambda at: at[:2])]
        if len(ordered) == 1:
            raise ordered[0]
        if ordered:
            raise InventoryErrors(self._path, ordered)
