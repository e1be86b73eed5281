"""`inv hosts.*`: look at machines and run commands on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from invoke.collection import Collection

from kubexm.errors import UsageError
from kubexm.tasks.flags import fleet_task

if TYPE_CHECKING:
    from kubexm.tasks.fleet import Fleet


@fleet_task
def list_(fleet: Fleet) -> None:
    """Show the selected hosts, without connecting to them."""
    from kubexm.engine.event import SCHEMA
    from kubexm.engine.fleet import new_run_id, now
    from kubexm.ui import table

    rows = [
        (
            host.name,
            host.address or "-",
            str(host.endpoint.port or "-"),
            host.endpoint.user or "-",
            host.connection,
            ", ".join(host.groups) or "-",
        )
        for host in fleet.hosts
    ]
    if fleet.flags.output == "json":
        names = ("host", "address", "port", "user", "connection", "groups")
        head = {"schema": SCHEMA, "event": "host.listed", "run": new_run_id()}
        for row in rows:
            when = {"time": now().isoformat(timespec="milliseconds")}
            print(json.dumps(head | when | dict(zip(names, row, strict=True))))
        return
    header = ("host", "address", "port", "user", "connection", "groups")
    print(table(header, rows, right=frozenset()))


@fleet_task
def ping(fleet: Fleet) -> None:
    """Connect to every host and start a shell there."""
    from kubexm.engine import ping as work

    fleet.inquire(work)


@fleet_task
def facts(fleet: Fleet) -> None:
    """Show what is known about every host, as JSON."""
    from kubexm.engine import facts as work

    fleet.inquire(work)


@fleet_task
def run(fleet: Fleet, command: str) -> None:
    """Run a shell command on every host, in the login environment."""
    from kubexm.engine import command as work

    if fleet.flags.check:
        message = "nobody can predict what a command would do: hosts.run has no check mode"
        raise UsageError(message, hint="leave --check out, or use an operation in a task")

    fleet.inquire(lambda runtime, bus: work(command, runtime, bus))


@fleet_task
def reboot(fleet: Fleet, wait: int = 600) -> None:
    """Reboot every host, and wait until it has booted anew; --max-fail stops after failures."""
    from kubexm.plan import Plan, Step
    from kubexm.runner.procedures import Reboot

    step = Step(name="reboot", body=(Reboot(timeout_s=wait),))
    fleet.run(Plan(name="hosts.reboot", steps=(step,)))


ns = Collection("hosts")
ns.add_task(list_, name="list")
ns.add_task(ping)
ns.add_task(facts)
ns.add_task(run)
ns.add_task(reboot)
