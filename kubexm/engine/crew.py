"""Hands hosts to an executor and takes what comes back, until every host's way is over."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from kubexm.engine.control import tell_connected
from kubexm.engine.event import (
    HostEnded,
    HostStarted,
    HostWaiting,
    RunInterrupted,
    StepEnded,
)
from kubexm.engine.executor import Abortable
from kubexm.engine.fleet import as_error, now, status_of
from kubexm.engine.parcel import pack, unpack
from kubexm.engine.record import StepSettled
from kubexm.engine.remote import Parcel, carry
from kubexm.engine.report import HostReport, HostStatus, StepReport, StepStatus
from kubexm.engine.task import Result, skipped
from kubexm.engine.trace import Trace, working_on
from kubexm.engine.work import stint
from kubexm.errors import HostError
from kubexm.plan import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from kubexm.engine.bus import Bus
    from kubexm.engine.event import Event
    from kubexm.engine.executor import ExecutorPlugin
    from kubexm.engine.progress import Progress
    from kubexm.engine.record import Entry, Recorder
    from kubexm.engine.remote import Back
    from kubexm.engine.task import Task
    from kubexm.errors import KubexmError
    from kubexm.plan import Values
    from kubexm.runner import Host as OpenHost
    from kubexm.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What all hosts of a run have in common.

    Args:
        name: The run's id.
        runtime: The way to the hosts.
        bus: Where events go.
        recorder: Where entries go.
        progress: How far everybody is.
        values: What steps share.
    """

    name: str
    runtime: Runtime
    bus: Bus
    recorder: Recorder
    progress: Progress
    values: Values

    def emit(self, event: Event) -> None:
        """See `Control.emit`."""
        self.bus.emit(event)

    def record(self, entry: Entry) -> None:
        """See `Control.record`."""
        self.recorder.record(entry)

    def halted(self) -> str:
        """See `Control.halted`."""
        return self.progress.why_halted

    def is_urgent(self) -> bool:
        """See `Control.is_urgent`."""
        return self.progress.is_urgent

    def wait(self, seconds: float) -> bool:
        """See `Control.wait`."""
        return self.progress.wait(seconds)


