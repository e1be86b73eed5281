"""Waiting for machines that have just been switched on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kubexm.engine.control import tell_reached
from kubexm.engine.event import HostNotice
from kubexm.engine.fleet import Part, new_run_id, now, side_by_side
from kubexm.errors import (
    AuthenticationError,
    ConnectError,
    DeadlineError,
    EscalationError,
    HostError,
    HostKeyError,
    tail,
)
from kubexm.runtime import Privilege
from kubexm.shell import Library

if TYPE_CHECKING:
    from kubexm.engine.bus import Bus
    from kubexm.engine.report import RunReport
    from kubexm.inventory import Host
    from kubexm.runtime import Runtime

_READINESS = Library.load("kubexm.engine", "readiness")
_INTERVAL_S = 2.0
_LOGIN_INTERVAL_S = 15.0
"""After a login that was refused: cloud-init may cure it, and sshd may count the refusals."""
_LOOK_S = 60.0


def wait_ready(runtime: Runtime, bus: Bus) -> RunReport:
    """Wait until every host answers over its connector, has booted, and nobody installs packages.

    A host that cannot be reached, that hangs up, or that refuses the login is asked again; one
    whose host key is wrong is not.

    Args:
        runtime: The hosts. Its timeout is what each of them may take.
        bus: Where events go: what a host is busy with is a notice, once.
    """
    run = new_run_id()

    def work(host: Host) -> Part:
        return _Vigil(host, runtime, bus, run).keep()

    return side_by_side("hosts.wait", runtime, bus, run, work, at_once=True)


class _Vigil:
    """One host's waiting."""

    def __init__(self, host: Host, runtime: Runtime, bus: Bus, run: str) -> None:
        self._host = host
        self._runtime = runtime
        self._bus = bus
        self._run = run
        self._limit = time.monotonic() + runtime.settings.timeout_s
        self._told: set[str] = set()
        self._trips = 0

    def keep(self) -> Part:
        """Until it is ready.

        Raises:
            ConnectError: It does not answer when the time is up, or its host key is wrong.
            DeadlineError: It answers then, and is busy.
        """
        while True:
            try:
                busy, pause_s = self._look(), _INTERVAL_S
            except (HostKeyError, EscalationError):
                raise
            except (ConnectError, DeadlineError) as error:
                if self._left_s() <= 0:
                    raise
                busy = f"it cannot be opened: {error.message}"
                pause_s = _INTERVAL_S
                if isinstance(error, AuthenticationError):
                    pause_s = _LOGIN_INTERVAL_S
            if not busy:
                return Part(trips=self._trips)
            if self._left_s() <= 0:
                message = f"not ready after {self._runtime.settings.timeout_s:g} s: {busy}"
                raise DeadlineError(message, hint="wait longer (--timeout), or look at the host")
            self._tell(f"waiting: {busy}")
            self._runtime.pause(self._host, min(pause_s, max(self._left_s(), 0)))

    def _look(self) -> str:
        """What it is busy with; empty when it is ready."""
        with self._runtime.connected(self._host) as connector:
            if "connected" not in self._told:
                self._told.add("connected")
                tell_reached(self._host.name, self._runtime.news(connector), self._bus, self._run)
            with self._runtime.session(self._host, connector, Privilege.LOGIN) as session:
                reply = session.ask(_READINESS.call("kx_busy"), deadline_s=_LOOK_S)
                self._trips += session.trips
        if reply.exit_status != 0:
            said = tail(reply.stderr.decode("utf-8", "replace"))
            message = f"what it is busy with cannot be told: {said}"
            raise HostError(message)
        return f"{reply.text.strip()} is at work" if reply.text.strip() else ""

    def _left_s(self) -> float:
        return self._limit - time.monotonic()

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            event = HostNotice(run=self._run, time=now(), host=self._host.name, message=message)
            self._bus.emit(event)
