"""Packages whose names are loaded when they are asked for."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import kubexm.runner
from kubexm.lazy import lazily


def test_a_name_is_its_modules_own_and_found_once() -> None:
    module = importlib.import_module("kubexm.runner.outcome")
    assert kubexm.runner.Outcome is module.Outcome
    assert vars(kubexm.runner)["Outcome"] is module.Outcome


def test_every_public_name_can_be_loaded() -> None:
    for name in kubexm.runner.__all__:
        assert getattr(kubexm.runner, name) is not None


def test_an_unknown_name_is_told_as_any_module_does() -> None:
    load = lazily("kubexm.runner", {"outcome": "Outcome"})
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        load("Nothing")
    assert not hasattr(kubexm.runner, "Nothing")


def test_no_lazy_name_is_a_modules_too() -> None:
    modules = {module.name for module in pkgutil.iter_modules(kubexm.runner.__path__)}
    assert modules & set(kubexm.runner.__all__) == {"converge"}
    assert callable(kubexm.runner.converge)