class Crew:
    """Everybody at work on a run. `_lock` guards the number of hosts that are handed out.

    Only the executor's threads move hosts on; the caller's thread waits, so that Ctrl-C cannot
    lose one.

    Args:
        run: What they work on.
        plugin: Who carries the hosts.
        forks: Hosts at work at once.
        deadline_s: Seconds for the whole run; 0 for none.
    """

    def __init__(self, run: Run, plugin: ExecutorPlugin, *, forks: int, deadline_s: float) -> None:
        self._run = run
        self._plugin = plugin
        self._forks = forks
        self._limit = time.monotonic() + deadline_s if deadline_s else None
        self._deadline_s = deadline_s
        self._cluster = Cluster(inventory=run.runtime.inventory)
        self._lock = threading.Lock()
        self._out = 0
        self._idle = threading.Event()
        self._executor: Executor | None = None
        self._started: set[str] = set()
        self._faults: list[BaseException] = []
        self._is_interrupted = False

    def work(self) -> tuple[HostReport, ...]:
        """Take every host to the end of its way.

        Returns:
            A report for each, in inventory order.
        """
        hosts = self._run.progress.hosts
        with self._plugin.start(max(1, min(self._forks, len(hosts)))) as self._executor:
            try:
                self._hand_out(hosts)
            except KeyboardInterrupt:
                # those that are out end; the others were never begun
                self._run.progress.halt("the run was interrupted")
                raise
            pressed = heeded = 0
            while not self._idle.is_set():
                try:
                    while heeded < pressed:
                        heeded += 1
                        self._interrupt(again=heeded > 1)
                    self._wait()
                except KeyboardInterrupt:
                    pressed += 1
        if self._faults:
            raise self._faults[0]
        return tuple(self._report(name) for name in hosts)

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended the run."""
        return self._is_interrupted

    def _wait(self) -> None:
        if self._limit is None:
            self._idle.wait()
        elif not self._idle.wait(max(0.0, self._limit - time.monotonic())):
            self._limit = None
            self._hand_out(self._run.progress.halt(f"the run's {self._deadline_s:g} s were up"))

    def _interrupt(self, *, again: bool) -> None:
        """Begin nothing more and let what is on the wire finish; again: drop it at once."""
        if not self._is_interrupted:
            self._is_interrupted = True
            self._run.emit(RunInterrupted(run=self._run.name, time=now()))
        self._hand_out(self._run.progress.halt("the run was interrupted"))
        if again:
            self._run.runtime.abort()
            carrier: object = self._executor
            if isinstance(carrier, Abortable):
                carrier.abort()

    def _hand_out(self, hosts: tuple[str, ...]) -> None:
        with self._lock:
            self._out += len(hosts)
            if not self._out:
                self._idle.set()
        for name in hosts:
            self._submit(name)

    def _submit(self, name: str) -> None:
        if self._executor is None:
            return
        if self._plugin.shares_memory:
            self._executor.submit(self._visit, lambda: self._traced(name))
        else:
            self._visit(lambda: self._send(name))

    def _visit(self, work: Callable[[], bool]) -> None:
        """Let work on a host go on; whatever happens, a host that is not out is counted back.

        Args:
            work: True when the host is out still.
        """
        is_out = False
        try:
            is_out = work()
        except BaseException as problem:  # noqa: BLE001 - `work` raises it in the caller's thread
            self._faults.append(problem)
            self._hand_out(self._run.progress.halt("the engine failed"))
        finally:
            if not is_out:
                with self._lock:
                    self._out -= 1
                    if not self._out:
                        self._idle.set()

    # -- in this process

    def _traced(self, name: str) -> bool:
        with working_on(Trace(run=self._run.name, host=name)):
            return self._attend(name)

    def _attend(self, name: str) -> bool:
        """Take a host on until it is over or has to wait; its connection lasts so long."""
        with ExitStack() as stack:
            machine: OpenHost | None = None
            while True:
                if machine is not None and not self._run.progress.may_go_on(name):
                    # before it is said to wait: somebody else may then take it on at once
                    stack.close()
                    machine = None
                task = self._next(name)
                if task is None:
                    return False
                began = time.monotonic()
                trips = machine.trips if machine is not None else 0
                result = Result(steps=(), pending=task.pending)
                if machine is None:
                    try:
                        machine = stack.enter_context(self._run.runtime.open(task.host))
                        machine.pending = task.pending
                        tell_connected(machine, self._run, self._run.name)
                    except Exception as problem:  # noqa: BLE001 - the engine's per-host border
                        lost = as_error(problem, name)
                        steps = skipped(task, "the host could not be opened")
                        result = replace(result, steps=steps, lost=lost)
                if machine is not None:
                    result = stint(
                        task,
                        machine,
                        self._cluster,
                        self._run.values,
                        self._run,
                        run=self._run.name,
                    )
                    result = replace(result, trips=machine.trips - trips)
                self._settle(name, replace(result, duration_s=time.monotonic() - began))

    def _next(self, name: str) -> Task | None:
        """The host's next task; tells what became of steps that need none."""
        run = self._run
        if name not in self._started and not run.progress.why_halted:
            self._started.add(name)
            run.emit(HostStarted(run=run.name, time=now(), host=name))
        task, foregone = run.progress.take(name)
        for report in foregone:
            run.record(StepSettled(host=name, report=report))
            run.emit(StepEnded(run=run.name, time=now(), host=name, report=report))
        self._hand_out(run.progress.woken())
        if task is None:
            if run.progress.journey(name).is_over:
                self._ended(name)
            else:
                run.emit(HostWaiting(run=run.name, time=now(), host=name))
        return task

    def _ended(self, name: str) -> None:
        if name in self._started:
            report = self._report(name)
            self._run.emit(HostEnded(run=self._run.name, time=now(), report=report))

    def _settle(self, name: str, result: Result) -> None:
        self._hand_out(self._run.progress.settle(name, result))

    # -- elsewhere

    def _send(self, name: str) -> bool:
        """Send a host's next task out, if it has one."""
        run = self._run
        while (task := self._next(name)) is not None and self._executor is not None:
            task = replace(task, past=task.past.of(name))
            try:
                parcel = Parcel(
                    run=run.name,
                    task=task,
                    inventory=self._inventory,
                    settings=run.runtime.settings,
                    values=run.values.known(),
                )
                packed = pack(parcel)
                if not run.runtime.settings.check:
                    for entry in parcel.intents():
                        run.record(entry)
                future = self._executor.submit(carry, packed)
            except Exception as problem:  # noqa: BLE001 - as in `_attend`
                self._lose(task, as_error(problem, name))
                continue
            self._receive_later(task, future)
            return True
        return False

    @cached_property
    def _inventory(self) -> bytes:
        return pack(self._run.runtime.inventory)

    def _receive_later(self, task: Task, future: Future[bytes]) -> None:
        future.add_done_callback(lambda done: self._visit(lambda: self._receive(task, done)))

    def _receive(self, task: Task, future: Future[bytes]) -> bool:
        """Take in what came back, and send the host out again."""
        run, name = self._run, task.host.name
        try:
            back: Back = unpack(future.result())
        except Exception as problem:  # noqa: BLE001 - the worker may have died
            message = f"the process that carried it was lost: {problem!r}"
            self._lose(task, HostError(message, host=name))
            return self._send(name)
        for host, value_name, value in back.values:
            run.values.put(host, value_name, value)
        for entry in back.entries:
            run.record(entry)
        for event in back.events:
            run.emit(event)
        self._settle(name, back.result)
        return self._send(name)

    def _lose(self, task: Task, error: KubexmError) -> None:
        steps = skipped(task, "the host was lost")
        self._settle(task.host.name, Result(steps=steps, lost=error))

    # -- how it ended

    def _report(self, name: str) -> HostReport:
        journey = self._run.progress.journey(name)
        outcomes = tuple(
            (report.step, outcome) for report in journey.steps for outcome in report.outcomes
        )
        error = journey.lost or next(
            (report.error for report in journey.steps if report.error is not None), None
        )
        return HostReport(
            host=name,
            status=_status(journey.steps, status_of(outcomes, error)),
            outcomes=outcomes,
            duration_s=journey.duration_s,
            error=error,
            trips=journey.trips,
            steps=tuple(journey.steps),
        )


def _status(steps: list[StepReport], status: HostStatus) -> HostStatus:
    """A host's status, where it has not failed itself: steps may have been left out."""
    if status in (HostStatus.FAILED, HostStatus.UNREACHABLE):
        return status
    ends = {report.status for report in steps}
    if StepStatus.NOT_REACHED in ends:
        return HostStatus.INTERRUPTED
    return HostStatus.STOPPED if StepStatus.SKIPPED in ends else status
