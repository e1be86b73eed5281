"""The words of a `--limit` → terms. A file that `@file` names is read here; all else is pure."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from kubexm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_SLICE = re.compile(
    r"(?P<of>.+)\[(?:(?P<only>-?[0-9]{1,9})|(?P<first>[0-9]{1,9}):(?P<last>[0-9]{,9}))\]"
)
_CLOSING = {"[": "]", "(": ")", "{": "}"}


class Sign(StrEnum):
    """What a term does with the hosts that it names."""

    ADDED = ""
    KEPT = "&"
    TAKEN_AWAY = "!"


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a host or a group, or a glob for either."""

    text: str


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of what a name stands for, by position: `of[0:2]`.

    Args:
        text: The whole term, which is a glob when nothing is called `of`.
        of: A name or a glob.
        first: Counted from 0; from the end when it is negative.
        last: It counts too, as with Ansible; None for the end.
    """

    text: str
    of: str
    first: int
    last: int | None

    @property
    def part(self) -> slice:
        """What to take of a sequence."""
        if self.first < 0:
            return slice(self.first, self.first + 1 or None)
        return slice(self.first, None if self.last is None else self.last + 1)


@dataclass(frozen=True, slots=True)
class Regex:
    """`~pattern`: names of hosts and groups whose beginning it matches."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Label:
    """`key=value`: hosts with that label, whose value may be a glob; `role` is also a group."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Listed:
    """`@path`: what a limit of its own leaves, read from a file."""

    path: str
    terms: tuple[Term, ...]


What: TypeAlias = Name | Slice | Regex | Label | Listed


class Term(NamedTuple):
    """One word of a limit; `place` is empty, or the file and line that it was read from."""

    sign: Sign
    what: What
    place: str = ""


def terms(limit: str, names: Collection[str]) -> tuple[Term, ...]:
    """The terms of a limit, in its order.

    Args:
        limit: Terms between commas or colons.
        names: Of hosts and groups. One that holds a colon (an IPv6 address) or `=` stays whole.

    Raises:
        UsageError: It has none, or one that cannot be understood.
    """
    found = tuple(_terms(limit, names))
    if not found:
        message = "a limit that names no host"
        raise UsageError(message, hint="leave it out for all hosts, or name hosts or groups")
    return found


def _terms(limit: str, names: Collection[str], place: str = "") -> Iterator[Term]:
    for part in _split(limit):
        whole = ":".join(part).strip()
        for piece in [whole] if whole.lstrip("!&") in names else map(str.strip, part):
            sign = Sign(piece[0]) if piece[:1] in {Sign.TAKEN_AWAY, Sign.KEPT} else Sign.ADDED
            word = piece[len(sign) :].strip()
            if word:
                yield Term(sign, _what(word, names, place), place)
            elif sign:
                message = f"{_before(place)}{sign.value!r} without a name in {limit!r}"
                raise UsageError(message, hint="name a host or a group after it")


def _split(text: str) -> list[list[str]]:
    """What is between commas, each in what is between colons; in brackets they separate nothing.

    Square brackets count everywhere (`web[0:2]`), the others in regular expressions.
    """
    parts = [[""]]
    open_until: list[str] = []
    for character in text:
        piece = parts[-1][-1]
        is_regex = piece.lstrip(" !&").startswith("~")
        is_escaped = is_regex and (len(piece) - len(piece.rstrip("\\"))) % 2
        if character == "," and not open_until:
            parts.append([""])
        elif character == ":" and not open_until:
            parts[-1].append("")
        else:
            parts[-1][-1] += character
            if open_until and character == open_until[-1] and not is_escaped:
                open_until.pop()
            elif (
                character in (_CLOSING if is_regex else "[")
                and open_until[-1:] != ["]"]
                and not is_escaped
            ):
                open_until.append(_CLOSING[character])
    return parts


def _what(word: str, names: Collection[str], place: str) -> What:
    if word in names:
        return Name(word)
    match word[0]:
        case "@":
            return _listed(word, names, place)
        case "~":
            return _regex(word, place)
        case _:
            return _label(word) or _slice(word) or Name(word)


def _label(word: str) -> Label | None:
    key, equals, value = word.partition("=")
    return Label(key.strip(), value.strip()) if equals else None


def _slice(word: str) -> Slice | None:
    found = _SLICE.fullmatch(word)
    if found is None:
        return None
    if found["only"]:
        only = int(found["only"])
        return Slice(word, found["of"], only, only)
    last = int(found["last"]) if found["last"] else None
    return Slice(word, found["of"], int(found["first"]), last)


def _regex(word: str, place: str) -> Regex:
    """One that is empty would be every host, which nobody means: a variable was not set."""
    reason = "it is empty"
    try:
        with warnings.catch_warnings():
            # what a later Python may read otherwise, such as [[a]
            warnings.simplefilter("ignore", FutureWarning)
            pattern = re.compile(word[1:])
    except (re.error, OverflowError) as error:
        reason = str(error)
    else:
        if pattern.pattern:
            return Regex(pattern)
    message = f"{_before(place)}{word!r} holds no regular expression: {reason}"
    raise UsageError(message, hint="a term that begins with '~' is one, as Python has them")


def _listed(word: str, names: Collection[str], place: str) -> Listed:
    """A file with a limit on each line; blank lines and lines that begin with '#' say nothing."""
    hint = "@FILE names a file with hosts or other terms of a limit, on a line each"
    if place:
        message = f"{place}: a file of hosts cannot name another one: {word!r}"
        raise UsageError(message, hint=hint)
    path = word[1:].strip()
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        message = f"{word!r} cannot be read: {error.strerror}"
        raise UsageError(message, hint=hint) from None
    except (UnicodeDecodeError, RuntimeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        message = f"{word!r} cannot be read: {reason}"
        raise UsageError(message, hint=hint) from None
    found: list[Term] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            found += _terms(line, names, f"{path}:{number}")
    return Listed(path, tuple(found))


def _before(place: str) -> str:
    return f"{place}: " if place else ""
