"""The strict policy about hosts that cannot be opened: everybody, or nothing is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.engine.control import tell_connected, tell_reached
from kubexm.engine.fleet import Part, new_run_id, side_by_side
from kubexm.engine.report import HostStatus
from kubexm.errors import HostError, InitializationError
from kubexm.runtime import Privilege, Unreachable
from kubexm.shell import Script

if TYPE_CHECKING:
    from kubexm.engine.bus import Bus
    from kubexm.engine.report import HostReport
    from kubexm.inventory import Host
    from kubexm.runtime import Runtime


def require_all(runtime: Runtime, bus: Bus, privilege: Privilege = Privilege.ROOT) -> None:
    """Where the policy is strict, open every host before anything is begun on any.

    That is a run of its own, "opening": each host connects and starts its shell, for root also
    reads its facts and takes the lock, and is left again. What its connector lets be kept is
    used by the run that follows. Neither `max_fail` nor the first failure ends it, so that all
    errors are told at once.

    Args:
        runtime: The hosts.
        bus: Where the opening's events go.
        privilege: What the work to come needs.

    Raises:
        InitializationError: Hosts could not be opened.
        KeyboardInterrupt: It was interrupted.
    """
    if runtime.settings.unreachable is not Unreachable.FAIL:
        return
    run = new_run_id()

    def work(host: Host) -> Part:
        if privilege is Privilege.ROOT:
            with runtime.open(host) as machine:
                tell_connected(machine, bus, run)
                return Part(trips=machine.trips)
        with runtime.connected(host) as connector:
            tell_reached(host.name, runtime.news(connector), bus, run)
            with runtime.session(host, connector, privilege) as session:
                session.ask(Script("true"), deadline_s=runtime.settings.timeout_s)
                return Part(trips=session.trips)

    report = side_by_side("opening", runtime, bus, run, work, at_once=True, whole=True)
    if report.interrupted:
        raise KeyboardInterrupt
    errors = {host.host: host.error or _late(host) for host in report.hosts if not _is_open(host)}
    if errors:
        raise InitializationError(errors)


def _is_open(host: HostReport) -> bool:
    return host.error is None and host.status is not HostStatus.INTERRUPTED


def _late(host: HostReport) -> HostError:
    return HostError("the run's time was up before it was opened", host=host.host)
