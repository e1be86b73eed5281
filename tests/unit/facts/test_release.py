"""os-release(5) and its quoting."""

from __future__ import annotations

import pytest

from kubexm.facts.model import OperatingSystem
from kubexm.facts.release import parse_os_release


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("PRETTY_NAME=Plain", "Plain"),
        ('PRETTY_NAME="two words"', "two words"),
        ("PRETTY_NAME='two words'", "two words"),
        (r'PRETTY_NAME="a \"b\" \$c \`d\` \\e"', 'a "b" $c `d` \\e'),
        (r"PRETTY_NAME='as \$it is'", r"as \$it is"),
        (r"PRETTY_NAME=a\$b", "a$b"),
        ('PRETTY_NAME="" ', ""),
        ('  PRETTY_NAME="indented"', "indented"),
        ('PRETTY_NAME="grüßt 日本"', "grüßt 日本"),
        ('PRETTY_NAME="a=b # c"', "a=b # c"),
        ("# PRETTY_NAME=comment", ""),
        ("PRETTY NAME=x", ""),
        ("", ""),
    ],
)
def test_value_is_unquoted_as_the_shell_would(line: str, expected: str) -> None:
    assert parse_os_release([line]).pretty_name == expected


def test_later_assignment_counts() -> None:
    assert parse_os_release(["ID=one", "ID=two"]).id == "two"


@pytest.mark.parametrize(
    ("lines", "codename"),
    [
        (["VERSION_CODENAME=bookworm", 'VERSION="12 (other)"'], "bookworm"),
        (['VERSION="9.4 (Blue Onyx)"'], "Blue Onyx"),
        (['VERSION="15.6"'], ""),
    ],
)
def test_codename_is_its_own_key_or_in_the_parentheses_of_the_version(
    lines: list[str], codename: str
) -> None:
    assert parse_os_release(lines).codename == codename


def test_no_file_gives_no_operating_system() -> None:
    assert parse_os_release([]) == OperatingSystem()
