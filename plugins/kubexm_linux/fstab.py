"""Editing /etc/fstab (fstab(5)): pure, every other byte stays."""

from __future__ import annotations

from kubexm_linux.text import bare, lines_of

PATH = "/etc/fstab"
MARK = "# kubexm: "
"""Stands before a line that was taken out, so that it can be brought back."""


def without_swap(text: str) -> str:
    """The text with each line for swap made a comment; doing it twice is doing it once."""
    return "".join(f"{MARK}{line}" if is_swap(line) else line for line in lines_of(text))


def is_swap(line: str) -> bool:
    """Whether a line is an entry for swap: the third field is the type."""
    match [field for field in bare(line).replace("\t", " ").split(" ") if field]:
        case [first, _, "swap", *_]:
            return not first.startswith("#")
        case _:
            return False
