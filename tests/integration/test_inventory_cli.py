"""Inventories on the command line: sources, variables, secrets and the environment."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.unit.inventory.test_vault import GOOD, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.integration

TASKS = '''\
from kubexm.tasks import Fleet, fleet_task, ns


@fleet_task
def tell(fleet: Fleet, color: str = "") -> None:
    """Print what a variable comes to."""
    if color:
        fleet.define({"color": color})
    for host in fleet.hosts:
        print(host.name, host.variables.get("color"), host.variables.get("shade"))


ns.add_task(tell)
'''


@pytest.fixture
def inv(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    (tmp_path / "tasks.py").write_text(TASKS)

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("KUBEXM_")}
        return subprocess.run(
            [sys.executable, "-m", "invoke", *words],
            cwd=tmp_path,
            env=clean | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run


def test_six_levels_have_the_say_in_their_order(
    inv: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text(
        "[child]\na\nb color=host\n[up:children]\nchild\n[up:vars]\ncolor=up\n"
        "shade={{ color }}-{{ inventory_hostname }}\n[all:vars]\ncolor=all\n"
    )
    assert inv("tell", "-i", "hosts").stdout.split("\n")[:2] == ["a up up-a", "b host host-b"]
    task = inv("tell", "-i", "hosts", "--color", "task")
    assert task.stdout.split("\n")[:2] == ["a task task-a", "b task task-b"], task.stderr
    extra = inv("tell", "-i", "hosts", "--color", "task", "-e", "color=extra")
    assert extra.stdout.split("\n")[:2] == ["a extra extra-a", "b extra extra-b"]


def test_environment_names_inventory_and_flags_and_the_command_line_is_stronger(
    inv: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    said = inv("tell", KUBEXM_INVENTORY="a,b,", KUBEXM_EXTRA_VAR="color=env", KUBEXM_LIMIT="b")
    assert said.stdout == "b env None\n", said.stderr
    over = inv("tell", "-i", "c,", "-e", "color=flag", "-l", "c", KUBEXM_INVENTORY="a,b,")
    assert over.stdout == "c flag None\n", over.stderr
    wrong = inv("tell", "-i", "c,", KUBEXM_FORKS="many")
    assert (wrong.returncode, "KUBEXM_FORKS must be a whole number" in wrong.stderr) == (5, True)


def test_vault_password_comes_from_file_environment_and_flag(
    inv: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    source = str(GOOD / "hosts.yml")
    file = str(GOOD / "vault-password")
    for words, variables in (
        (("--vault-id", f"prod@{file}"), {}),
        ((), {"KUBEXM_VAULT_PASSWORD_FILE": file}),
        ((), {"KUBEXM_VAULT_PASSWORD": PASSWORD}),
    ):
        done = inv("hosts.list", "-i", source, *words, **variables)
        assert done.returncode == 0, done.stderr
    without = inv("hosts.list", "-i", source)
    assert without.returncode == 5
    assert "there is no password for it" in without.stderr
    asked = inv("hosts.list", "-i", source, "--ask-vault-pass")
    assert "--ask-vault-pass needs a terminal to ask on" in asked.stderr


def test_vault_password_is_asked_for_once_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    leader, follower = pty.openpty()
    words = ["hosts.list", "-i", str(GOOD / "hosts.yml"), "--ask-vault-pass"]
    with subprocess.Popen(
        [sys.executable, "-m", "invoke", *words],
        cwd=tmp_path,
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=follower,
        start_new_session=True,
    ) as process:
        os.close(follower)
        shown = b""
        while b"vault password (default): " not in shown:
            shown += os.read(leader, 1024)
        os.write(leader, PASSWORD.encode() + b"\n")
        stdout, _ = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 0
    assert b"v1" in stdout
