"""`KUBEXM_*` says what flags are that the command line does not mention."""

from __future__ import annotations

import pytest

from kubexm.errors import UsageError
from kubexm.tasks import environment
from kubexm.tasks.flags import HELP, Flags


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("FORKS", "7", {"forks": 7}),
        ("CHECK", "yes", {"check": True}),
        ("CHECK", "", {"check": False}),
        ("LIMIT", "web:&db", {"limit": "web:&db"}),
        ("INVENTORY", "a b,c,", {"inventory": ("a b,c,",)}),
        ("INVENTORY", "", {"inventory": ()}),
        ("EXTRA_VAR", "a=1 b='x y' @v.yaml", {"extra_var": ("a=1", "b=x y", "@v.yaml")}),
        ("VAULT_PASSWORD_FILE", "~/.vault", {"vault_password_file": "~/.vault"}),
        ("NOTHING", "1", {}),
    ],
)
def test_variable_says_what_a_flag_is(
    variable: str, text: str, expected: dict[str, object]
) -> None:
    assert environment.defaults(Flags(), {f"KUBEXM_{variable}": text}) == expected


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("FORKS", "many", "KUBEXM_FORKS must be a whole number, not 'many'"),
        ("CHECK", "maybe", "KUBEXM_CHECK must be true or false, not 'maybe'"),
        ("EXTRA_VAR", "a='1", "KUBEXM_EXTRA_VAR has a quote that is not closed"),
    ],
)
def test_value_that_the_flag_does_not_take_is_told(variable: str, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        environment.defaults(Flags(), {f"KUBEXM_{variable}": text})
    assert str(caught.value) == message


def test_slip_in_a_name_is_told_with_what_is_meant() -> None:
    given = {"KUBEXM_FROKS": "1", "KUBEXM_STATE": "x", "KUBEXM_OF_SOMEBODY_ELSE": "1"}
    assert environment.slips(HELP, given) == (
        "KUBEXM_FROKS means nothing; did you mean KUBEXM_FORKS?",
    )
