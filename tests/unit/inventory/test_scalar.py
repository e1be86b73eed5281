"""What unquoted words mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from kubexm.inventory.scalar import resolve
from tests.unit.inventory.write import loaded

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("yes", True),
        ("On", True),
        ("TRUE", True),
        ("no", False),
        ("Off", False),
        ("y", "y"),
        ("0", 0),
        ("-17", -17),
        ("+5", 5),
        ("0644", 420),
        ("0o644", "0o644"),
        ("0b101", 5),
        ("0x1F", 31),
        ("-0x10", -16),
        ("089", "089"),
        ("1.5", 1.5),
        ("1.5e+3", 1500.0),
        ("1e3", "1e3"),
        ("1.2.3", "1.2.3"),
        ("22:30", "22:30"),
        ("1_000", "1_000"),
        ("2026-01-31", "2026-01-31"),
        (".", "."),
        ("-", "-"),
        ("-.inf", -math.inf),
        ("9" * 200, "9" * 200),
    ],
)
def test_plain_word_means(text: str, value: object) -> None:
    found = resolve(text)
    assert (type(found), found) == (type(value), value)


def test_not_a_number_is_one() -> None:
    found = resolve(".NaN")
    assert isinstance(found, float)
    assert math.isnan(found)


def test_quotes_and_tags_make_text(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          hosts:
            a: {b: "1", c: 'no', d: !!str 1, e: !unsafe no, f: !!int "7", g: ! 1, h: 1}
        """,
    )
    assert inventory.host("a").variables == {
        "b": "1",
        "c": "no",
        "d": "1",
        "e": "no",
        "f": 7,
        "g": "1",
        "h": 1,
    }
