"""`--limit` against a naive reference, and what it says about words that match nothing."""

from __future__ import annotations

import re
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.errors import UsageError
from kubexm.inventory.select import matching
from tests.unit.inventory.write import loaded

if TYPE_CHECKING:
    import random
    from pathlib import Path

HOSTS = ("web1", "web2", "db1", "db2", "lone")
GROUPS = {
    "all": HOSTS,
    "ungrouped": ("lone",),
    "web": ("web1", "web2"),
    "db": ("db1", "db2"),
    "first": ("web1", "db1"),
    "empty": (),
}
LABELS = {
    "web1": {"zone": "a", "rack": "1"},
    "web2": {"zone": "b", "role": "front"},
    "db1": {"zone": "a"},
    "db2": {"zone": "eu-west"},
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
        ("all:&web:!web2", "web1"),
        ("~w", "web1 web2"),
        ("~[[w]", "web1 web2"),
        ("~eb", ""),
        ("~.*eb", "web1 web2"),
        ("~(?:web|db)2", "web2 db2"),
        (r"~db\d{1,2},lone", "db1 db2 lone"),
        (r"~d[b(]2:~lo\w+", "db2 lone"),
        ("all:!~w", "db1 db2 lone"),
        ("~fir", "web1 db1"),
        ("all[0]", "web1"),
        ("all[-1]", "lone"),
        ("all[-5]", "web1"),
        ("all[1:2]", "web2 db1"),
        ("all[3:]", "db2 lone"),
        ("all[3:99]", "db2 lone"),
        ("web[0]:db[1]", "web1 db2"),
        ("web*[1:],db[0:0]", "web2 db1"),
        ("all:!all[0:2]", "db2 lone"),
        ("we[a-c]1", "web1"),
        ("db1[0]", "db1"),
        ("zone=a", "web1 db1"),
        ("zone=a:&web", "web1"),
        ("zone=?", "web1 web2 db1"),
        ("zone = eu-*", "db2"),
        ("!zone=*", "lone"),
        ("role=web", "web1 web2"),
        ("role=front", "web2"),
        ("role=*b,rack=1", "web1 web2 db1 db2"),
        ("role=empty,lone", "lone"),
    ],
)
def test_limit_leaves(limit: str, expected: str) -> None:
    found: tuple[str, ...] = ()
    try:
        found = matching(limit, HOSTS, GROUPS, labels=LABELS, apart=("apart",))
    except UsageError:
        assert not expected
    assert " ".join(found) == expected


KNOWN = "groups: all, ungrouped, web, db, first, empty; hosts: web1, web2, db1, db2, lone"
TOO_LARGE = "holds no regular expression: the repetition number is too large"
PAIRS = "labels: rack=1, role=front, zone=a, zone=b, zone=eu-west"


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
        (
            "web,~wbe",
            "'~wbe' matches no host and no group",
            KNOWN,
        ),
        (
            "~we[b",
            "'~we[b' holds no regular expression: unterminated character set at position 2",
            "a term that begins with '~' is one, as Python has them",
        ),
        (
            "web,~",
            "'~' holds no regular expression: it is empty",
            "a term that begins with '~' is one, as Python has them",
        ),
        (
            "~a{99999999999}",
            f"'~a{{99999999999}}' {TOO_LARGE}",
            "a term that begins with '~' is one, as Python has them",
        ),
        (
            "web[2]",
            "'web[2]' is past the end: 'web' has 2 hosts",
            f"positions count from 0; {KNOWN}",
        ),
        (
            "web1[1:]",
            "'web1[1:]' is past the end: 'web1' has 1 host",
            f"positions count from 0; {KNOWN}",
        ),
        (
            "wbe[0:2]",
            "'wbe[0:2]' matches no host and no group",
            f"did you mean 'web'?; {KNOWN}",
        ),
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


