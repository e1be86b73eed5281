"""Imports point down only: the layers of the design, read from the source of every module."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.tasks import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RANKS = (
    {"errors", "lazy", "metric", "secret", "registry"},
    {"shell"},
    {"connector"},
    {"facts", "inventory"},
    {"runner"},
    {"runtime"},
    {"plan"},
    {"engine"},
    {"profiles"},
    {"ui", "tasks"},
)
"""The parts of `kubexm` from the bottom; those of one rank do not import each other."""

RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}
WITHIN_ONE_RANK = {("secret", "errors"), ("registry", "errors"), ("tasks", "ui")}
"""The exceptions: the first of each pair may import the second."""

CORE = "kubexm"
"""The package itself: its version and nothing else, so that everyone may import it."""

TESTING = "testing"
BASE_PLUGIN = "kubexm_linux"
"""The family that others extend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported name and where that is written."""

    line: int
    target: tuple[str, ...]


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[Import]:
    """Yield everything that a module imports, wherever it stands.

    Args:
        tree: The module.
        package: The package that relative imports start from.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(line=node.lineno, target=tuple(alias.name.split(".")))
            case ast.ImportFrom(module=module, names=names, level=level):
                start = package[: len(package) - level + 1] if level else ()
                stem = (*start, *(module.split(".") if module else ()))
                for alias in names:
                    yield Import(line=node.lineno, target=(*stem, alias.name))
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield Import(line=node.lineno, target=tuple(name.split(".")))


def layer(module: tuple[str, ...], core: Path) -> str | None:
    """Return the layer that a module or name belongs to; None for what is not ours."""
    match module:
        case ("kubexm", name, *_) if (core / name).is_dir() or (core / f"{name}.py").is_file():
            return name
        case ("kubexm", name, *_) if name in RANK or name == TESTING:
            return name
        case ("kubexm", *_):
            return CORE
        case (name, *_) if name.startswith("kubexm_"):
            return name
    return None


def allowed(importer: str, imported: str) -> bool:
    """Return whether the design lets the first layer import the second."""
    if imported in {importer, CORE}:
        return True
    if importer.startswith("kubexm_"):
        return imported == BASE_PLUGIN or RANK.get(imported, len(RANKS)) <= RANK["runner"]
    if importer == TESTING:
        return RANK.get(imported, len(RANKS)) <= RANK["engine"]
    if importer not in RANK or imported not in RANK:
        return False
    return RANK[imported] < RANK[importer] or (importer, imported) in WITHIN_ONE_RANK


def violations(root: Path) -> tuple[str, ...]:
    """Return every import that points up or sideways, as `file:line: layer imports layer`.

    Args:
        root: A directory with `kubexm/` and perhaps `plugins/`.
    """
    found = []
    for base in (root, root / "plugins"):
        for path in sorted(base.glob("kubexm*/**/*.py")):
            module = path.relative_to(base).with_suffix("").parts
            place = path.relative_to(root)
            package = module[:-1]
            importer = layer(package if module[-1] == "__init__" else module, root / "kubexm")
            if importer is None:
                continue
            if importer not in {*RANK, CORE, TESTING} and not importer.startswith("kubexm_"):
                found.append(f"{place}:1: {importer} is not a layer of the design")
                continue
            for one in imports(ast.parse(path.read_text(), str(path)), package):
                imported = layer(one.target, root / "kubexm")
                if imported is not None and not allowed(importer, imported):
                    found.append(f"{place}:{one.line}: {importer} imports {imported}")
    return tuple(found)


def test_imports_point_down_only() -> None:
    assert violations(ROOT) == ()


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("kubexm/shell/script.py", "import kubexm.runner.converge", "shell imports runner"),
        ("kubexm/shell/script.py", "from kubexm import runner", "shell imports runner"),
        ("kubexm/shell/script.py", "from ..connector import Pool", "shell imports connector"),
        ("kubexm/shell/__init__.py", "from ..connector import Pool", "shell imports connector"),
        ("kubexm/plan/step.py", "def f():\n  import kubexm.engine", "plan imports engine"),
        ("kubexm/facts/disk.py", "from kubexm.inventory import Host", "facts imports inventory"),
        ("kubexm/errors.py", "from kubexm.secret import Secret", "errors imports secret"),
        ("kubexm/ui/table.py", "from kubexm.tasks import ns", "ui imports tasks"),
        ("kubexm/engine/walk.py", "from kubexm.testing import replay", "engine imports testing"),
        ("kubexm/testing/fleet.py", "import kubexm.tasks", "testing imports tasks"),
        ("kubexm/runner/family.py", "import kubexm_linux", "runner imports kubexm_linux"),
        (
            "kubexm/registry.py",
            "import importlib\nimportlib.import_module('kubexm_linux.apt')",
            "registry imports kubexm_linux",
        ),
        (
            "kubexm/plan/step.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  from kubexm.ui import Table",
            "plan imports ui",
        ),
        (
            "plugins/kubexm_debian/apt.py",
            "from kubexm.runtime import Runtime",
            "kubexm_debian imports runtime",
        ),
        (
            "plugins/kubexm_linux/file.py",
            "import kubexm_debian",
            "kubexm_linux imports kubexm_debian",
        ),
        ("kubexm/__init__.py", "from kubexm import errors", "kubexm imports errors"),
    ],
)
def test_violation_is_reported_with_its_line(
    tmp_path: Path, path: str, source: str, expected: str
) -> None:
    write(tmp_path / path, source)
    last = len(source.splitlines())
    assert violations(tmp_path) == (f"{path}:{last}: {expected}",)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("kubexm/runner/converge.py", "import os\nfrom kubexm.shell import Script"),
        ("kubexm/secret.py", "from kubexm.errors import UsageError"),
        ("kubexm/tasks/node.py", "import kubexm.ui"),
        ("kubexm/ui/table.py", "from kubexm import __version__"),
        ("kubexm/testing/fleet.py", "from kubexm.engine import Engine"),
        ("kubexm/facts/disk.py", "from .reading import parse"),
        ("plugins/kubexm_debian/apt.py", "import kubexm_linux\nfrom kubexm.runner import State"),
    ],
)
def test_imports_that_point_down_pass(tmp_path: Path, path: str, source: str) -> None:
    write(tmp_path / path, source)
    assert violations(tmp_path) == ()


def test_module_outside_the_layers_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "kubexm/helpers.py", "")
    assert violations(tmp_path) == ("kubexm/helpers.py:1: helpers is not a layer of the design",)


def write(path: Path, source: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(source)
