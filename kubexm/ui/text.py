"""Text by the columns that it takes on a terminal."""

from __future__ import annotations

import re
import unicodedata

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNSAFE = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text without what steers a terminal; colours, tabs and line ends stay."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def columns(text: str) -> int:
    """How many columns a line takes: wide characters two, combining ones and colours none."""
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, most: int) -> str:
    """The text, in at most so many columns; an ellipsis stands for an end that is missing."""
    return text if columns(text) <= most else _first(text, most - 1) + "…"


def cut_middle(text: str, most: int) -> str:
    """As `cut`, but the end stays too, since that is where the names of hosts differ."""
    if columns(text) <= most:
        return text
    last = most // 2
    return f"{_first(text, most - 1 - last)}…{_first(text[::-1], last)[::-1]}"


def left(text: str, width: int) -> str:
    """The text with blanks behind it, up to a width in columns."""
    return text + " " * (width - columns(text))


def right(text: str, width: int) -> str:
    """The text with blanks before it, up to a width in columns."""
    return " " * (width - columns(text)) + text


def fold(text: str, most: int) -> str:
    """The text in lines of at most so many columns, broken at blanks where there are any.

    What follows a break stands as far in as the line did, and four columns more.
    """
    return "\n".join(_folded(line, most) for line in text.split("\n"))


def indent(text: str) -> str:
    """Every line four columns further in, without blank lines at the end."""
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _first(text: str, most: int) -> str:
    used = 0
    for position, char in enumerate(text):
        used += _columns(char)
        if used > most:
            return text[:position]
    return text


def _folded(line: str, most: int) -> str:
    start = " " * (len(line) - len(line.lstrip()))
    done, last = "", start
    for word in line.split():
        if last.strip() and columns(last) + columns(word) > most:
            done += f"{last.rstrip()}\n"
            last = f"{start}    "
        last += f"{word} "
    return done + last.rstrip()
