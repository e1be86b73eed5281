"""What is public is documented: every name of every `__all__`, and every flag."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import kubexm
from kubexm.tasks.flags import HELP, Flags

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(
    module.name
    for module in pkgutil.walk_packages(kubexm.__path__, "kubexm.")
    if module.ispkg and hasattr(importlib.import_module(module.name), "__all__")
)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_a_docstring_of_its_own(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__doc__
    for name in module.__all__:
        found = getattr(module, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert found.__doc__, f"{package}.{name}"
            assert not found.__doc__.startswith(f"{name}("), f"{package}.{name}"


def test_every_package_that_users_import_from_says_what_is_public() -> None:
    assert {
        "kubexm.connector",
        "kubexm.engine",
        "kubexm.facts",
        "kubexm.inventory",
        "kubexm.plan",
        "kubexm.runner",
        "kubexm.runner.operations",
        "kubexm.shell",
        "kubexm.tasks",
        "kubexm.testing",
    } <= set(PACKAGES)


def test_every_flag_has_its_help() -> None:
    assert set(HELP) == {field.name for field in dataclasses.fields(Flags)}


def test_every_requirement_has_one_row() -> None:
    rows = (ROOT / "docs" / "requirements.md").read_text().splitlines()
    numbers = [row.split("|")[1].strip() for row in rows if row.startswith("|")]
    assert [int(number) for number in numbers if number.isdigit()] == list(range(1, 51))
