"""The `inv` wrapper: found from anywhere, quiet on stdout, one line when Python is missing.

A made-up `.venv` stands in for the real one, so that nothing is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.tasks import ROOT

if TYPE_CHECKING:
    from pathlib import Path

HELD = ("pyproject.toml", "constraints/build.txt", "constraints/runtime.txt")
"""The files that the stamp in `.venv` repeats."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose path has a space and whose .venv is up to date."""
    home = tmp_path / "my project"
    (home / "constraints").mkdir(parents=True)
    for name in ("inv", *HELD):
        shutil.copy(ROOT / name, home / name)
    programs = home / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "inv").write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    (programs / "inv").chmod(0o755)
    stamp = f"{home}\n" + "".join((home / name).read_text() for name in HELD)
    (home / ".venv" / "inv.stamp").write_text(stamp)
    return home


def call(*command: str, cwd: Path, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    """Run the wrapper with nothing but this PATH in its environment."""
    return subprocess.run(
        command, cwd=cwd, env={"PATH": path}, capture_output=True, text=True, check=False
    )


def without_python(directory: Path) -> str:
    """Make a directory with the programs that the wrapper calls, and no Python."""
    directory.mkdir()
    for name in ("cat", "cmp"):
        (directory / name).symlink_to(f"/usr/bin/{name}")
    return str(directory)


@pytest.mark.parametrize("where", ["absolute", "relative", "symlink", "symlink to symlink", "PATH"])
def test_wrapper_is_found_from_anywhere(project: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "link").symlink_to("my project/inv")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "link").symlink_to("../link")
    name, path = {
        "absolute": (str(project / "inv"), ""),
        "relative": ("my project/inv", ""),
        "symlink": ("./link", ""),
        "symlink to symlink": ("deeper/link", ""),
        "PATH": ("inv", f"{project}:"),
    }[where]
    answer = call(
        "sh", "-c", '"$0" "$@"', name, "a b", "", cwd=tmp_path, path=f"{path}/usr/bin:/bin"
    )
    assert answer.stdout == f"<--write-pyc><--search-root><{project}><a b><>"
    assert (answer.stderr, answer.returncode) == ("", 0)


def test_a_search_root_of_the_callers_own_is_kept(project: Path) -> None:
    answer = call("./inv", "-r", "elsewhere", "--list", cwd=project)
    assert answer.stdout == "<--write-pyc><-r><elsewhere><--list>"


@pytest.mark.parametrize("spoiled", ["stamp", "pin", "directory", "python"])
def test_venv_that_is_not_current_is_not_used(project: Path, tmp_path: Path, spoiled: str) -> None:
    match spoiled:
        case "stamp":
            (project / ".venv" / "inv.stamp").unlink()
        case "pin":
            (project / "constraints" / "runtime.txt").write_text("")
        case "directory":
            project = project.rename(tmp_path / "moved")
        case "python":
            (project / ".venv" / "bin" / "python").unlink()
    answer = call("./inv", cwd=project, path=without_python(tmp_path / "bin"))
    assert answer.stdout == ""
    assert answer.stderr == (
        "inv: needs Python 3.11 or newer with venv and ensurepip "
        "(on Debian: apt-get install python3-venv)\n"
    )
    assert answer.returncode == 1
