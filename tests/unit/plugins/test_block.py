from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.errors import HostError
from kubexm.runner.operations import BlockInFile
from kubexm_linux.block import Markers, with_block
from kubexm_linux.text import bare, lines_of
from tests.unit.plugins.texts import texts

B = Markers(name="b")
BEGIN, END = B.begin, B.end
BLOCK = f"{BEGIN}\nx\n{END}\n"
BLOCKS: tuple[list[str], ...] = ([], ["x"], ["", "x", ""], ["# comment", "x\r"])


@pytest.mark.parametrize(
    ("text", "block", "expected"),
    [
        ("", ["x"], BLOCK),
        ("", [], ""),
        ("a\n", [], "a\n"),
        ("a", [], "a"),
        ("a", ["x"], f"a\n{BLOCK}"),
        ("a\r\n", ["x"], f"a\r\n{BEGIN}\r\nx\r\n{END}\r\n"),
        (f"a\n{BEGIN}\nold\nolder\n{END}\nz", ["x"], f"a\n{BLOCK}z"),
        (f"a\n{BEGIN}\nold\n{END}\nz\n", [], "a\nz\n"),
        (f"a\n{BEGIN}  \n{END}", ["x"], f"a\n{BLOCK}"),
        (f"{BLOCK}a\n{BLOCK}b\n", ["x"], f"{BLOCK}a\nb\n"),
        (f"{BLOCK}a\n{BLOCK}b\n", [], "a\nb\n"),
        (f"{BLOCK}a\r\n", ["x"], f"{BLOCK}a\r\n"),
        (f"a\n{BEGIN}\r\nold\r\n{END}\r\n", ["x"], f"a\n{BEGIN}\r\nx\r\n{END}\r\n"),
        (f"{BEGIN} other\n", ["x"], f"{BEGIN} other\n{BLOCK}"),
        (f"  {BEGIN}\n", ["x"], f"  {BEGIN}\n{BLOCK}"),
    ],
)
def test_block_takes_its_place(text: str, block: list[str], expected: str) -> None:
    assert with_block(text, B, block) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"a\n{BEGIN}\nx\n", 2),
        (f"a\n{END}\n", 2),
        (f"{BEGIN}\nx\n{BEGIN}\n{END}\n", 1),
        (f"{BLOCK}{END}", 4),
        (f"{END}\n{BEGIN}\n", 1),
    ],
)
def test_damaged_markers_are_an_error_that_tells_the_line(text: str, line: int) -> None:
    for block in ([], ["x"]):
        with pytest.raises(HostError, match=rf"^/etc/f, line {line}: ") as caught:
            with_block(text, B, block, "/etc/f")
        assert caught.value.hint


@given(texts(BEGIN, END, BLOCK, "x"), st.sampled_from(BLOCKS))
def test_twice_is_once(text: str, block: list[str]) -> None:
    try:
        once = with_block(text, B, block)
    except HostError:
        return
    assert with_block(once, B, block) == once
    assert len(B.find(lines_of(once), "")) == bool(block)


@given(texts("x", BLOCK, f"{BEGIN} other"), st.sampled_from(BLOCKS), st.sampled_from(BLOCKS))
def test_lines_outside_stay_and_the_last_block_wins(
    text: str, first: list[str], second: list[str]
) -> None:
    assert outside(with_block(text, B, first)) == outside(text)
    both = with_block(with_block(text, B, first), B, second)
    if first:
        assert both == with_block(both, B, second)
        assert outside(both) == outside(text)


def outside(text: str) -> list[str]:
    lines = lines_of(text)
    inside = {number for place in B.find(lines, "") for number in place}
    return [bare(line) for number, line in enumerate(lines) if number not in inside]


@pytest.mark.parametrize(
    ("name", "block", "comment"),
    [
        ("", "x", "#"),
        ("a\nb", "x", "#"),
        (" a", "x", "#"),
        ("a ", "x", "#"),
        ("a", "x\n# END kubexm a\n", "#"),
        ("a", "# BEGIN kubexm b", "#"),
        ("a", "x", ""),
        ("a", "x", "#\n"),
    ],
)
def test_block_that_could_not_be_found_again_is_refused(
    name: str, block: str, comment: str
) -> None:
    with pytest.raises(ValueError, match=r"block|comment"):
        BlockInFile(path="/etc/x", name=name, block=block, comment=comment)
