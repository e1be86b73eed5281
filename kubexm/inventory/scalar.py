"""What an unquoted word of YAML means.

As Ansible reads it (YAML 1.1: `yes` and `no` are booleans, 0644 is octal), but for the traps of
that version: `22:30`, `1_000` and dates stay text.
"""

from __future__ import annotations

import re

_WORDS: dict[str, bool | float | None] = {
    form: value
    for word, value in {
        "": None,
        "~": None,
        "null": None,
        "true": True,
        "yes": True,
        "on": True,
        "false": False,
        "no": False,
        "off": False,
        ".inf": float("inf"),
        "+.inf": float("inf"),
        "-.inf": float("-inf"),
        ".nan": float("nan"),
    }.items()
    for form in (word, word.capitalize(), word.upper())
}
_WORDS |= {
    ".Inf": float("inf"),
    "+.Inf": float("inf"),
    "-.Inf": float("-inf"),
    ".NaN": float("nan"),
}
_NUMBER_STARTS = frozenset("0123456789+-.")
_LONGEST_NUMBER = 100
_INTEGERS = (
    (10, re.compile(r"([-+]?)(0|[1-9][0-9]*)")),
    (2, re.compile(r"([-+]?)0b([01]+)")),
    (8, re.compile(r"([-+]?)0([0-7]+)")),
    (16, re.compile(r"([-+]?)0x([0-9a-fA-F]+)")),
)
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?")


def resolve(text: str) -> str | bool | int | float | None:
    """The value of a plain scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS or len(text) > _LONGEST_NUMBER:
        return text
    for base, form in _INTEGERS:
        if found := form.fullmatch(text):
            return int(found[1] + found[2], base)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
