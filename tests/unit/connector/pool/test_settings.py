"""The settings of a pool: their checks, their file, their variables."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.pool import PoolSettings, PoolSource, SettingError
from kubexm.errors import UsageError
from tests.tasks import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_the_defaults_are_those_of_the_design() -> None:
    settings = PoolSettings()
    assert (settings.max_total, settings.max_per_key) == (100, 5)
    assert (settings.max_idle_per_key, settings.min_idle_per_key) == (3, 0)
    assert (settings.max_age_s, settings.idle_timeout_s) == (3600, 600)
    assert (settings.health_check_s, settings.connect_timeout_s) == (60, 15)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"max_total": 0}, "max_total is less than 1"),
        ({"max_per_key": 1.5}, "max_per_key is not a whole number"),
        ({"max_per_key": True}, "max_per_key is not a number"),
        ({"max_idle_per_key": -1}, "max_idle_per_key is less than 0"),
        ({"max_age_s": 0}, "max_age_s is not more than 0 seconds"),
        ({"max_age_s": float("inf")}, "max_age_s is not more than 0 seconds"),
        ({"idle_timeout_s": "10m"}, "idle_timeout_s is not a number"),
        ({"min_idle_per_key": 4}, "min_idle_per_key is more than"),
    ],
)
def test_a_value_that_cannot_be_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingError, match=problem):
        PoolSettings().updated(changes)


def test_an_unknown_name_is_answered_with_the_closest() -> None:
    with pytest.raises(SettingError, match="max_totl is not a setting") as caught:
        PoolSettings().updated({"max_totl": 3})
    assert caught.value.hint == "did you mean max_total?"
    with pytest.raises(SettingError) as caught:
        PoolSettings().updated({"zzz": 3})
    assert caught.value.hint.startswith("known: max_total, ")


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text("# more\nmax_idle_per_key: 6\nmin_idle_per_key: 5\nidle_timeout_s: 2.5\n")
    settings = PoolSource(path).read()
    assert (settings.max_idle_per_key, settings.min_idle_per_key) == (6, 5)
    assert settings.idle_timeout_s == 2.5
    assert settings.max_total == 100


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text("# nothing yet\n")
    assert PoolSource(path).read() == PoolSettings()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("max_total: 3\nmax_idle: 2\n", ":2:1: max_idle is not a setting", "max_idle_per_key"),
        ("\nmax_age_s: never\n", ":2:1: max_age_s is not a number", ""),
        ("max_total: 3\nmax_total: 4\n", ":2:1: not valid YAML", "max_total: 200"),
        ("max_total: [\n", ":2:1: not valid YAML", "max_total: 200"),
        ("- max_total\n", ":1: expected settings", "max_total: 200"),
        ("a: \x00\n", ": not valid YAML", "UTF-8"),
    ],
)
def test_a_fault_in_the_file_is_told_with_its_place(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        PoolSource(path).read()
    assert f"pool.yaml{message}" in str(caught.value)
    assert hint in caught.value.hint


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file") as caught:
        PoolSource(tmp_path / "none.yaml").read()
    assert "KUBEXM_POOL_FILE" in caught.value.hint


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text("max_total: 7\nmax_per_key: 2\n")
    source = PoolSource.of(
        {"KUBEXM_POOL_FILE": str(path), "KUBEXM_POOL_MAX_TOTAL": "9", "KUBEXM_INVENTORY": "x"}
    )
    settings = source.read()
    assert (settings.max_total, settings.max_per_key) == (9, 2)
    assert PoolSource.of({}).read() == PoolSettings()
    assert PoolSource.of({}).stamp() is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("KUBEXM_POOL_MAX_TOTAL", "many", "KUBEXM_POOL_MAX_TOTAL is not a number"),
        ("KUBEXM_POOL_MAX_TOTAL", "1.5", "KUBEXM_POOL_MAX_TOTAL is not a whole number"),
        ("KUBEXM_POOL_MAX_TOTL", "3", "KUBEXM_POOL_MAX_TOTL is not a setting"),
    ],
)
def test_a_fault_in_the_environment_names_the_variable(name: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PoolSource.of({name: text}).read()


def test_every_setting_and_its_default_is_documented() -> None:
    page = (ROOT / "docs" / "pool.md").read_text()
    for field in dataclasses.fields(PoolSettings):
        assert f"| `{field.name}` | {field.default} | " in page
