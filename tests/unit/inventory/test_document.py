"""The parser in C and the parser in Python make the same nodes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubexm.inventory.document import parse
from kubexm.inventory.problem import Problems
from kubexm.inventory.safe import Safe
from tests.unit.inventory.test_ansible import GOOD
from tests.unit.inventory.test_precedence import PIECES

pytest.importorskip("ruamel.yaml.cyaml", reason="ruamel.yaml.clib is not installed")


def nodes(text: str, *, fast: bool) -> str:
    """The nodes, but for where nothing stands: of that the two have different ideas.

    Empty when the text is no YAML.
    """
    problems = Problems()
    found = parse(text, problems.of("x"), Safe().of("x", Path()), fast=fast)
    shown = re.sub(r"(value=None, text='', line)=\d+, column=\d+", r"\1", repr(found))
    return "" if problems else shown


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(PIECES, max_size=30), start=st.sampled_from(["", "all:\n  hosts:\n    "]))
def test_texts_have_the_same_nodes_for_both(pieces: list[str], start: str) -> None:
    text = start + "".join(pieces)
    slow = nodes(text, fast=False)
    # a tab at the end of a line and the like are only refused by one of them
    if slow:
        assert nodes(text, fast=True) == slow


@pytest.mark.parametrize(
    "path",
    sorted(path for end in ("*.yml", "*.yaml", "*.json") for path in GOOD.rglob(end)),
    ids=lambda path: str(path.relative_to(GOOD)),
)
def test_files_have_the_same_nodes_for_both(path: Path) -> None:
    assert nodes(path.read_text(), fast=True) == nodes(path.read_text(), fast=False)
