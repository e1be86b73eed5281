"""A plan of thirty steps for two hosts, and a process that walks it and may be killed."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.exceptions import Exit

from kubexm.plan import Plan, Step
from kubexm.runner.operations import FileContent
from kubexm.runner.procedures import RestartService, RunCommand
from kubexm.secret import Secret
from kubexm.tasks import fleet_task
from kubexm.tasks.flags import Flags
from tests.fork import context

if TYPE_CHECKING:
    from collections.abc import Iterable
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from kubexm.plan import StepContext
    from kubexm.runner import Operation
    from kubexm.tasks import Fleet

GROUPS = 10
SECRET = "hunter2xyzzy"
UNIT = """\
[Unit]
StartLimitIntervalSec=0
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'cat /etc/kx/*.conf >/var/lib/kx/seen'
"""
"""A service that has seen what was in its files when it was last started."""

_OWED = (RestartService(name="kx"),)


def _conf(number: int) -> Step:
    """A file; of every third the service's restart is owed."""
    is_read = number % 3 == 0
    path = f"/etc/kx/{number}.{'conf' if is_read else 'txt'}"
    content = FileContent(path=path, content=f"setting {number}\n")
    return Step(name=f"conf{number}", body=(content,), on_change=_OWED if is_read else ())


def _once(number: int) -> Step:
    """A command that must not run twice."""
    command = f"sleep 0.02; echo once{number} >>/var/lib/kx/once; sleep 0.02"
    return Step(name=f"once{number}", body=(RunCommand(command=command, name=f"once{number}"),))


def _names(number: int) -> Step:
    """A barrier, and a file of what every host has published before it."""

    def body(context: StepContext) -> Iterable[Operation]:
        names = sorted(str(name) for name in context.shared.read_all("name0").values())
        yield FileContent(path=f"/var/lib/kx/names{number}", content="\n".join(names) + "\n")

    return Step(name=f"names{number}", body=body, awaits=("name0",))


def _name(number: int) -> Step:
    command = RunCommand(command="hostname", publishes=f"name{number}", repeatable=True)
    return Step(name=f"name{number}", body=(command,))


def _token(context: StepContext) -> Iterable[Operation]:
    token = context.shared.read("token")
    assert isinstance(token, Secret)
    yield FileContent(path="/var/lib/kx/token", content=token, mode=0o600)


def _third(number: int) -> Step:
    match number:
        case 0 | 3 | 6:
            return _name(number)
        case 1 | 7:
            return _names(number)
        case 4:
            content = FileContent(path="/var/lib/kx/wave", content="rolled\n")
            return Step(name="wave", body=(content,), waves=(1,))
        case 5:
            command = RunCommand(
                command=f"echo {SECRET[:6]}; echo {SECRET[6:]}",
                publishes="token",
                hidden=True,
                repeatable=True,
            )
            return Step(name="make-token", body=(command,))
        case 8:
            return Step(name="use-token", body=_token)
        case _:
            content = FileContent(path=f"/var/lib/kx/file{number}", content="plain\n")
            return Step(name=f"file{number}", body=(content,))


PLAN = Plan(
    name="site",
    steps=tuple(
        step for number in range(GROUPS) for step in (_conf(number), _once(number), _third(number))
    ),
)


@fleet_task
def site(fleet: Fleet) -> None:
    """Bring up the site."""
    fleet.run(PLAN)


def _walk(project: str, out: str, resume: str) -> None:
    os.chdir(project)
    file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    plain = Flags()
    flags = {field.name: getattr(plain, field.name) for field in fields(plain)}
    try:
        site.body(Context(), **flags | {"output": "json", "resume": resume, "timeout": 60})
    except Exit as error:
        os._exit(error.code)


def start(project: Path, out: Path, *, resume: str = "") -> ForkServerProcess:
    """A process that walks the plan; its JSON lines and errors are appended to a file."""
    process = context().Process(target=_walk, args=(str(project), str(out), resume))
    process.start()
    return process
