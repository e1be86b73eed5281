"""Unified diffs of files and of states."""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import Any

_NO_NEWLINE = "\\ No newline at end of file"


def text_diff(name: str, before: str | None, after: str | None) -> str:
    """A unified diff of two texts; `None` stands for a file that is not there.

    Args:
        name: What both sides are called in the header.
        before: The text now.
        after: The text afterwards.
    """
    if before == after:
        return ""
    old = "/dev/null" if before is None else name
    new = "/dev/null" if after is None else name
    lines = difflib.unified_diff(
        _lines(before or ""), _lines(after or ""), fromfile=old, tofile=new, n=3
    )
    return "".join(f"{line.removesuffix(chr(10))}\n" for line in lines)


def _lines(text: str) -> list[str]:
    # not splitlines: a form feed or a lone carriage return ends no line of a file
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += f"\n{_NO_NEWLINE}\n"
    return lines


def fields_diff(name: str, before: Any, after: Any) -> str:  # noqa: ANN401 - any dataclass
    """A unified diff of two values of one frozen dataclass, one line a field that differs."""
    old, new = ["--- " + name], ["+++ " + name]
    lines: list[str] = []
    for field in dataclasses.fields(before):
        was, will = getattr(before, field.name), getattr(after, field.name)
        if was != will:
            lines += [f"-{field.name}: {_shown(was)}", f"+{field.name}: {_shown(will)}"]
    return "".join(f"{line}\n" for line in (*old, *new, *lines)) if lines else ""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset | set):
        return ", ".join(sorted(map(str, value)))
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
