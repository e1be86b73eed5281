"""invoke's way to the laboratory: lab.up, lab.down, lab.ssh, lab.status.

What a task needs is loaded by the task: `./inv --list` does not pay for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import task

if TYPE_CHECKING:
    from invoke.context import Context

    from tests.lab.host import LabHost
    from tests.lab.vm_host import VirtualHost


@task(
    help={
        "hosts": "how many are wanted: 3, or none beside --vm",
        "suite": "Debian's release for hosts that are made now: bookworm, trixie",
        "vm": "a virtual machine with a kernel of its own, vm1; it takes a minute",
    }
)
def up(_context: Context, hosts: int = 0, suite: str = "bookworm", vm: bool = False) -> None:
    """Boot Debian hosts on this machine; those that are up already stay as they are."""
    from dataclasses import replace

    from tests.lab.command import LabError
    from tests.lab.image import Suite
    from tests.lab.laboratory import Laboratory
    from tests.lab.vm_host import VirtualHost

    if suite not in tuple(Suite):
        message = f"--suite is one of {', '.join(Suite)}, not {suite!r}"
        raise Exit(message, code=1)
    laboratory = replace(Laboratory.from_environment(), suite=Suite(suite))
    try:
        if vm:
            machine = VirtualHost.up(laboratory)
            print(_row(machine))
            print(f"key: {machine.machine.private_key}  known hosts: {machine.machine.known_hosts}")
        if hosts or not vm:
            for host in laboratory.up(hosts or 3):
                print(_row(host))
            print(f"key: {laboratory.private_key}  known hosts: {laboratory.known_hosts}")
    except LabError as error:
        raise Exit(str(error), code=1) from error


@task
def down(_context: Context) -> None:
    """Take the laboratory away; its image stays in the cache."""
    from tests.lab.command import LabError
    from tests.lab.laboratory import Laboratory

    try:
        Laboratory.from_environment().down()
    except LabError as error:
        raise Exit(str(error), code=1) from error


@task(help={"host": "lab1, or just 1; vm1", "user": "root, nopass, asks or plain"})
def ssh(_context: Context, host: str, user: str = "root") -> None:
    """Open a shell on a host."""
    from tests.lab.command import LabError
    from tests.lab.laboratory import Laboratory
    from tests.lab.vm_host import VirtualHost

    laboratory = Laboratory.from_environment()
    machines = {machine.name: machine for machine in VirtualHost.all(laboratory)}
    try:
        if host in machines:
            command = machines[host].ssh_command(user)
        else:
            command = laboratory.ssh_command(laboratory.host(host), user)
    except LabError as error:
        raise Exit(str(error), code=1) from error
    os.execvp(command[0], command)  # noqa: S606 - the terminal is ssh's from here on


@task
def status(_context: Context) -> None:
    """Say which hosts there are and how they are."""
    from tests.lab.laboratory import Laboratory
    from tests.lab.vm_host import VirtualHost

    laboratory = Laboratory.from_environment()
    hosts: tuple[LabHost | VirtualHost, ...] = laboratory.hosts() + VirtualHost.all(laboratory)
    for host in hosts:
        print(_row(host))
    if not hosts:
        print("The laboratory is down.")


def _row(host: LabHost | VirtualHost) -> str:
    from tests.lab.vm_host import VirtualHost

    place = f":{host.port}" if isinstance(host, VirtualHost) else ""
    return f"{host.name}  {host.address}{place}  {host.state()}"


ns = Collection("lab", up, down, ssh, status)
