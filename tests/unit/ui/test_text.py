"""Text by columns, and tables of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.ui import table
from kubexm.ui.screen import elapsed
from kubexm.ui.text import columns, cut, cut_middle, fold, printable

TEXTS = st.text(st.sampled_from("ab -узл主机é\u0301…"), max_size=40)


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("узел", 4), ("主机", 4), ("e\u0301", 1), ("\x1b[31mred\x1b[0m", 3), ("", 0)],
)
def test_a_texts_columns_are_those_of_a_terminal(text: str, width: int) -> None:
    assert columns(text) == width


@given(TEXTS, st.integers(1, 50))
def test_what_is_cut_fits_and_what_fits_is_not_cut(text: str, most: int) -> None:
    for way in (cut, cut_middle):
        assert columns(way(text, most)) <= most
        assert (way(text, most) == text) is (columns(text) <= most)


def test_the_middle_goes_first_where_names_differ_at_their_ends() -> None:
    assert cut_middle("node-a-0001", 7) == "nod…001"
    assert cut("node-a-0001", 7) == "node-a…"


@given(TEXTS, st.integers(10, 50))
def test_folding_moves_blanks_and_loses_nothing(text: str, most: int) -> None:
    folded = fold(text, most)
    assert folded.split() == text.split()
    longest = max((columns(word) for word in text.split()), default=0)
    indent = len(text) - len(text.lstrip())
    for line in folded.split("\n"):
        assert columns(line) <= max(most, indent + 4 + longest)


def test_what_steers_a_terminal_is_not_printable_and_colours_are() -> None:
    assert printable("a\tb\n\x1b[31mc\x1b[0m\r\n") == "a\tb\n\x1b[31mc\x1b[0m\n"
    assert printable("\x1b]0;title\x07\r\x9b2J\x7f") == "�]0;title���2J�"


def test_a_table_is_aligned_by_columns_and_cut_for_a_terminal() -> None:
    rows = [("主机-with-a-long-name", "1"), ("b", "10")]
    assert table(("host", "n"), rows, right=frozenset({1})).splitlines() == [
        "host                    n",
        "主机-with-a-long-name   1",
        "b                      10",
    ]
    cut_table = table(("host", "n"), rows, right=frozenset({1}), most=14)
    assert cut_table.splitlines() == ["host         n", "主机…-name   1", "b           10"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (59.9, "59 s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (360_000, "100h00m"),
    ],
)
def test_times_are_short(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text
