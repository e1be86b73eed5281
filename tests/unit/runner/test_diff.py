from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from kubexm.runner import fields_diff, text_diff

_TEXTS = st.text("ab\n", max_size=12)


@dataclass(frozen=True)
class Unit:
    """A state with a field of each kind."""

    name: str = "chrony"
    enabled: bool = False
    aliases: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()
    owner: str | None = None


def test_equal_texts_have_no_diff() -> None:
    assert text_diff("/etc/f", "a\n", "a\n") == ""
    assert text_diff("/etc/f", None, None) == ""


def test_a_changed_line_is_shown_with_its_surroundings() -> None:
    before, after = "1\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive\n"
    assert text_diff("/etc/f", before, after) == (
        "--- /etc/f\n+++ /etc/f\n@@ -2,4 +2,4 @@\n 2\n 3\n 4\n-5\n+five\n"
    )


def test_a_file_that_is_not_there_is_dev_null() -> None:
    assert text_diff("/etc/f", None, "a\n") == "--- /dev/null\n+++ /etc/f\n@@ -0,0 +1 @@\n+a\n"
    assert text_diff("/etc/f", "a\n", None) == "--- /etc/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"


def test_a_missing_final_newline_is_told() -> None:
    assert text_diff("/etc/f", "a", "a\n") == (
        "--- /etc/f\n+++ /etc/f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"
    )


@given(_TEXTS, _TEXTS)
def test_a_diff_is_empty_exactly_when_nothing_differs(before: str, after: str) -> None:
    assert (text_diff("f", before, after) == "") is (before == after)


@given(_TEXTS, _TEXTS)
def test_every_line_of_a_diff_ends(before: str, after: str) -> None:
    diff = text_diff("f", before, after)
    assert diff == "" or diff.endswith("\n")
    assert all(line[0] in "-+ @\\" for line in diff.splitlines())


def test_equal_states_have_no_diff() -> None:
    assert fields_diff("unit chrony", Unit(), Unit()) == ""


def test_only_fields_that_differ_are_shown_and_in_words() -> None:
    after = Unit(enabled=True, aliases=frozenset({"b", "a"}), options=("x", "y"), owner="root")
    assert fields_diff("unit chrony", Unit(), after).splitlines() == [
        "--- unit chrony",
        "+++ unit chrony",
        "-enabled: no",
        "+enabled: yes",
        "-aliases: ",
        "+aliases: a, b",
        "-options: ",
        "+options: x, y",
        "-owner: none",
        "+owner: root",
    ]
