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
    """What is wrong so far with everything that makes up an inventory; one thread fills it."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int, int, str], InventoryError] = {}
        self._parts: list[FileProblems] = []
        self.warnings: list[tuple[FileProblems, int, int, str]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def of(self, path: str, *, says: str = "") -> FileProblems:
        """The problems of one part, in the order in which parts are asked for.

        Args:
            path: The file.
            says: What the message begins with where there is no file, such as "extra variables".
        """
        part = FileProblems(self, len(self._parts), path, says)
        self._parts.append(part)
        return part

    def note(self, part: int, error: InventoryError) -> None:
        """Keep a fault of that part. The same at the same place counts once: anchors repeat."""
        self._found.setdefault((part, error.line, error.column, error.message), error)

    def raise_if_any(self) -> None:
        """End the work when there is anything to tell.

        Raises:
            InventoryError: The only fault.
            InventoryErrors: All of them, by file and place.
        """
        ordered = [self._found[place] for place in sorted(self._found, key=lambda at: at[:3])]
        if len(ordered) == 1:
            raise ordered[0]
        if ordered:
            raise InventoryErrors(ordered[0].path, ordered)


class FileProblems:
    """What is wrong with one file, or with one thing that is no file."""

    def __init__(self, problems: Problems, part: int, path: str, says: str) -> None:
        self._problems = problems
        self.says = says
        self.part = part
        self.path = path

    def add(self, message: str, line: int, column: int, *, key: str = "", hint: str = "") -> None:
        """Note a fault; line and column are 0 where there is none."""
        self.note(
            InventoryError(
                f"{self.says}: {message}" if self.says else message,
                path=self.path,
                line=line,
                column=column,
                key=key,
                hint=hint,
            )
        )

    def warn(self, message: str, line: int, column: int) -> None:
        """Note what is allowed and probably not meant."""
        warning = (self, line, column, message)
        if warning not in self._problems.warnings:
            self._problems.warnings.append(warning)

    def note(self, error: InventoryError) -> None:
        """Note a fault that is an error already, with its place in it."""
        self._problems.note(self.part, error)
