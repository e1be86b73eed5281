"""`./inv test`: everything that can say whether this checkout is sound, the quick answers first."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.exceptions import Exit
from invoke.tasks import task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
"""Where the pinned tools are: beside the Python that runs this."""


class Part(StrEnum):
    """What `--only` can choose."""

    LINT = "lint"
    TYPES = "types"
    UNIT = "unit"
    INTEGRATION = "integration"
    LAB = "lab"


_PROCESSES = 3
"""How many run tests: each that has laboratory tests boots hosts of its own."""

TESTS = (Part.UNIT, Part.INTEGRATION, Part.LAB)
"""The parts that pytest runs, each from the directory of its name, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One command that passes by exiting with 0."""

    part: Part
    headline: str
    command: tuple[str, ...]


def shell_scripts(root: Path) -> tuple[Path, ...]:
    """Return every `*.sh` of the project, sorted; not those in hidden directories such as .venv."""
    visible = (entry for entry in root.iterdir() if entry.is_dir() and entry.name[0] != ".")
    return tuple(sorted(script for entry in visible for script in entry.rglob("*.sh")))


def checks() -> tuple[Check, ...]:
    """Return what runs before pytest, in order."""
    scripts = shell_scripts(ROOT)
    shipped = [s for s in scripts if s.relative_to(ROOT).parts[0] in {"kubexm", "plugins"}]
    others = [s for s in scripts if s not in shipped]
    shellcheck = program("shellcheck")
    found = [
        Check(part=Part.LINT, headline="ruff check", command=(program("ruff"), "check", ".")),
        Check(
            part=Part.LINT,
            headline="ruff format --check",
            command=(program("ruff"), "format", "--check", "."),
        ),
        Check(part=Part.TYPES, headline="mypy", command=(program("mypy"),)),
        Check(
            part=Part.LINT,
            headline="shellcheck",
            command=(shellcheck, "inv", ".ci/run", *map(str, others)),
        ),
    ]
    if shipped:
        # They are parts of scripts, without a first line that names the shell.
        found.append(
            Check(
                part=Part.LINT,
                headline="shellcheck of the scripts that run on hosts",
                command=(shellcheck, "--shell=sh", *map(str, shipped)),
            )
        )
    return tuple(found)


def pytest_command(parts: Sequence[Part], *, full: bool) -> tuple[str, ...]:
    """Return the one pytest run for these parts: one summary, at the end of all output.

    Several processes share the work, because most tests wait for hosts more than they compute.
    Those of a file stay together, because they share hosts.
    """
    directories = [f"tests/{part}" for part in parts if (ROOT / "tests" / part).is_dir()]
    # pyproject.toml says `-m "not full"`; an empty expression takes that back.
    side_by_side = ("-n", str(_PROCESSES), "--dist", "loadfile")
    return (program("pytest"), "-rs", *side_by_side, *(("-m", "") if full else ()), *directories)


def program(name: str) -> str:
    """Return the path of a tool that constraints/dev.txt pins."""
    return str(PROGRAMS / name)


def install_tools() -> None:
    """Install constraints/dev.txt beside the Python that runs this, unless that was done before.

    Raises:
        Exit: pip failed; its own words are on stderr.
    """
    constraints = ROOT / "constraints" / "dev.txt"
    stamp = Path(sys.prefix) / "dev.stamp"
    with (ROOT / ".venv.lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = constraints.read_bytes()
        if stamp.exists() and stamp.read_bytes() == wanted:
            return
        sys.stderr.write("test: installing the tools that constraints/dev.txt pins\n")
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
        # --no-deps for the reason that stands in ./inv
        command += ["install", "--quiet", "--no-deps", "--require-hashes", "-r", str(constraints)]
        if subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
        ).returncode:
            message = "test: could not install the tools: the reason is above"
            raise Exit(message, code=1)
        stamp.write_bytes(wanted)


def run(headline: str, command: Sequence[str]) -> bool:
    """Print the headline, run the command in the project's directory, and say whether it passed."""
    print(f"--- {headline}", flush=True)
    environment = os.environ | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}"}
    return not subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


@task(
    name="test",
    help={
        "only": f"Run one part: {', '.join(Part)}.",
        "full": "Also run the tests that take minutes.",
    },
)
def check_everything(_context: Context, only: str = "", full: bool = False) -> None:
    """Check everything: style, types, scripts, unit tests, a real sshd, laboratory hosts."""
    if only and only not in tuple(Part):
        message = f"test: --only is one of {', '.join(Part)}, not {only!r}"
        raise Exit(message, code=1)
    chosen = tuple(part for part in Part if only in {"", part})
    tested = tuple(part for part in TESTS if part in chosen)
    install_tools()
    failed = [
        check.headline
        for check in checks()
        if check.part in chosen and not run(check.headline, check.command)
    ]
    if tested:
        from tests import machine

        for lack in machine.prepare(laboratory=Part.LAB in tested):
            print(f"--- {lack}", flush=True)
        headline = f"pytest: {', '.join(tested)}"
        if not run(headline, pytest_command(tested, full=full)):
            failed.append(headline)
    if failed:
        message = f"test: failed: {'; '.join(failed)}"
        raise Exit(message, code=1)
