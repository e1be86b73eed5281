"""What of a task's command line is kept, so that the run can be repeated."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubexm.tasks.flags import Flags
from kubexm.tasks.record import kept, typed

if TYPE_CHECKING:
    import pytest


def test_flags_that_lead_to_the_same_run_are_kept_as_they_are_typed() -> None:
    flags = Flags(inventory=("a.yaml", "b"), limit="", forks=3, become=True, max_fail="10%")
    assert kept(flags) == (
        "--inventory=a.yaml",
        "--inventory=b",
        "--limit=",
        "--forks=3",
        "--max-fail=10%",
        "--become",
    )


def test_flags_that_only_show_a_run_and_values_that_may_be_secret_are_not_kept() -> None:
    flags = Flags(output="json", verbose=2, diff=True, check=True, extra_var=("token=hunter2",))
    assert kept(flags) == ()


def test_a_task_is_known_by_its_whole_name_where_that_was_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["inv", "node.prepare", "--limit", "a"])
    assert typed("prepare") == "node.prepare"
    assert typed("my_task") == "my-task"
    monkeypatch.setattr(sys, "argv", ["inv", "node.prepare", "etcd.prepare"])
    assert typed("prepare") == "prepare"
