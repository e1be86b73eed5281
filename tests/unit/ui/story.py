"""A made-up run as the events that the engine would send, at made-up times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from kubexm.engine import (
    Event,
    HostConnected,
    HostEnded,
    HostNotice,
    HostPlanned,
    HostReport,
    HostStarted,
    HostStatus,
    OperationEnded,
    RunEnded,
    RunReport,
    RunStarted,
)
from kubexm.errors import CommandError, HostError, KubexmError, UnreachableError
from kubexm.runner import Operation, Outcome, Status
from kubexm.runner.diff import text_diff
from kubexm.runner.operations import (
    CommandRun,
    FileContent,
    Hostname,
    PackagesInstalled,
    Service,
    SwapOff,
)
from kubexm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "20260131T120000Z-1a2b3c"
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
THREE = ("lab1", "узел-2.кластер.example.org", "主机三-rack-17.site-b.example.org")
MANY = tuple(f"node{number:03}.k8s.example.org" for number in range(1, 301))
FORKS = 50

CONFIGURATION = FileContent(path="/etc/sysctl.d/90-kubernetes.conf", content="")
TOKEN = FileContent(path="/etc/kubernetes/token", content=Secret("hunter2"))
PACKAGES = PackagesInstalled(
    names=frozenset({"chrony", "conntrack", "ethtool", "ipset", "iptables", "nfs-common", "socat"})
)
COMMAND = CommandRun(
    command="kubeadm config images pull --kubernetes-version v1.34.2", unless="false"
)
SERVICE = Service(name="chrony", enabled=True, running=True)
DIFF = text_diff(
    CONFIGURATION.path, "vm.swappiness = 60\n", "net.ipv4.ip_forward = 1\nvm.swappiness = 0\n"
)
HINT = "is the machine on, and does a firewall let port 22 through?"


def at(seconds: float) -> datetime:
    """A moment of the run."""
    return START + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A run over some hosts; some of them change, the second one fails, the third is away.

    Args:
        hosts: Their names.
        check: Nothing is changed.
    """

    hosts: tuple[str, ...]
    check: bool = False

    def started(self) -> RunStarted:
        """The first event."""
        return RunStarted(
            run=RUN, time=START, plan="node.prepare", hosts=self.hosts, check=self.check
        )

    def half(self) -> Iterator[Event]:
        """The first 20 seconds: a third has ended, the next ones are at work."""
        yield self.started()
        ended = len(self.hosts) // 3
        for number in range(ended):
            yield from self.whole(number)
        for number in range(ended, min(len(self.hosts), ended + FORKS)):
            yield HostStarted(run=RUN, time=at(3 + (number - ended) / 4), host=self.hosts[number])
            if number % 5 != 2:
                yield from self.connected(number)

    def rest(self) -> Iterator[Event]:
        """From there on to the end."""
        for number in range(len(self.hosts) // 3, len(self.hosts)):
            yield from self.whole(number)
        yield RunEnded(run=RUN, time=at(63), report=self.report())

    def connected(self, number: int) -> Iterator[Event]:
        """A host that has let us in."""
        host = self.hosts[number]
        yield HostConnected(run=RUN, time=at(3), host=host)
        yield HostPlanned(run=RUN, time=at(3), host=host, steps=4, operations=7)

    def whole(self, number: int) -> Iterator[Event]:
        """A host from its beginning to its end."""
        report = self.host(number)
        yield HostStarted(run=RUN, time=at(1), host=report.host)
        if report.status is not HostStatus.UNREACHABLE:
            yield from self.connected(number)
            if number % 100 == 0:
                message = "accepted the new host key SHA256:0l2x…"
                yield HostNotice(run=RUN, time=at(3), host=report.host, message=message)
        for step, outcome in report.outcomes:
            yield OperationEnded(run=RUN, time=at(9), host=report.host, step=step, outcome=outcome)
        yield HostEnded(run=RUN, time=at(9), report=report)

    def report(self) -> RunReport:
        """What it comes to."""
        hosts = tuple(self.host(number) for number in range(len(self.hosts)))
        return RunReport(run=RUN, hosts=hosts, check=self.check, duration_s=63.4)

    def host(self, number: int) -> HostReport:
        """What a host comes to."""
        name = self.hosts[number]
        match number % 60:
            case 1:
                return self._failed(name)
            case 2:
                error: KubexmError = UnreachableError(
                    f"cannot connect to 10.0.{number // 60}.12 port 22: no route to host",
                    host=name,
                    hint=HINT,
                )
                away = HostStatus.UNREACHABLE
                return HostReport(host=name, status=away, duration_s=3.02, error=error)
            case position if position % 3 == 0:
                return self._changed(name, 6 + number % 7)
            case _:
                outcomes = tuple(
                    (step, Outcome(operation=op, status=Status.OK)) for step, op in _plan(name)
                )
                return HostReport(
                    host=name, status=HostStatus.OK, outcomes=outcomes, duration_s=1.2, trips=2
                )

    def _changed(self, name: str, duration_s: float) -> HostReport:
        rests = (PACKAGES.label(),) if self.check else ()
        diff = text_diff("service chrony", "enabled = False\n", "enabled = True\n")
        found = _outcomes(name) | {
            CONFIGURATION: _change(CONFIGURATION, DIFF),
            TOKEN: _change(TOKEN),
            PACKAGES: _change(PACKAGES, text_diff("packages", "chrony -\n", "chrony 4.3-2\n")),
            SERVICE: replace(_change(SERVICE, diff), rests_on=rests),
        }
        return HostReport(
            host=name,
            status=HostStatus.CHANGED,
            outcomes=tuple((step, found[op]) for step, op in _plan(name)),
            duration_s=duration_s,
            trips=3,
        )

    def _failed(self, name: str) -> HostReport:
        error: HostError = CommandError(
            "exit status 100",
            command="apt-get install …",
            exit_status=100,
            stderr="E: Unable to fetch some archives\nE: 404 Not Found [IP: 10.0.0.1 80]\n",
            hint="look at /etc/apt/sources.list.d, then run again",
        )
        found = _outcomes(name) | {
            CONFIGURATION: _change(CONFIGURATION, DIFF),
            PACKAGES: Outcome(operation=PACKAGES, status=Status.FAILED, error=error),
            COMMAND: Outcome(operation=COMMAND, status=Status.SKIPPED),
            SERVICE: Outcome(operation=SERVICE, status=Status.SKIPPED),
        }
        return HostReport(
            host=name,
            status=HostStatus.FAILED,
            outcomes=tuple((step, found[op]) for step, op in _plan(name)),
            duration_s=7.5,
            error=error,
            trips=3,
        )


def _plan(name: str) -> tuple[tuple[str, Operation], ...]:
    return (
        ("kernel", CONFIGURATION),
        ("kernel", SwapOff()),
        ("names", Hostname(name="node" if not name.isascii() else name)),
        ("secrets", TOKEN),
        ("packages", PACKAGES),
        ("packages", COMMAND),
        ("packages", SERVICE),
    )


def _outcomes(name: str) -> dict[Operation, Outcome]:
    found = {op: Outcome(operation=op, status=Status.OK) for _, op in _plan(name)}
    note = "swap belongs to the machine that this container runs on"
    return found | {SwapOff(): Outcome(operation=SwapOff(), status=Status.OK, notes=(note,))}


def _change(operation: Operation, diff: str = "") -> Outcome:
    return Outcome(operation=operation, status=Status.CHANGED, diff=diff, exit_status=0)
