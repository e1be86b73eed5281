"""What the system tests need of the machine: Debian packages, installed where that is allowed.

A test looks for the program that it needs itself, and is skipped with that program's name when it
is missing; this module only makes that rare. What the laboratory needs stands in
`tests.lab.requirement`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.lab import requirement
from tests.lab.command import MissingError

PACKAGES = {
    "acl": "kubexm.shell: an access list survives a write",
    "attr": "kubexm.shell: an extended attribute survives a write",
    "busybox": "kubexm.shell: its ash runs the prelude",
    "crun": "kubexm.connector: podman's containers",
    "dash": "kubexm.shell: Debian's sh runs the prelude",
    "fish": "kubexm.shell: a login shell that is not POSIX",
    "mksh": "kubexm.shell: a Korn shell runs the prelude",
    "openssh-client": "ssh-keygen, ssh-agent; kubexm.connector: openssh",
    "openssh-server": "kubexm.connector: a real sshd",
    "podman": "kubexm.connector: containers",
    "sudo": "kubexm.shell: escalation",
    "tcsh": "kubexm.shell: a login shell that is not POSIX",
}
"""Each package and what it is for."""


def missing() -> tuple[str, ...]:
    """Return which of `PACKAGES` are not installed; all of them where there is no dpkg."""
    try:
        # dpkg-query exits 1 when any name is unknown to it, and still answers for the others.
        answer = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *PACKAGES],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        ).stdout
    except FileNotFoundError:
        answer = ""
    return tuple(name for name in PACKAGES if f"{name} installed" not in answer.splitlines())


def prepare(*, laboratory: bool) -> tuple[str, ...]:
    """Install what is missing if this is root on a machine with apt-get.

    Args:
        laboratory: Whether tests with laboratory hosts are among those to come.

    Returns:
        What is missing still, each thing in one line.
    """
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(missing())
    lacks = [f"some tests need apt-get install {' '.join(absent)}"] if (absent := missing()) else []
    if laboratory:
        try:
            requirement.provide()
        except MissingError as error:
            lacks.append(str(error))
    return tuple(lacks)


def _install(names: tuple[str, ...]) -> None:
    """Run apt-get; what it says goes to stderr, and what it could not do shows in `missing`."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update"],
        ["install", "-y", "--no-install-recommends", *names],
    ):
        subprocess.run(
            ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *command],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            env=environment,
            check=False,
        )


if __name__ == "__main__":
    for lack in prepare(laboratory=True):
        sys.stderr.write(f"{lack}\n")
