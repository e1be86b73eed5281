"""A plan that other processes can import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.engine import Bus, walk
from kubexm.inventory import load
from kubexm.plan import Plan, Step
from kubexm.runner.operations import CommandRun, FileContent
from kubexm.runner.procedures import RunCommand
from kubexm.runtime import Runtime, Settings
from kubexm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.plan import Item, StepContext


def file(context: StepContext) -> Iterable[Item]:
    content = Secret(f"for {context.host.name}\n")
    yield FileContent(path=f"{context.cluster.inventory.path}.{context.host.name}", content=content)


def break_b(context: StepContext) -> Iterable[Item]:
    if context.host.name == "b":
        yield CommandRun(command="echo it broke >&2; exit 4", creates="/nowhere/at-all")


def token(context: StepContext) -> Iterable[Item]:
    yield RunCommand(command=f"echo token of {context.host.name}", publishes="token", hidden=True)


def use(context: StepContext) -> Iterable[Item]:
    path = f"{context.cluster.inventory.path}.{context.host.name}.token"
    yield FileContent(path=path, content=context.shared.text("token"))


PLAN = Plan(
    name="p",
    steps=(
        Step(name="file", body=file),
        Step(name="break", body=break_b),
        Step(name="token", body=token, run_once=True),
        Step(name="use", body=use, awaits=("token",)),
    ),
)


def work_long(directory: Path) -> None:
    """Walk a plan with one long command, and say how that ended."""
    inventory = load(directory / "hosts.yaml")
    runtime = Runtime(inventory, inventory.hosts, Settings(executor="processes"))
    command = f"cd {directory}; touch at-work; sleep 50; touch done"
    step = Step(name="s", body=(RunCommand(command=command),))
    with Bus([]) as bus:
        report = walk(Plan(name="p", steps=(step,)), runtime, bus)
    sys.stdout.write(f"{report.hosts[0].status.value} {int(report.exit_code())}\n")


if __name__ == "__main__":
    work_long(Path(sys.argv[1]))
