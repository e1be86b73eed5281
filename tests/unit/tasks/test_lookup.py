"""`inv plugins.*` and `inv ops.*`, as typed: what is installed, and what is wrong with it."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from kubexm.runner import operations
from tests.unit.tasks.command import inv

if TYPE_CHECKING:
    from pathlib import Path

ENTRY_POINTS = """\
[kubexm.connectors]
ssh = elsewhere:plugin
number = sys:maxsize

[kubexm.connector]
forgotten = os:getcwd

[kubexm.families]
gone = no_such_module:family
orphan = orphan:family

[kubexm.inventories]
cloud = os:getcwd

[kubexm.operations]
wrong = os:getcwd
"""
ORPHAN = """\
from kubexm.runner import Family

family = Family(name="orphan", match=lambda facts: 0, handlers=(), extends="nobody")
"""


@pytest.fixture
def sloppy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a distribution whose entry points are all wrong."""
    information = tmp_path / "sloppy-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: sloppy\nVersion: 1.2\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "orphan.py").write_text(ORPHAN)
    (tmp_path / "elsewhere.py").write_text("def plugin(endpoint): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("orphan", "elsewhere"):
        # so that it is forgotten again at the end
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        del sys.modules[module]


def test_every_plugin_of_ours_is_listed_and_sound() -> None:
    listed = inv("plugins.list", "--output", "json")
    assert listed.returncode == 0, listed.stderr
    rows = json.loads(listed.stdout)
    ours = {(row["group"], row["name"]) for row in rows if row["distribution"] == "kubexm"}
    assert {("kubexm.connectors", "ssh"), ("kubexm.families", "debian")} <= ours
    assert {row["fault"] for row in rows} == {""}
    checked = inv("plugins.check")
    assert checked.returncode == 0
    assert checked.stdout == f"{len(rows)} plugins: no faulty\n"


@pytest.mark.usefixtures("sloppy")
def test_every_fault_names_the_distribution_and_is_exit_code_5() -> None:
    checked = inv("plugins.check")
    assert checked.returncode == 5
    for said in (
        "kubexm.connectors has two plugins named 'ssh': from sloppy and from kubexm",
        "the plugin 'number' of kubexm.connectors from sloppy: expected a function, found int",
        "the plugin 'cloud' of kubexm.inventories from sloppy: expected an object with `claims`",
        "the plugin 'gone' of kubexm.families from sloppy does not load: ModuleNotFoundError",
        "the family 'orphan' extends 'nobody', which is not installed",
        "the plugin 'wrong' of kubexm.operations from sloppy: expected an OperationPlugin",
        "the plugin 'forgotten' of kubexm.connector from sloppy: nobody reads this group",
        "hint: did you mean kubexm.connectors?",
    ):
        assert said in checked.stderr
    assert "Traceback" not in checked.stderr
    faults = json.loads(inv("plugins.check", "--output", "json").stdout)
    assert [(each["name"], each["version"]) for each in faults if each["name"] != "ssh"] == [
        ("number", "1.2"),
        ("gone", "1.2"),
        ("orphan", "1.2"),
        ("wrong", "1.2"),
        ("cloud", "1.2"),
        ("forgotten", "1.2"),
    ]
    listed = inv("plugins.list")
    assert listed.returncode == 0
    assert "sloppy 1.2" in listed.stdout


def test_every_operation_is_listed_with_the_families_that_handle_it() -> None:
    rows = json.loads(inv("ops.list", "--output", "json").stdout)
    by_name = {row["name"]: row for row in rows}
    assert set(operations.__all__) - {"HostEntry"} <= by_name.keys()
    assert by_name["PackagesInstalled"]["families"] == ["debian"]
    assert by_name["FileContent"]["families"] == ["linux"]
    assert "FileContent" in inv("ops.list").stdout


def test_an_operation_is_documented_from_its_docstring() -> None:
    shown = inv("ops.doc", "Directory")
    assert shown.returncode == 0
    assert shown.stdout == (
        "Directory (kubexm.runner.operations)\n\n"
        "A directory with this mode and owner; missing parents are made, 0755.\n\n"
        "  path: str\n      Absolute.\n"
        "  mode: int = 0o755\n      As for chmod(2).\n"
        "  owner: str = ''\n"
        "      A user's name; empty leaves it (root for a new directory).\n"
        "  group: str = ''\n"
        "      A group's name; empty leaves it.\n\n"
        "handled by: linux, and families that extend it\n"
    )
    unknown = inv("ops.doc", "Directry", "--output", "json")
    assert (unknown.returncode, unknown.stdout) == (5, "")
    assert "did you mean 'Directory'?" in unknown.stderr
