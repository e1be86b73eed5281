from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.runner.operations import LineInFile
from kubexm_linux.line import with_line
from kubexm_linux.text import bare, lines_of
from tests.unit.plugins.texts import texts

LINES = ("a = 1", "a = 2", "", "# a", "b")
PATTERNS = ("", r"^a\s*=", "a|^$|b", "", "(?i)A|#|B|^$")
settling = st.tuples(st.sampled_from(LINES), st.sampled_from(PATTERNS)).filter(
    lambda both: re.search(both[1], both[0]) is not None
)


@pytest.mark.parametrize(
    ("text", "line", "pattern", "expected"),
    [
        ("", "x", "", "x\n"),
        ("a\n", "x", "", "a\nx\n"),
        ("a", "x", "", "a\nx\n"),
        ("a\r\nb", "x", "", "a\r\nb\r\nx\r\n"),
        ("a\nx", "x", "", "a\nx"),
        ("x\r\na\r\n", "x", "", "x\r\na\r\n"),
        ("x\na\nx\n", "x", "", "x\na\nx\n"),
        ("b\na 1\nc\na 2", "a 3", "^a", "b\na 3\nc\n"),
        ("b\na 1", "a 3", "^a", "b\na 3"),
        ("b\na 1", "", "^a|^$", "b\n\n"),
        ("a 1\r\nb\r\n", "a 3", "^a", "a 3\r\nb\r\n"),
        ("b\n", "a", "^a$", "b\na\n"),
        ("a\x0cb\n", "b", "", "a\x0cb\nb\n"),
        ("  x\n", "x", "", "  x\nx\n"),
    ],
)
def test_line_takes_its_place(text: str, line: str, pattern: str, expected: str) -> None:
    assert with_line(text, line, pattern) == expected


@given(texts(*LINES), settling)
def test_twice_is_once(text: str, both: tuple[str, str]) -> None:
    line, pattern = both
    once = with_line(text, line, pattern)
    assert with_line(once, line, pattern) == once
    assert line in [bare(each) for each in lines_of(once)]


@given(texts(*LINES), settling)
def test_other_lines_stay_as_they_are(text: str, both: tuple[str, str]) -> None:
    line, pattern = both

    def others(lines: list[str]) -> list[str]:
        wanted = re.compile(pattern) if pattern else re.compile(f"^{re.escape(line)}$")
        return [bare(each) for each in lines if not wanted.search(bare(each))]

    assert others(lines_of(with_line(text, line, pattern))) == others(lines_of(text))


@given(texts())
def test_lines_make_up_the_text(text: str) -> None:
    lines = lines_of(text)
    assert "".join(lines) == text
    assert all(line.endswith("\n") for line in lines[:-1])
    assert "" not in lines


@pytest.mark.parametrize(
    ("line", "pattern"),
    [("a\nb", ""), ("a\r", ""), ("a = 1", "^b"), ("a", "("), ("a", "^b$|^c$")],
)
def test_line_that_would_never_settle_is_refused(line: str, pattern: str) -> None:
    with pytest.raises(ValueError, match=r"line|pattern|expression"):
        LineInFile(path="/etc/x", line=line, pattern=pattern)
