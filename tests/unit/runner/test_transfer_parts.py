"""Sizes of parts, answers of the host, names that lead elsewhere: a transfer without a host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.errors import TransferError
from kubexm.runner import PutOptions
from kubexm.runner.procedures import Put
from kubexm.runner.transfer.get import plain
from kubexm.runner.transfer.model import FIRST_PART_BYTES, MOST_PART_BYTES, next_part_bytes
from kubexm.runner.transfer.remote import Remote


@given(st.lists(st.floats(0, 1000), max_size=40), st.sampled_from([0, 1, 20, 600]))
def test_a_part_is_a_whole_number_of_mebibytes_within_its_bounds(
    times: list[float], deadline_s: float
) -> None:
    size = FIRST_PART_BYTES
    for took_s in times:
        size = next_part_bytes(size, took_s, deadline_s)
        assert FIRST_PART_BYTES <= size <= MOST_PART_BYTES
        assert size % (1 << 20) == 0


def test_parts_grow_on_a_quick_link_and_shrink_on_a_slow_one() -> None:
    assert next_part_bytes(4 << 20, 0.1, 600) == 32 << 20
    assert next_part_bytes(4 << 20, 5, 600) == next_part_bytes(4 << 20, 5, 0) == 8 << 20
    assert next_part_bytes(8 << 20, 40, 600) == 2 << 20


def test_a_part_is_over_well_before_its_deadline() -> None:
    assert next_part_bytes(6 << 20, 6, 12) == 4 << 20


def test_an_answer_is_read_with_what_stands_behind_it() -> None:
    found = Remote.read("file 640 0 42 5 abc root:my group\n17\n/a place\n")
    assert (found.kind, found.mode, found.size_bytes, found.digest) == ("file", 0o640, 5, "abc")
    assert (found.owners, found.groups) == (("0", "root"), ("42", "my group"))
    assert found.rest == "17\n/a place"
    assert found.shown() == "file 0640 root:my group, 5 bytes, sha256 abc"
    assert Remote.read("absent 0 root\n0\n/x\n").kind == "absent"
    link = Remote.read("link 777 0 0 3 - root:root\na\nb\n")
    assert (link.digest, link.rest) == ("", "a\nb")


@pytest.mark.parametrize("name", ["..", "a/../b", "/etc/passwd", "a//b", "./a/."])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(TransferError, match="leads elsewhere"):
        plain(name)


def test_what_cannot_be_put_is_refused_before_anything_is_sent() -> None:
    for mode in (-1, 0o10000, True):
        with pytest.raises(ValueError, match="not a file mode"):
            PutOptions(mode=mode)
    for path in ("relative", "/", "/a/../b", "/a/"):
        with pytest.raises(ValueError, match=r"not .* path of a file"):
            Put(source="x", path=path)