@pytest.mark.parametrize(
    ("limit", "message", "near"),
    [
        ("zoen=a", "no host has a label 'zoen'", "did you mean 'zone'?"),
        ("shelf=a", "no host has a label 'shelf'", ""),
        ("zone=c", "no host has zone=c", "zone is one of: a, b, eu-west"),
        ("zone=eu-wst", "no host has zone=eu-wst", "did you mean 'eu-west'?"),
        ("role=frnt", "no host has role=frnt", "did you mean 'front' or 'first'?"),
    ],
)
def test_label_that_no_host_has(limit: str, message: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        matching(limit, HOSTS, GROUPS, labels=LABELS)
    hint = "; ".join(filter(None, (near, KNOWN, PAIRS)))
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_file_holds_a_limit_on_each_line(tmp_path: Path) -> None:
    path = tmp_path / "retry.txt"
    path.write_text("\ufeff# failed yesterday\nweb\n\n  db1, lone  \n!web2\n")
    assert matching(f"@{path}", HOSTS, GROUPS) == ("web1", "db1", "lone")
    assert matching(f"all,!@{path}", HOSTS, GROUPS) == ("web2", "db2")
    assert matching(f"first:&@{path}", HOSTS, GROUPS) == ("web1", "db1")
    path.write_text("control\n")
    assert matching(f"@{path}", HOSTS, GROUPS, apart=("control",)) == ("control",)


def test_file_that_names_nobody_is_not_everybody(tmp_path: Path) -> None:
    path = tmp_path / "none.txt"
    path.write_text("# nobody\n")
    with pytest.raises(UsageError, match="no host is left"):
        matching(f"@{path}", HOSTS, GROUPS)
    assert matching(f"web,!@{path}", HOSTS, GROUPS) == ("web1", "web2")


FILE_OF_HOSTS = "@FILE names a file with hosts or other terms of a limit, on a line each"


UNTERMINATED = "missing ), unterminated subpattern at position 0"


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (None, "'@hosts.txt' cannot be read: No such file or directory", FILE_OF_HOSTS),
        (b"gr\xfcn\n", "'@hosts.txt' cannot be read: it is not UTF-8", FILE_OF_HOSTS),
        (
            b"web1\n\nwbe2\n",
            "hosts.txt:3: 'wbe2' matches no host and no group",
            f"did you mean 'web2'?; {KNOWN}",
        ),
        (
            b"@other.txt\n",
            "hosts.txt:1: a file of hosts cannot name another one: '@other.txt'",
            FILE_OF_HOSTS,
        ),
        (
            b"~(\n",
            "hosts.txt:1: '~(' holds no regular expression: " + UNTERMINATED,
            "a term that begins with '~' is one, as Python has them",
        ),
        (
            b"web,!\n",
            "hosts.txt:1: '!' without a name in 'web,!'",
            "name a host or a group after it",
        ),
    ],
)
def test_mistake_in_a_file_of_hosts_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "hosts.txt").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        matching("@hosts.txt", HOSTS, GROUPS)
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_labels_of_the_inventory_select(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        web:
          hosts:
            a: {kubexm_labels: {zone: west}}
            b:
          vars: {kubexm_labels: {zone: east}}
        """,
    )
    assert [host.name for host in inventory.select("zone=west")] == ["a"]
    assert [host.name for host in inventory.select("role=web:&zone=east")] == ["b"]


def test_name_with_an_equals_sign_stays_whole() -> None:
    assert matching("a=b", ["a=b", "c"], {"all": ["a=b", "c"]}) == ("a=b",)


def test_brackets_after_no_name_are_those_of_a_glob() -> None:
    assert matching("n[12]", ["n1", "n2", "n3"], {}) == ("n1", "n2")


def test_suggestion_is_found_among_thousands() -> None:
    hosts = [f"node{number}.example.com" for number in range(5_000)]
    with pytest.raises(UsageError) as caught:
        matching("nod4321.example.com", hosts, {"all": hosts})
    assert caught.value.hint.startswith("did you mean 'node4321.example.com'")


def test_limit_of_thousands_asks_each_name_once_for_each_glob() -> None:
    class Counted(str):
        __slots__ = ()
        asked = 0

        def __hash__(self) -> int:
            Counted.asked += 1
            return super().__hash__()

    hosts = [Counted(f"node{number}") for number in range(5_000)]
    groups = {f"g{part}": hosts[part::50] for part in range(50)} | {"all": hosts}
    Counted.asked = 0
    assert len(matching("node*:&g1:!node1", hosts, groups)) == 99
    # a few sets of all names, and never a pair of a host and a group
    assert Counted.asked < 20 * len(hosts)


def test_only_ten_names_are_listed() -> None:
    hosts = [f"node{number}" for number in range(25)]
    with pytest.raises(UsageError) as caught:
        matching("zzz", hosts, {"all": hosts})
    assert caught.value.hint.endswith("node8, node9, … (15 more)")


NAMES = st.sampled_from([*HOSTS, *GROUPS, "*", "web*", "*1", "?b*", "d*", "*e*"])
REGEXES = st.sampled_from(["~w", "~.*1", "~(?:web|db)2", r"~\w{2,3}\d", "~[a-d]", "~first|lone"])
PAIRED = st.sampled_from(["zone=a", "zone=*", "zone=eu-*", "rack=1", "role=web", "role=f*"])
SLICED = st.builds(
    lambda name, at: f"{name}{at}",
    st.sampled_from(["all", "web", "db", "first", "*", "web*", "d*"]),
    st.sampled_from(["[0]", "[-1]", "[1]", "[0:0]", "[0:1]", "[1:]", "[0:99]"]),
)
SIGNED = st.tuples(st.sampled_from(["", "", "!", "&"]), st.one_of(NAMES, REGEXES, PAIRED, SLICED))


def named(term: str, host: str) -> bool:
    """Whether a term names a host, by the words of the documentation."""
    names = {host, *(name for name, members in GROUPS.items() if host in members)}
    if term.startswith("~"):
        return any(re.match(term[1:], name) for name in names)
    if "=" in term:
        key, value = term.split("=")
        own = LABELS.get(host, {})
        return (key in own and fnmatchcase(own[key], value)) or (
            key == "role" and any(fnmatchcase(name, value) for name in names - {host})
        )
    if found := re.fullmatch(r"(.*)\[([-0-9]+)(:?)([0-9]*)\]", term):
        whole = [each for each in HOSTS if named(found[1], each)]
        first = range(len(whole))[int(found[2])]
        last = int(found[4] or len(whole)) if found[3] else first
        return host in whole and first <= whole.index(host) <= last
    return any(fnmatchcase(name, term) for name in names)


def reference(terms: list[tuple[str, str]]) -> list[str]:
    """The hosts that a limit leaves, one at a time."""

    def stays(host: str) -> bool:
        plain = [term for sign, term in terms if not sign]
        return (
            (not plain or any(named(term, host) for term in plain))
            and all(named(term, host) for sign, term in terms if sign == "&")
            and not any(named(term, host) for sign, term in terms if sign == "!")
        )

    return [host for host in HOSTS if stays(host)]


def left(terms: list[tuple[str, str]], separator: str = ",") -> list[str]:
    limit = separator.join(sign + term for sign, term in terms)
    try:
        return list(matching(limit, HOSTS, GROUPS, labels=LABELS))
    except UsageError as error:
        assert "no host is left" in str(error)  # noqa: PT017 - nothing else may be said
        return []


@given(
    terms=st.lists(SIGNED, min_size=1, max_size=6),
    separator=st.sampled_from([",", ":", ", ", ",,", ":,"]),
)
def test_limit_is_set_algebra_in_the_order_of_the_inventory(
    terms: list[tuple[str, str]], separator: str
) -> None:
    assert left(terms, separator) == reference(terms)


@given(terms=st.lists(SIGNED, min_size=1, max_size=5), order=st.randoms())
def test_order_of_terms_does_not_matter(terms: list[tuple[str, str]], order: random.Random) -> None:
    shuffled = list(terms)
    order.shuffle(shuffled)
    assert left(terms) == left(shuffled) == left(terms[::-1])


@given(text=st.text(st.sampled_from("web1db,:!&~@=[](){}*?\\-0 "), max_size=20))
def test_any_text_is_a_limit_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert matching(text, HOSTS, GROUPS, labels=LABELS)
