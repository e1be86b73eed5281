"""Machines for the tests of the wire: this one, with the shell and the programs of another.

Everything here is a real `sh` over `LocalProcess`; nothing is imitated.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.local import LocalProcess
from kubexm.shell import Script, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SHELLS = ("dash", "bash", "busybox", "mksh")
"""Programs that can be the `sh` of a machine."""

USERLAND = "busybox userland"
"""A machine where every program is busybox's, as on Alpine; needs root for its mounts."""

LOGIN_SHELLS = ("sh", "bash", "fish", "tcsh")

_SHOW_MARK = Script('echo "$KUBEXM_MARK"')
_MOUNT = """\
for directory in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do
    mount --bind "$1" "$directory" || exit
done
exec "$2" -c "$3"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A connector to this machine whose `sh` is another.

    Args:
        prefix: What the login shell is started with, up to its `-c`.
        home: Of the login user: login files, and what fish keeps.
    """

    prefix: tuple[str, ...]
    home: Path
    is_connected: bool = True

    def open(self, command: str) -> LocalProcess:
        """Run a command line as the login shell would."""
        environment = (f"HOME={self.home}", f"XDG_CONFIG_HOME={self.home}")
        return LocalProcess(["env", *environment, *self.prefix, command])


def machine(kind: str, directory: Path, *, login: str = "sh") -> Machine:
    """The machine whose `sh` is `kind`; the test is skipped when that is not possible here.

    Args:
        kind: One of `SHELLS`, or `USERLAND`.
        directory: Empty, for programs and the home.
        login: The program that reads the command line first.
    """
    name, _, userland = kind.partition(" ")
    program = found(name)
    programs = directory / "programs"
    programs.mkdir()
    home = directory / "home"
    home.mkdir()
    if userland:
        return Machine(prefix=_userland(program, programs), home=home)
    (programs / "sh").symlink_to(program)
    path = f"PATH={programs}{os.pathsep}{os.environ['PATH']}"
    return Machine(prefix=(path, str(programs / "sh") if login == "sh" else login, "-c"), home=home)


def found(program: str) -> str:
    """The path of a program; the test is skipped when there is none."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def _userland(busybox: str, programs: Path) -> tuple[str, ...]:
    """Mount busybox over this machine's programs, for one process and its children."""
    if os.geteuid() != 0:
        pytest.skip("mounting busybox over the programs needs root")
    if not Path("/bin").is_symlink():
        pytest.skip("mounting busybox over the programs needs a merged /usr")
    shutil.copy(busybox, programs / "busybox")
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout
    for name in names.split():
        if name != "busybox":
            (programs / name).symlink_to("busybox")
    shell = str(programs / "sh")
    return ("unshare", "--mount", found("sh"), "-c", _MOUNT, "sh", str(programs), shell)


@contextlib.contextmanager
def session_on(host: Machine, *, login: bool = False) -> Iterator[Session]:
    """A session without escalation, closed at the end."""
    session = Session.open(host.open, login=login)
    try:
        yield session
    finally:
        session.close()


def everywhere(hosts: Mapping[str, Machine], *scenarios: Callable[[Session], None]) -> None:
    """Play scenarios that mostly wait, each on every machine, all at once.

    Raises:
        ExceptionGroup: What went wrong, with the machine's name as a note.
    """

    def play(kind: str, scenario: Callable[[Session], None]) -> Exception | None:
        try:
            with session_on(hosts[kind]) as session:
                scenario(session)
        except Exception as error:  # noqa: BLE001 - told below, with what others ran into
            error.add_note(f"on {kind}")
            return error
        return None

    plays = [(kind, scenario) for scenario in scenarios for kind in hosts]
    with ThreadPoolExecutor(len(plays)) as pool:
        errors = [error for error in pool.map(play, *zip(*plays, strict=True)) if error is not None]
    if errors:
        message = "the scenario failed"
        raise ExceptionGroup(message, errors)


def unique() -> str:
    """A number of seconds for `sleep` that no other process on this machine has."""
    return f"1{secrets.randbelow(10**9):09}"


def mark_of(session: Session) -> str:
    """What every process of the session has in its environment, the batch's number left out."""
    return session.ask(_SHOW_MARK).text.strip().split(".")[0]


def processes(text: str) -> dict[int, str]:
    """Living processes that have `text` among their arguments or in their environment."""
    wanted = text.encode()
    living = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        # a zombie's files are empty
        if wanted in words or wanted in environment:
            living[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace")
    return living


def end(text: str) -> list[int]:
    """Kill what `processes` finds: give it something that only the test's own processes have."""
    found = list(processes(text))
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


def eventually(is_so: Callable[[], bool], *, within_s: float = 5) -> bool:
    """Whether it becomes so in time."""
    limit = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > limit:
            return False
        time.sleep(0.02)
    return True
