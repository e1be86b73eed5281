from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.errors import HostError
from kubexm.facts import Facts, OperatingSystem
from kubexm.runner.operations import HostEntries, HostEntry
from kubexm.shell import Reply
from kubexm_linux.hosts import HostsFile, entry_line, with_entries
from tests.unit.plugins.texts import texts

ONE = HostEntry(address="10.0.0.1", names=("node1", "node1.example.com"))
TWO = HostEntry(address="10.0.0.2", names=("node2",))
BLOCK = """\
# BEGIN kubexm cluster
10.0.0.1 node1.example.com node1
10.0.0.2 node2
# END kubexm cluster
"""
LOCAL = "127.0.0.1\tlocalhost\n::1 localhost ip6-localhost ip6-loopback\n"


def edited(text: str, *entries: HostEntry) -> str:
    return with_entries(text, "cluster", entries or (ONE, TWO))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        (LOCAL, LOCAL),
        (f"{LOCAL}127.0.1.1 node1\n", LOCAL),
        (f"{LOCAL}127.0.1.1 node1.example.com node1\n", LOCAL),
        ("127.0.1.1\tnode1.local\tnode1\n", "127.0.1.1\tnode1.local\n"),
        ("127.0.1.1 node1 other  # why\n", "127.0.1.1 other  # why\n"),
        ("127.0.1.1 NODE1 Node2 #x\n", ""),
        ("127.0.0.1 node1 localhost\n", "127.0.0.1 localhost\n"),
        ("10.0.0.1 node1\n", ""),
        ("# 10.9.9.9 node1\n", "# 10.9.9.9 node1\n"),
        ("10.9.9.9 other # node1\n", "10.9.9.9 other # node1\n"),
        ("10.9.9.9 node11 xnode1 node1x\n", "10.9.9.9 node11 xnode1 node1x\n"),
        ("node1 10.9.9.9\n", "node1 10.9.9.9\n"),
        (" 10.9.9.9 node2 x\r\n", " 10.9.9.9 x\r\n"),
    ],
)
def test_no_other_line_claims_a_name(before: str, after: str) -> None:
    block = BLOCK.replace("\n", "\r\n") if before.endswith("\r\n") else BLOCK
    assert edited(before) == after + block


def test_block_keeps_its_place_and_no_entries_take_it_away() -> None:
    old = "# BEGIN kubexm cluster\n10.0.0.9 node1\n# END kubexm cluster\n"
    assert edited(f"{LOCAL}{old}10.9.9.9 other\n") == f"{LOCAL}{BLOCK}10.9.9.9 other\n"
    assert with_entries(f"{LOCAL}{old}", "cluster", ()) == LOCAL


def test_name_with_a_domain_comes_first_and_nothing_comes_twice() -> None:
    twice = HostEntry(address="::1", names=("b", "a", "b", "a.x", "b.x"))
    assert entry_line(twice) == "::1 a.x b.x b a"
    assert edited("", TWO, TWO).count("node2") == 1


def test_localhost_stays_where_it_is() -> None:
    local = HostEntry(address="127.0.0.1", names=("localhost", "node1"))
    assert edited(LOCAL, local).startswith(LOCAL)


def test_other_block_with_the_same_entry_is_left_alone() -> None:
    other = "# BEGIN kubexm other\n10.0.0.1 node1 db\n# END kubexm other\n10.9.9.9 node2\n"
    assert edited(other) == other.replace("10.9.9.9 node2\n", BLOCK)


def test_other_block_with_another_address_is_an_error() -> None:
    other = "# BEGIN kubexm other\n10.0.0.9 node1\n# END kubexm other\n"
    with pytest.raises(HostError, match=r"the block other has node1 for 10\.0\.0\.9"):
        edited(other)


LINES = (
    "127.0.1.1 node1", "10.0.0.1\tnode1.example.com node1", "::1 localhost node2",
    "10.9.9.9 x#node1",
    "# BEGIN kubexm cluster", "# END kubexm cluster", BLOCK, "# BEGIN kubexm o", "# END kubexm o",
)  # fmt: skip


@given(texts(*LINES), st.sampled_from([(ONE,), (ONE, TWO), ()]))
def test_twice_is_once(text: str, entries: tuple[HostEntry, ...]) -> None:
    try:
        once = with_entries(text, "cluster", entries)
    except HostError:
        return
    assert with_entries(once, "cluster", entries) == once


@given(texts(*LINES))
def test_names_resolve_as_the_block_says(text: str) -> None:
    try:
        found = edited(text)
    except HostError:
        return
    for entry in (ONE, TWO):
        for name in entry.names:
            assert resolve(found, name) == entry.address


def resolve(text: str, name: str) -> str:
    """The first line that has the name, as glibc reads the file."""
    for line in text.split("\n"):
        words = line.partition("#")[0].split()
        if name in words[1:]:
            return words[0]
    return ""


@pytest.mark.parametrize(
    "entries",
    [
        (ONE, HostEntry(address="10.0.0.3", names=("NODE1",))),
        (TWO, HostEntry(address="10.0.0.3", names=("x", "node2"))),
    ],
)
def test_name_with_two_addresses_is_refused(entries: tuple[HostEntry, ...]) -> None:
    with pytest.raises(ValueError, match="has two addresses"):
        HostEntries(name="cluster", entries=entries)


def test_name_may_have_one_address_of_each_kind() -> None:
    HostEntries(name="cluster", entries=(TWO, HostEntry(address="fd00::2", names=("node2",))))


@pytest.mark.parametrize(
    ("hostname", "fqdn", "alters"),
    [
        ("node1", "node1", True),
        ("node1", "node1.example.com", False),
        ("elsewhere", "elsewhere", False),
        ("node2", "", True),
    ],
)
def test_facts_change_with_the_machine_own_name_only(
    hostname: str,
    fqdn: str,
    alters: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    facts = Facts(os=OperatingSystem(id="debian"), hostname=hostname, fqdn=fqdn, user="root")
    op = HostEntries(name="cluster", entries=(ONE, TWO))
    handler = HostsFile()
    state = handler.read(op, Reply(exit_status=0, stdout=b"absent\n"), facts)
    change = handler.change(op, state, facts)
    assert change is not None
    assert change.alters_facts is alters
    assert change.after.content == BLOCK.encode()
