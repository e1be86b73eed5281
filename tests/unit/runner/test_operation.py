from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.runner import EVERYTHING, Operation, Scope, overlaps, scope
from kubexm.secret import Secret

_NAMES = st.text("ab/:", max_size=4)
_SCOPES = st.frozensets(st.builds(lambda name, end: name + end, _NAMES, st.sampled_from(("", "*"))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain(Operation):
    name: str = "n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden(Operation):
    name: str = "n"
    password: Secret


def stands_for(one: str, name: str) -> bool:
    return name.startswith(one[:-1]) if one.endswith("*") else one == name


def test_a_name_overlaps_itself_and_no_other() -> None:
    assert overlaps(scope("file", ["/a"]), scope("file", ["/a", "/b"]))
    assert not overlaps(scope("file", ["/a"]), scope("file", ["/ab"]))
    assert not overlaps(scope("file", ["/a"]), scope("package", ["/a"]))


def test_a_star_stands_for_everything_that_starts_so() -> None:
    assert overlaps(frozenset({"unit:*"}), scope("unit", ["kubelet.service"]))
    assert overlaps(frozenset({"file:/etc/*"}), frozenset({"file:/etc/apt/*"}))
    assert not overlaps(frozenset({"file:/etc/*"}), frozenset({"file:/var/*"}))
    assert overlaps(frozenset({"file:/etc/*"}), frozenset({"file:/etc/"}))


def test_a_star_in_the_middle_is_a_character() -> None:
    assert not overlaps(frozenset({"file:/a*b"}), frozenset({"file:/axb"}))


@given(_SCOPES, _SCOPES)
def test_overlap_has_no_direction(one: Scope, other: Scope) -> None:
    assert overlaps(one, other) is overlaps(other, one)


@given(_SCOPES, _SCOPES, _NAMES)
def test_scopes_that_stand_for_one_name_overlap(one: Scope, other: Scope, name: str) -> None:
    if any(stands_for(a, name) for a in one) and any(stands_for(b, name) for b in other):
        assert overlaps(one, other)


@given(_SCOPES, _SCOPES)
def test_scopes_that_overlap_stand_for_a_common_name(one: Scope, other: Scope) -> None:
    if overlaps(one, other):
        candidates = {name.removesuffix("*") for name in one | other}
        assert any(
            any(stands_for(a, name) for a in one) and any(stands_for(b, name) for b in other)
            for name in candidates
        )


@given(_SCOPES, _SCOPES, _SCOPES)
def test_a_larger_scope_overlaps_at_least_as_much(one: Scope, more: Scope, other: Scope) -> None:
    if overlaps(one, other):
        assert overlaps(one | more, other)


@given(_SCOPES)
def test_everything_overlaps_all_but_nothing(one: Scope) -> None:
    assert overlaps(EVERYTHING, one) is bool(one)
    assert not overlaps(frozenset(), one)


def test_an_operation_touches_and_alters_everything_unless_it_says_otherwise() -> None:
    assert Plain().touches() == Plain().alters() == EVERYTHING
    assert Plain().label() == "Plain"


def test_an_operation_that_holds_a_secret_knows_it_and_does_not_show_it() -> None:
    op = Hidden(password=Secret("hunter2"))
    assert op.is_secret
    assert not Plain().is_secret
    assert "hunter2" not in repr(op) + str(op) + op.label()


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested(Operation):
    values: object


@pytest.mark.parametrize(
    "values",
    [(Secret("s"),), {"a": [Secret("s")]}, Nested(values=frozenset({Secret("s")}))],
)
def test_a_secret_at_any_depth_makes_the_operation_secret(values: object) -> None:
    assert Nested(values=values).is_secret
    assert not Nested(values=("s", {"a": 1})).is_secret
