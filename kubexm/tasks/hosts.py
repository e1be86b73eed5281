"""`inv hosts.*`: look at machines and run commands on them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection

from kubexm.errors import UsageError
from kubexm.tasks.flags import fleet_task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.runner import Host
    from kubexm.secret import Secret
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
def run(
    fleet: Fleet,
    command: str,
    *,
    as_user: str = "",
    env: tuple[str, ...] = (),
    chdir: str = "",
    retries: int = 0,
    retry_delay: int = 0,
    fatal: bool = False,
    hidden: bool = False,
    any_status: bool = False,
) -> None:
    """Run a shell command on every host, in the login environment.

    Its output comes at the end, or with -v while it is printed. Ctrl-C ends it on the hosts.
    --timeout is enforced there, for each try.

    --as-user: become this user (root, say) by the inventory's become_method
    --env NAME=value: a variable for it; NAME alone hands over one's own, as a secret
    --chdir: where it runs
    --retries: so many further tries while it fails, with --retry-delay seconds between them
    --fatal: when it fails on one host, the others are broken off
    --hidden: neither the command nor its output is shown
    --any-status: an exit status other than 0 is an answer and fails no host
    """
    from kubexm.engine import command as work
    from kubexm.runner import CommandOptions

    if fleet.flags.check:
        message = "nobody can predict what a command would do: hosts.run has no check mode"
        raise UsageError(message, hint="leave --check out, or use an operation in a task")

    try:
        options = CommandOptions(
            user=as_user,
            environment=_environment(env),
            directory=chdir,
            retries=retries,
            retry_delay_s=retry_delay,
            fatal=fatal,
            hidden=hidden,
            any_status=any_status,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    fleet.inquire(lambda runtime, bus: work(command, runtime, bus, options=options))


def _environment(given: Iterable[str]) -> dict[str, str | Secret]:
    """The variables that `--env` names; one without a value is this process's own, a secret."""
    from kubexm.secret import Secret

    found: dict[str, str | Secret] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if equals:
            found[name] = value
        elif name in os.environ:
            found[name] = Secret(os.environ[name])
        else:
            message = f"--env {name}: there is no such variable here"
            raise UsageError(message, hint="set it, or say --env NAME=value")
    return found


@fleet_task
def put(
    fleet: Fleet, local: str, remote: str, *, mode: str = "", owner: str = "", group: str = ""
) -> None:
    """Put a file or directory of this machine on every host, as root where that is needed.

    REMOTE is the absolute path of the file or directory itself. What is there already is not
    sent; each file is replaced at once or not at all; what a directory has besides stays. After
    an interruption the next put of a large file goes on where the last one ended.

    --mode: of every file, in octal (default: as here)
    --owner, --group: of what is put (default: as there, for something new those of root)
    """
    from kubexm.runner import PutOptions, Source

    try:
        number = int(mode, 8) if mode else None
        options = PutOptions(mode=number, owner=owner, group=group)
    except ValueError as error:
        message = f"--mode wants an octal file mode such as 0644, not {mode!r}"
        raise UsageError(message) from error
    _check_remote(remote)
    source = Source.read(local)

    def work(host: Host) -> None:
        host.put(source, remote, options)

    fleet.each(work, at_once=True)


@fleet_task
def get(fleet: Fleet, remote: str, local: str) -> None:
    """Get a file or directory of every host, into LOCAL/<host>/.

    What is there already is not fetched. Modes and symbolic links are kept, owners are not.
    """
    _check_remote(remote)
    name = remote.rpartition("/")[2]

    def work(host: Host) -> None:
        host.get(remote, Path(local) / host.name / name)

    fleet.each(work, at_once=True)


def _check_remote(path: str) -> None:
    from kubexm.runner.operations.file import check_path

    try:
        check_path(path)
    except ValueError as error:
        raise UsageError(
            str(error), hint="name the file or directory itself, from / on, without a final slash"
        ) from error


@fleet_task
def reboot(fleet: Fleet, wait: int = 600) -> None:
    """Reboot every host, and wait until it has booted anew; --max-fail stops after failures."""
    from kubexm.plan import Plan, Step
    from kubexm.runner.procedures import Reboot

    step = Step(name="reboot", body=(Reboot(timeout_s=wait),))
    fleet.run(Plan(name="hosts.reboot", steps=(step,)))


@fleet_task
def wait(fleet: Fleet) -> None:
    """Wait until every host answers, cloud-init is done and nobody installs packages.

    For machines that have just been made or switched on. --timeout is what each host may take.
    """
    from kubexm.engine import wait_ready as work

    fleet.inquire(work)


ns = Collection("hosts")
ns.add_task(list_, name="list")
ns.add_task(ping)
ns.add_task(facts)
ns.add_task(run)
ns.add_task(reboot)
ns.add_task(wait)
ns.add_task(put)
ns.add_task(get)
