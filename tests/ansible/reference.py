"""`ansible-inventory --list`, from an ansible-core that constraints/ansible.txt pins."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.tasks import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONSTRAINTS = ROOT / "constraints" / "ansible.txt"
_DRIVER = Path(__file__).with_name("driver.py")
_LONGEST_S = 600


class AbsentError(Exception):
    """ansible-core cannot be installed here; the message says why."""


@functools.cache
def python() -> Path:
    """The Python that has ansible-core; installed into the user's cache on first use.

    Raises:
        AbsentError: It cannot be.
    """
    digest = hashlib.sha256(CONSTRAINTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "kubexm" / f"ansible-core-{digest}"
    found = home / "bin" / "python"
    if (home / "ready").exists():
        return found
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    command = [str(found), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    command += ["--quiet", "--no-deps", "--require-hashes", "-r", str(CONSTRAINTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    if done.returncode:
        message = f"ansible-core cannot be installed: {done.stderr.strip()[-300:]}"
        raise AbsentError(message)
    (home / "ready").touch()
    return found


def version() -> str:
    """The version of ansible-core that constraints/ansible.txt pins."""
    lines = CONSTRAINTS.read_text().splitlines()
    pinned = next(line for line in lines if line.startswith("ansible-core=="))
    return pinned.removeprefix("ansible-core==").split()[0]


def listed(inventories: Sequence[Sequence[str]], directory: Path) -> list[Mapping[str, Any]]:
    """What `ansible-inventory --list` prints for each inventory, all in one process.

    Args:
        inventories: The arguments for each: `-i`, a path and so on.
        directory: Where it runs; one without `group_vars`, which it would read too.

    Raises:
        AbsentError: ansible-core cannot be installed.
        AssertionError: It says that an inventory is wrong.
    """
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_DEVEL_WARNING": "false",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
    }
    done = subprocess.run(
        [str(python()), str(_DRIVER)],
        input="".join(json.dumps(list(words)) + "\n" for words in inventories),
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST_S,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for words, answer in zip(inventories, answers, strict=True):
        assert answer["status"] == 0, (words, answer["stderr"])
    return [json.loads(answer["stdout"]) for answer in answers]
