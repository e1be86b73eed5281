"""`--limit` and the selectors of steps: words → host names. Pure, on names alone."""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kubexm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

_SHOWN = 10
_GLOB = frozenset("*?[")


def matching(
    limit: str,
    hosts: Sequence[str],
    groups: Mapping[str, Collection[str]],
    *,
    apart: Sequence[str] = (),
) -> tuple[str, ...]:
    """The host names that a limit leaves, in the order of `hosts`.

    A limit is terms between commas or colons. A term is the name of a host or a group, or a
    glob for either; `!term` takes away and `&term` keeps only. As in Ansible their order does
    not matter: what plain terms name (everything when there is none), of that what each
    `&term` names, of that what no `!term` names.

    Args:
        limit: The words.
        hosts: All names, in order.
        groups: The members of each group by its name.
        apart: Hosts that only their own name selects; they come last.

    Raises:
        UsageError: A term matches nothing, or nothing is left.
    """
    wanted: set[str] = set()
    unwanted: set[str] = set()
    kept: list[set[str]] = []
    plain = 0
    for sign, term in _terms(limit, {*hosts, *apart}):
        found = _named(term, hosts, groups, apart)
        match sign:
            case "!":
                unwanted |= found
            case "&":
                kept.append(found)
            case _:
                plain += 1
                wanted |= found
    if not plain:
        wanted = set(hosts)
    left = wanted.intersection(*kept) - unwanted
    if not left:
        message = f"no host is left of {limit!r}"
        raise UsageError(message, hint=_known(hosts, groups))
    return tuple(name for name in (*hosts, *apart) if name in left)


def _terms(limit: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Sign and name of each term. A name with colons (an IPv6 address) stays whole."""
    count = 0
    for part in limit.split(","):
        whole = part.strip()
        pieces = [whole] if whole.lstrip("!&") in names else whole.split(":")
        for piece in pieces:
            term = piece.strip()
            sign = term[:1] if term[:1] in {"!", "&"} else ""
            name = term[len(sign) :].strip()
            if name:
                yield sign, name
                count += 1
            elif sign:
                message = f"{sign!r} without a name in {limit!r}"
                raise UsageError(message, hint="name a host or a group after it")
    if not count:
        message = "a limit that names no host"
        raise UsageError(message, hint="leave it out for all hosts, or name hosts or groups")


def _named(
    term: str, hosts: Sequence[str], groups: Mapping[str, Collection[str]], apart: Sequence[str]
) -> set[str]:
    found = {term} & {*hosts, *apart}
    known = bool(found) or term in groups
    found.update(groups.get(term, ()))
    if not known and _GLOB.intersection(term):
        found.update(name for name in hosts if fnmatchcase(name, term))
        known = bool(found)
        for group, members in groups.items():
            if fnmatchcase(group, term):
                known = True
                found.update(members)
    if not known:
        message = f"{term!r} matches no host and no group"
        near = closest(term, (*groups, *hosts, *apart))
        raise UsageError(message, hint="; ".join(filter(None, (near, _known(hosts, groups)))))
    return found


def closest(name: str, known: Sequence[str]) -> str:
    """A suggestion for a name that does not exist; empty when nothing is like it."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


def _known(hosts: Sequence[str], groups: Mapping[str, Collection[str]]) -> str:
    return f"groups: {shorten(tuple(groups))}; hosts: {shorten(hosts)}"


def shorten(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = f", … ({len(names) - _SHOWN} more)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
