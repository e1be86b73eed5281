"""Every script that kubexm sends to a host is POSIX sh: several shells and shellcheck agree."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.tasks import ROOT, program, shell_scripts

if TYPE_CHECKING:
    from pathlib import Path

SCRIPTS = tuple(
    path.relative_to(ROOT)
    for path in shell_scripts(ROOT)
    if path.relative_to(ROOT).parts[0] in {"kubexm", "plugins"}
)
SHELLS = ("dash -n", "bash --posix -n", "busybox sh -n", "mksh -n")

each_script = pytest.mark.parametrize("script", SCRIPTS, ids=str)
each_shell = pytest.mark.parametrize("shell", SHELLS)


def complaint(shell: str, script: Path) -> str:
    """Return what the shell says about the syntax of the script; empty when it has no complaint."""
    name, *options = shell.split()
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    answer = subprocess.run(
        [path, *options, str(ROOT / script)], capture_output=True, text=True, check=False
    )
    return answer.stderr or ("" if answer.returncode == 0 else f"exit status {answer.returncode}")


def test_there_are_scripts_to_check() -> None:
    assert SCRIPTS


@each_shell
@each_script
def test_script_is_valid_in_every_shell(shell: str, script: Path) -> None:
    assert complaint(shell, script) == ""


@each_script
def test_shellcheck_has_no_complaint(script: Path) -> None:
    answer = subprocess.run(
        [program("shellcheck"), "--shell=sh", str(ROOT / script)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@each_shell
def test_an_unbalanced_quote_is_noticed(shell: str, tmp_path: Path) -> None:
    script = tmp_path / "broken.sh"
    script.write_text("echo 'never closed\n")
    assert complaint(shell, script)
