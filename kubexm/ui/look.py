"""How text for people looks: what is shown, in which colours, and how wide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.runner import Status
from kubexm.ui.text import columns, cut, cut_middle, fold

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNS = {
    Status.OK: " ",
    Status.CHANGED: "~",
    Status.FAILED: "!",
    Status.SKIPPED: "-",
    Status.UNKNOWN: "?",
}
COLOURS = {
    "ok": "green",
    "changed": "yellow",
    "failed": "red",
    "unknown": "red",
    "unreachable": "red",
    "interrupted": "magenta",
    "stopped": "magenta",
}
"""Of statuses; the others have none."""

_CODES = {"red": 31, "green": 32, "yellow": 33, "magenta": 35}
_NAMED = 6
_NAME_COLUMNS = 24
_LABEL_COLUMNS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the operator asked to see, and where she sees it.

    Args:
        diff: Show each change's diff.
        verbose: 1 shows unchanged operations, every host, and output while it comes; 2 also
            what changes printed.
        colour: ANSI colours.
        columns: The width of the terminal; `None` when there is none, so that nothing is cut.
    """

    diff: bool = False
    verbose: int = 0
    colour: bool = False
    columns: int | None = None

    def paint(self, status: str, shown: str = "") -> str:
        """A status, or other text in the colour of that status."""
        code = _CODES.get(COLOURS.get(status, ""))
        shown = shown or status
        return f"\x1b[{code}m{shown}\x1b[0m" if self.colour and code else shown

    def host(self, name: str) -> str:
        """A host's name, cut only where space is short."""
        return name if self.columns is None or self.verbose else cut_middle(name, _NAME_COLUMNS)

    def who(self, hosts: Sequence[str], everyone: Sequence[str]) -> str:
        """Names of hosts: all where they are few and fit, else as short as is still true."""
        names = [self.host(name) for name in hosts]
        if self.verbose or (len(hosts) <= _NAMED and self._fits(names)):
            return ", ".join(names)
        if len(hosts) == len(everyone):
            return f"all {len(everyone)} hosts"
        named = set(hosts)
        if len(everyone) - len(named) <= _NAMED // 2 < len(named):
            missing = [self.host(name) for name in everyone if name not in named]
            if self._fits(missing):
                return f"all {len(everyone)} hosts but {', '.join(missing)}"
        most = 3
        while most > 1 and not self._fits(names[:most]):
            most -= 1
        return some(names, most)

    def fold(self, text: str) -> str:
        """The text, broken at blanks where it is wider than the terminal."""
        return text if self.columns is None else fold(text, self.columns)

    def _fits(self, names: Sequence[str]) -> bool:
        """Whether names leave half of a line to what is said of them."""
        return self.columns is None or columns(", ".join(names)) <= self.columns // 2


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few of many names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def some_of(labels: Sequence[str]) -> str:
    """The first few labels, each cut to a width that leaves room for the line's own."""
    return some([cut(label, _LABEL_COLUMNS) for label in labels])
