"""`--limit` and the selectors of steps: terms → host names, by names and labels alone."""

from __future__ import annotations

import difflib
import re
from fnmatch import fnmatchcase, translate
from heapq import nlargest
from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

from kubexm.errors import UsageError
from kubexm.inventory.term import Label, Listed, Name, Regex, Sign, Slice, terms

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from kubexm.inventory.term import Term

ROLE = "role"
"""The key that stands for the groups of a host, beside a label of that name."""

_SHOWN = 10
_COMPARED = 100
_GLOB = frozenset("*?[")
_NOTHING: Mapping[str, Mapping[str, str]] = MappingProxyType({})


def matching(
    limit: str,
    hosts: Sequence[str],
    groups: Mapping[str, Collection[str]],
    *,
    labels: Mapping[str, Mapping[str, str]] = _NOTHING,
    apart: Sequence[str] = (),
) -> tuple[str, ...]:
    """The host names that a limit leaves, in the order of `hosts`.

    A limit is terms between commas or colons: the name of a host or a group, a glob for either,
    `~regex`, `name[0:2]`, `key=value`, `@file` (docs/commands.md has them all). `!term` takes
    away and `&term` keeps only. As in Ansible their order does not matter: what plain terms
    name (everything when there is none), of that what each `&term` names, of that what no
    `!term` names.

    Args:
        limit: The words.
        hosts: All names, in order.
        groups: The members of each group by its name, in the order of `hosts`.
        labels: Of each host that has any.
        apart: Hosts that only their own name selects; they come last.

    Raises:
        UsageError: A term matches nothing, or nothing is left; the hint shows what exists.
    """
    known = _Known(hosts, groups, labels, apart)
    left = known.left(terms(limit, {*hosts, *groups, *apart}))
    if not left:
        message = f"no host is left of {limit!r}"
        raise UsageError(message, hint=known.listed())
    return tuple(name for name in (*hosts, *apart) if name in left)


class _Known:
    """Everything that a term can name."""

    def __init__(
        self,
        hosts: Sequence[str],
        groups: Mapping[str, Collection[str]],
        labels: Mapping[str, Mapping[str, str]],
        apart: Sequence[str],
    ) -> None:
        self._hosts = hosts
        self._groups = groups
        self._labels = labels
        self._apart = apart
        self._single = {*hosts, *apart}

    def left(self, given: Iterable[Term]) -> set[str]:
        """The hosts that terms leave; none when there are no terms."""
        found: dict[Sign, list[set[str]]] = {sign: [] for sign in Sign}
        for term in given:
            found[term.sign].append(self._named(term))
        if not any(found.values()):
            return set()
        added = found[Sign.ADDED] or [set(self._hosts)]
        return (
            set[str]()
            .union(*added)
            .intersection(*found[Sign.KEPT])
            .difference(*found[Sign.TAKEN_AWAY])
        )

    def listed(self) -> str:
        """What exists, in a line."""
        parts = [f"groups: {shorten(tuple(self._groups))}", f"hosts: {shorten(self._hosts)}"]
        if pairs := self._pairs():
            parts.append(f"labels: {shorten([f'{key}={value}' for key, value in pairs])}")
        return "; ".join(parts)

    def _named(self, term: Term) -> set[str]:
        match term.what:
            case Label(key, value):
                return self._by_label(key, value, term.place)
            case Listed(_, inner):
                return self.left(inner)
            case Regex(pattern):
                text = near = f"~{pattern.pattern}"
                found = self._by_pattern(pattern)
            case Slice(text, of):
                found, near = self._by_position(term.what, term.place), of
            case Name(text):
                found, near = self._by_name(text), text
            case _:
                assert_never(term.what)
        if found is None:
            names = (*self._groups, *self._hosts, *self._apart)
            message = f"{text!r} matches no host and no group"
            raise self._fault(message, term.place, closest(near, names))
        return found

    def _fault(self, message: str, place: str, near: str = "") -> UsageError:
        return UsageError(
            f"{place}: {message}" if place else message,
            hint="; ".join(filter(None, (near, self.listed()))),
        )

    def _by_name(self, text: str) -> set[str] | None:
        """What a name or a glob stands for; None when nothing is called so."""
        if text in self._single or text in self._groups:
            return {text}.intersection(self._single).union(self._groups.get(text, ()))
        if _GLOB.intersection(text):
            return self._by_pattern(re.compile(translate(text)))
        return None

    def _by_pattern(self, pattern: re.Pattern[str]) -> set[str] | None:
        found = {name for name in self._hosts if pattern.match(name)}
        groups = [group for group in self._groups if pattern.match(group)]
        if not found and not groups:
            return None
        return found.union(*(self._groups[group] for group in groups))

    def _by_position(self, wanted: Slice, place: str) -> set[str] | None:
        whole = self._by_name(wanted.of)
        if whole is None:
            # nothing is called so: the brackets are those of a glob, as in web[12]
            return self._by_name(wanted.text)
        found = [name for name in self._hosts if name in whole][wanted.part]
        if not found:
            count = f"{len(whole)} host{'' if len(whole) == 1 else 's'}"
            message = f"{wanted.text!r} is past the end: {wanted.of!r} has {count}"
            raise self._fault(message, place, "positions count from 0")
        return set(found)

    def _by_label(self, key: str, value: str, place: str) -> set[str]:
        values: dict[str, set[str]] = {}
        if key == ROLE:
            values = {group: set(members) for group, members in self._groups.items()}
        for host, own in self._labels.items():
            if key in own:
                values.setdefault(own[key], set()).add(host)
        matched = [members for other, members in values.items() if fnmatchcase(other, value)]
        if matched:
            return set[str]().union(*matched)
        if values:
            message = f"no host has {key}={value}"
            near = closest(value, tuple(values)) or f"{key} is one of: {shorten(tuple(values))}"
        else:
            message = f"no host has a label {key!r}"
            near = closest(key, (ROLE, *dict(self._pairs())))
        raise self._fault(message, place, near)

    def _pairs(self) -> list[tuple[str, str]]:
        """Every label that a host has, each once, sorted."""
        return sorted({pair for own in self._labels.values() for pair in own.items()})


def closest(name: str, known: Sequence[str]) -> str:
    """A suggestion for a name that does not exist; empty when nothing is like it."""
    if len(known) > _COMPARED:
        # difflib takes 60 µs for a name; a slip of the pen leaves the ends as they were
        known = nlargest(_COMPARED, known, key=lambda other: _common(name, other))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


def _common(one: str, other: str) -> int:
    """How many characters two names share at their ends."""
    return _shared(one, other) + _shared(one[::-1], other[::-1])


def _shared(one: str, other: str) -> int:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def shorten(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = f", … ({len(names) - _SHOWN} more)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
