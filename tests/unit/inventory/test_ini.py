"""Ansible's INI format: what it comes to, and every mistake with its line and column."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.errors import InventoryError
from kubexm.inventory import BecomeMode, Inventory, Origin, load
from kubexm.inventory.ini import _words, is_ini
from kubexm.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path


def of_ini(directory: Path, text: str) -> Inventory:
    path = directory / "hosts"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web1\n", True),
        ("# a\n\n[web]\nweb1\n", True),
        ("web1 ansible_host=192.0.2.1\n", True),
        ("; a comment\nall:\n", True),
        ("192.0.2.1:22\n", True),
        ("all:\n  hosts:\n", False),
        ("# a\n---\nall:\n", False),
        ('{"all": {}}\n', False),
        ('"all": {}\n', False),
        ("all: {hosts: {a: }}\n", False),
        ("", False),
    ],
)
def test_first_line_says_which_format_it_is(text: str, *, expected: bool) -> None:
    assert is_ini(text) is expected


def test_numbers_do_where_text_is_meant(tmp_path: Path) -> None:
    host = of_ini(
        tmp_path, "a ansible_user=1000 ansible_password=0123 ansible_port='22' ansible_become=yes\n"
    ).host("a")
    assert (host.endpoint.user, host.endpoint.port) == ("1000", 22)
    assert (host.endpoint.password, host.become) == (Secret("0123"), BecomeMode.TRUE)


def test_origin_is_the_place_of_the_name(tmp_path: Path) -> None:
    inventory = of_ini(tmp_path, "[web]\n  a x=1 yy='2 3'\n[web:vars]\n  z = 4\n")
    path = str(inventory.path)
    assert inventory.host("a").origins == {
        "x": Origin("host a", 2, 5, path),
        "yy": Origin("host a", 2, 9, path),
        "z": Origin("group web", 4, 3, path),
    }


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "a x='1\n",
            "1:1: a quote on this line is not closed",
            "close the quote; a value with spaces stands in quotes",
        ),
        (
            "a x=1 b\n",
            "1:7: behind a host stand variables as name=value, and this has no '='",
            "put a value with spaces in quotes, and one host on a line",
        ),
        (
            "[web]\na\n[web:vars]\n  x 1\n",
            "4:3: a variable is written name=value, and this has no '='",
            "",
        ),
        (
            "a\n[web servers]\n",
            "2:1: this is no section: a name in brackets has no spaces and one ':' at most",
            "write [group], [group:vars] or [group:children]",
        ),
        (
            "a\n[web:hosts:x]\n",
            "2:1: this is no section: a name in brackets has no spaces and one ':' at most",
            "write [group], [group:vars] or [group:children]",
        ),
        (
            "a\n[web:variables]\n",
            "2:1: [web:variables] is no kind of section",
            "write [group], [group:vars] or [group:children]",
        ),
        (
            "[web]\na\n[db:vars]\nx=1\n",
            "3:2: [db:vars] is for a group that is nowhere in this file",
            "add [db], with or without hosts",
        ),
        (
            "[web]\na\n[all:children]\nweb\ndb\n",
            "5:1: group 'db' is nowhere in this file",
            "add [db], with or without hosts",
        ),
        (
            "a ansible_port=high\n",
            "1:16: ansible_port must be a whole number from 1 to 65535, not 'high'",
            "",
        ),
        ("a kubexm_usr=x\n", "1:3: unknown variable 'kubexm_usr'", "did you mean kubexm_user?"),
        (
            "n[3:1]\n",
            "1:1: the host name 'n[3:1]' has a range that is empty",
            "write a range as [1:10], [01:10], [a:f] or [0:10:2]",
        ),
        (
            "[a:children]\nb\n[b:children]\na\n[c]\nh\n",
            "4:1: group 'a' is in itself: a → b → a",
            "take 'a' out of the children of 'b'",
        ),
    ],
)
def test_mistake_is_told_with_its_place(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(InventoryError) as caught:
        of_ini(tmp_path, text)
    assert (str(caught.value), caught.value.hint) == (f"{tmp_path}/hosts:{message}", hint)


def test_mistake_in_a_password_does_not_show_it(tmp_path: Path) -> None:
    for value in ("'hunter2", "x hunter2", "\"['hunter2']\""):
        with pytest.raises(InventoryError) as caught:
            of_ini(tmp_path, f"a ansible_password={value}\n")
        assert "hunter2" not in f"{caught.value!s} {caught.value!r} {caught.value.hint}"


@given(line=st.text(st.sampled_from("ab='\"\\# \t,é"), max_size=20))
def test_words_are_those_of_a_shell_and_begin_at_their_columns(line: str) -> None:
    try:
        expected = shlex.split(line, comments=True)
    except ValueError:
        with pytest.raises(ValueError, match=r".+"):
            list(_words(line, 1))
        return
    words = list(_words(line, 1))
    assert [word.text for word in words] == expected
    for word in words:
        assert not line[word.column - 1].isspace()
