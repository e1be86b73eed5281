"""The shells that run our scripts, with the functions of the session loaded."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.shell import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNKNOWN = 54_321
"""A user and a group without a name."""
NOBODY = 65_534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

NAMES = ("dash", "bash", "busybox", "mksh")
_COMMANDS = {"bash": ("bash", "--posix"), "busybox": ("busybox", "sh")}
_SHELL = files("kubexm.shell")
_LOAD = "kx_token=token; kx_mark=mark.; . {}; . {}; . {}; LC_ALL=C; export LC_ALL; umask 022; "
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call came to."""

    status: int
    stdout: bytes
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """One shell with the tools that go with it.

    Args:
        name: One of `NAMES`.
        path: PATH: busybox gets nothing but its own applets.
        state: Where originals are kept.
        as_user: A uid to run as; for tests of what root is never refused.
        prefix: What the shell runs in, a mount namespace for example.
    """

    name: str
    path: str
    state: Path
    as_user: int | None = None
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def argv(self) -> tuple[str, ...]:
        """Its command line up to the script."""
        name, *options = _COMMANDS.get(self.name, (self.name,))
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed")
        return (*self.prefix, found, *options, "-c")

    @property
    def env(self) -> dict[str, str]:
        """Its whole environment."""
        return {"PATH": self.path, "KUBEXM_STATE": str(self.state), **self.environment}

    def script(self, text: str) -> str:
        """The text with our functions before it."""
        libraries = (quote(str(_SHELL / name)) for name in ("prelude.sh", "state.sh", "file.sh"))
        return _LOAD.format(*libraries) + text

    def run(self, text: str, stdin: bytes = b"") -> Answer:
        """Run a script that may use our functions."""
        done = subprocess.run(
            [*self.argv, self.script(text)],
            input=stdin,
            capture_output=True,
            env=self.env,
            cwd="/",
            user=self.as_user,
            group=self.as_user,
            extra_groups=None if self.as_user is None else [],
            check=False,
        )
        return Answer(
            status=done.returncode,
            stdout=done.stdout,
            stderr=done.stderr.decode("utf-8", "replace"),
        )

    def call(self, function: str, *arguments: object, stdin: bytes = b"") -> Answer:
        """Call one function with quoted arguments."""
        return self.run(" ".join((function, *(quote(str(each)) for each in arguments))), stdin)

    def kept(self) -> dict[str, Path]:
        """The entries of originals, by path."""
        found = self.state.glob("originals/*")
        return {path_of(entry): entry for entry in found}

    def replace(self, path: Path, content: bytes, mode: str = "644", *rest: str) -> Answer:
        """`kx_replace` with OWNER, GROUP and VALIDATE from `rest`."""
        return self.call("kx_replace", path, mode, *(*rest, "", "", "")[:3], stdin=content)


def path_of(entry: Path) -> str:
    """Whose original an entry is: of what was absent it is a file."""
    return (entry / "path" if entry.is_dir() else entry).read_text().removesuffix("\n")


def applets(directory: Path, *others: str) -> str:
    """A PATH with nothing but busybox's applets, and other programs by name."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    directory.mkdir()
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        (directory / name).symlink_to(busybox)
    for name in others:
        (directory / name).symlink_to(shutil.which(name, path=_PATH) or "/nonexistent")
    return str(directory)


def make_shell(name: str, directory: Path) -> Shell:
    """A shell that keeps originals under a test's directory."""
    path = applets(directory / "applets") if name == "busybox" else _PATH
    return Shell(name=name, path=path, state=directory / "state")


def open_directory() -> Iterator[Path]:
    """A directory that another user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="kubexm-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def mode_of(path: Path) -> int:
    """The permission bits of what is at the path itself."""
    return stat.S_IMODE(path.lstat().st_mode)


def names_in(path: Path) -> list[str]:
    """Everything in a directory, hidden files too."""
    return sorted(each.name for each in path.iterdir())


def silence() -> Answer:
    """What a call that went well says: nothing."""
    return Answer(status=0, stdout=b"", stderr="")
