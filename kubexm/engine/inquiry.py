"""Looking at hosts: a command, the facts, or only whether they answer. Nothing is converged.

What facts and commands take is loaded by them, so that a ping is no more than that.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from kubexm.engine.control import tell_reached
from kubexm.engine.event import CommandEnded, FactsRead, OutputReceived
from kubexm.engine.fleet import Part, new_run_id, now, side_by_side
from kubexm.engine.opening import require_all
from kubexm.runtime import Privilege, Runtime, is_image
from kubexm.secret import REDACTED
from kubexm.shell import Reply, Script

if TYPE_CHECKING:
    from kubexm.engine.bus import Bus
    from kubexm.engine.report import RunReport
    from kubexm.inventory import Host
    from kubexm.runner import CommandOptions

_LINE_BYTES = 1 << 16
"""A line that is longer is given out in parts."""


def ping(runtime: Runtime, bus: Bus) -> RunReport:
    """Connect to every host and start a shell there, as the login user."""
    run = new_run_id()

    def work(host: Host) -> Part:
        with runtime.connected(host) as connector:
            tell_reached(host.name, runtime.news(connector), bus, run)
            with runtime.session(host, connector, Privilege.LOGIN) as session:
                session.ask(Script("true"), deadline_s=runtime.settings.timeout_s)
                return Part(trips=session.trips)

    return side_by_side("hosts.ping", runtime, bus, run, work, at_once=True)


def facts(runtime: Runtime, bus: Bus) -> RunReport:
    """Read every host's facts, as the login user unless the inventory insists on root."""
    from kubexm.facts import parse, script

    run = new_run_id()

    def work(host: Host) -> Part:
        with runtime.connected(host) as connector:
            tell_reached(host.name, runtime.news(connector), bus, run)
            with runtime.session(host, connector, Privilege.LOGIN) as session:
                reply = session.ask(script(), deadline_s=runtime.settings.timeout_s)
                found = parse(reply, image=is_image(host, connector))
                bus.emit(FactsRead(run=run, time=now(), host=host.name, facts=found))
                return Part(trips=session.trips)

    return side_by_side("hosts.facts", runtime, bus, run, work, at_once=True)


def command(
    text: str, runtime: Runtime, bus: Bus, *, options: CommandOptions | None = None
) -> RunReport:
    """Run a user's shell command on every host: a channel of its own, the login environment.

    An interrupt ends it on the hosts.

    Args:
        text: POSIX sh; its stdin is /dev/null. A status other than 0 fails the host.
        runtime: The hosts. Its timeout is the command's deadline, enforced on the host.
        bus: Where events go.
        options: How it is run.

    Raises:
        InitializationError: See `require_all`.
    """
    from kubexm.runner import CommandOptions, execute

    require_all(runtime, bus, Privilege.LOGIN)
    options = options or CommandOptions()
    run = new_run_id()

    def work(host: Host) -> Part:
        with runtime.connected(host) as connector:
            tell_reached(host.name, runtime.news(connector), bus, run)
            began = time.monotonic()
            output = _Output(host.name, bus, run)
            how = replace(options, any_status=True, stream=output.receive)
            with runtime.session(
                host, connector, Privilege.LOGIN, login=True, user=options.user
            ) as session:
                reply = execute(session, text, how, deadline_s=runtime.settings.timeout_s)
            output.end()
            bus.emit(
                CommandEnded(
                    run=run,
                    time=now(),
                    host=host.name,
                    command=REDACTED if options.is_secret else text,
                    reply=Reply(exit_status=reply.exit_status) if options.is_secret else reply,
                    duration_s=time.monotonic() - began,
                )
            )
            error = (
                None
                if reply.exit_status == 0 or options.any_status
                else options.failure(text, reply)
            )
            return Part(trips=session.trips, error=error)

    return side_by_side("hosts.run", runtime, bus, run, work, at_once=True)


class _Output:
    """What a command prints, as events of whole lines. The thread that reads it calls."""

    def __init__(self, host: str, bus: Bus, run: str) -> None:
        self._host = host
        self._bus = bus
        self._run = run
        self._rest = {"stdout": b"", "stderr": b""}

    def receive(self, stream: str, data: bytes) -> None:
        """See `kubexm.runner.command.Writer`."""
        lines, newline, self._rest[stream] = (self._rest[stream] + data).rpartition(b"\n")
        if len(self._rest[stream]) > _LINE_BYTES:
            lines, newline, self._rest[stream] = lines + newline + self._rest[stream], b"", b""
        self._emit(stream, lines + newline)

    def end(self) -> None:
        """Give out last lines that have no end."""
        for stream, rest in self._rest.items():
            self._emit(stream, rest)

    def _emit(self, stream: str, data: bytes) -> None:
        if data:
            text = data.decode("utf-8", "replace")
            event = OutputReceived(
                run=self._run, time=now(), host=self._host, stream=stream, text=text
            )
            self._bus.emit(event)
