"""`--limit` against a naive reference, and what it says about words that match nothing."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.errors import UsageError
from kubexm.inventory.select import matching

HOSTS = ("web1", "web2", "db1", "db2", "lone")
GROUPS = {
    "all": HOSTS,
    "ungrouped": ("lone",),
    "web": ("web1", "web2"),
    "db": ("db1", "db2"),
    "first": ("web1", "db1"),
    "empty": (),
}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("all", "web1 web2 db1 db2 lone"),
        ("*", "web1 web2 db1 db2 lone"),
        ("db1,web1", "web1 db1"),
        ("web", "web1 web2"),
        ("web:db1", "web1 web2 db1"),
        ("web*", "web1 web2"),
        ("?b1", "db1"),
        ("w*b", "web1 web2"),
        ("[wd]*1", "web1 db1"),
        ("web:&first", "web1"),
        ("&first", "web1 db1"),
        ("&first:&db", "db1"),
        ("!web", "db1 db2 lone"),
        ("!web,first", "db1"),
        ("!*1,first,lone,db", "db2 lone"),
        (" web , db2 ", "web1 web2 db2"),
        ("db,", "db1 db2"),
        ("ungrouped,empty", "lone"),
        ("apart", "apart"),
        ("apart:web1", "web1 apart"),
        ("all:apart:!web", "db1 db2 lone apart"),
    ],
)
def test_limit_leaves(limit: str, expected: str) -> None:
    assert " ".join(matching(limit, HOSTS, GROUPS, apart=("apart",))) == expected


KNOWN = "groups: all, ungrouped, web, db, first, empty; hosts: web1, web2, db1, db2, lone"


@pytest.mark.parametrize(
    ("limit", "message", "hint"),
    [
        (
            "wbe1",
            "'wbe1' matches no host and no group",
            f"did you mean 'web1'?; {KNOWN}",
        ),
        ("web,!zzz", "'zzz' matches no host and no group", KNOWN),
        ("web:&zzz*", "'zzz*' matches no host and no group", KNOWN),
        ("apar*", "'apar*' matches no host and no group", f"did you mean 'apart'?; {KNOWN}"),
        ("web,!web*", "no host is left of 'web,!web*'", KNOWN),
        ("empty", "no host is left of 'empty'", KNOWN),
        ("web:&db", "no host is left of 'web:&db'", KNOWN),
        ("web,!", "'!' without a name in 'web,!'", "name a host or a group after it"),
        (
            "",
            "a limit that names no host",
            "leave it out for all hosts, or name hosts or groups",
        ),
        (
            " ,:",
            "a limit that names no host",
            "leave it out for all hosts, or name hosts or groups",
        ),
    ],
)
def test_limit_that_cannot_be_meant(limit: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        matching(limit, HOSTS, GROUPS, apart=("apart",))
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_only_ten_names_are_listed() -> None:
    hosts = [f"node{number}" for number in range(25)]
    with pytest.raises(UsageError) as caught:
        matching("zzz", hosts, {"all": hosts})
    assert caught.value.hint.endswith("node8, node9, … (15 more)")


TERMS = st.sampled_from([*HOSTS, *GROUPS, "*", "web*", "*1", "?b*", "d*", "*e*"])
SIGNED = st.tuples(st.sampled_from(["", "", "!", "&"]), TERMS)


def reference(terms: list[tuple[str, str]]) -> set[str]:
    """One host at a time, by the words of the documentation."""

    def named(term: str, host: str) -> bool:
        groups = {name for name, members in GROUPS.items() if host in members}
        return any(fnmatchcase(name, term) for name in {host, *groups})

    def stays(host: str) -> bool:
        plain = [term for sign, term in terms if not sign]
        return (
            (not plain or any(named(term, host) for term in plain))
            and all(named(term, host) for sign, term in terms if sign == "&")
            and not any(named(term, host) for sign, term in terms if sign == "!")
        )

    return {host for host in HOSTS if stays(host)}


@given(
    terms=st.lists(SIGNED, min_size=1, max_size=6),
    separator=st.sampled_from([",", ":", ", ", ",,", ":,"]),
)
def test_limit_is_set_algebra_in_the_order_of_the_inventory(
    terms: list[tuple[str, str]], separator: str
) -> None:
    limit = separator.join(sign + term for sign, term in terms)
    expected = reference(terms)
    if expected:
        found = matching(limit, HOSTS, GROUPS)
        assert list(found) == [host for host in HOSTS if host in expected]
    else:
        with pytest.raises(UsageError, match="no host is left"):
            matching(limit, HOSTS, GROUPS)


@given(terms=st.lists(SIGNED, min_size=1, max_size=5), order=st.randoms())
def test_order_of_terms_does_not_matter(terms: list[tuple[str, str]], order: object) -> None:
    shuffled = sorted(terms, key=lambda term: (hash(term), id(order)))

    def left(each: list[tuple[str, str]]) -> tuple[str, ...]:
        try:
            return matching(",".join(sign + term for sign, term in each), HOSTS, GROUPS)
        except UsageError:
            return ()

    assert left(terms) == left(shuffled) == left(terms[::-1])
