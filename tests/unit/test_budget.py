"""What starting costs: the modules that commands load, and processor time beside a known one."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.budget import RECORDED, keep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOADED = """\
import atexit, json, os, sys

def tell():
    known = sorted(set(sys.modules) - before)
    with open(os.environ["MODULES"], "w") as file:
        json.dump(known, file)

before = set(sys.modules)
atexit.register(tell)
from invoke.main import program
program.run()
"""
"""invoke's program, which tells at its end what it has loaded."""

LIST = ("--list",)
PING = ("hosts.ping",)
THIRD_PARTY: dict[tuple[str, ...], set[str]] = {
    LIST: {"invoke"},
    PING: {"invoke", "ruamel", "_ruamel_yaml"},
}
"""Of other people's packages, these and no others; paramiko alone costs half a ping."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's own, with this machine as its only host."""
    (tmp_path / "tasks.py").write_text("from kubexm.tasks import ns\n")
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "default.yaml").write_text(
        "all:\n  hosts:\n    here: {kubexm_connection: local}\n"
    )
    return tmp_path


def loaded(project: Path, words: Sequence[str]) -> list[str]:
    """The modules that `inv WORDS` loads beyond those of Python's own start."""
    file = project / "modules.json"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KUBEXM_", "COV"))}
    subprocess.run(
        [sys.executable, "-c", LOADED, *words],
        cwd=project,
        env=environment | {"MODULES": str(file)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return [str(name) for name in json.loads(file.read_text())]


@pytest.mark.parametrize("words", [LIST, PING], ids=["list", "ping"])
def test_a_command_loads_what_it_needs_and_little_else(
    project: Path, words: tuple[str, ...]
) -> None:
    modules = loaded(project, words)
    top = {name.partition(".")[0] for name in modules}
    others = {"fabric", "paramiko", "cryptography", "rich", "jinja2", "sqlite3", "invoke", "ruamel"}
    assert top & (others | {"_ruamel_yaml", "_cffi_backend"}) == THIRD_PARTY[words]
    assert not top & {"multiprocessing", "kubexm_linux", "kubexm_debian"}
    name = words[0].strip("-").rpartition(".")[2]
    if RECORDED:
        keep(f"modules.{name}", len(modules))
    keep(f"modules.{name}_own", sum(module.startswith("kubexm") for module in modules))


def test_a_ping_loads_no_operation_no_facts_and_no_journal(project: Path) -> None:
    modules = loaded(project, PING)
    unwanted = (
        "kubexm.runner.operations",
        "kubexm.runner.family",
        "kubexm.runner.transfer",
        "kubexm.facts",
        "kubexm.engine.journal",
        "kubexm.profiles",
        "kubexm.connector.ssh",
    )
    assert not [name for name in modules if name.startswith(unwanted)]


def processor_s(command: Sequence[str], directory: Path) -> float:
    """What one process and its children cost, their start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_starting_costs_little_beside_the_import_of_fabric(project: Path) -> None:
    """The aim is 1.2 and 2.0; the bounds leave room for machines that do something else too."""
    inv = [sys.executable, "-m", "invoke", "--write-pyc"]
    commands = {
        "fabric": [sys.executable, "-c", "import fabric"],
        "list": [*inv, *LIST],
        "ping": [*inv, *PING],
    }
    spent: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(5):
        for name, command in commands.items():
            spent[name].append(processor_s(command, project))
    median = {name: statistics.median(values) for name, values in spent.items()}
    assert median["list"] <= 1.5 * median["fabric"]
    assert median["ping"] <= 2.5 * median["fabric"]
