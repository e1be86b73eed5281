"""A host's task in another process: what goes there, the work itself, and what comes back."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kubexm.engine.control import tell_connected
from kubexm.engine.fleet import as_error
from kubexm.engine.parcel import pack, unpack
from kubexm.engine.record import WHOLE, Intended, Published
from kubexm.engine.task import Result, skipped
from kubexm.engine.work import stint
from kubexm.plan import Cluster, Values
from kubexm.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.engine.event import Event
    from kubexm.engine.record import Entry
    from kubexm.engine.task import Task
    from kubexm.inventory import Inventory
    from kubexm.plan import Value
    from kubexm.runtime import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Everything that another process needs for one host's task.

    Args:
        run: The run's id.
        task: What to do.
        inventory: All hosts, for what steps may know of them; packed, once for all parcels.
        settings: How to go about it.
        values: What steps have published so far: host, name and value.
    """

    run: str
    task: Task
    inventory: bytes
    settings: Settings
    values: tuple[tuple[str, str, Value], ...]

    def intents(self) -> Iterator[Intended]:
        """What the journal is told before it is sent: nothing finer is known until it is back."""
        for one in self.task.steps:
            yield Intended(
                host=self.task.host.name,
                step=one.name,
                item=WHOLE,
                labels=(f"{one.name}, in another process",),
                procedure=True,
                owes=bool(one.step.on_change),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """What comes back.

    Args:
        result: Of the task.
        events: In order.
        entries: For the journal, in order.
        values: What its steps have published.
    """

    result: Result
    events: tuple[Event, ...]
    entries: tuple[Entry, ...]
    values: tuple[tuple[str, str, Value], ...]


class _Collected:
    """A `Control` that keeps what it is told; nobody halts a run from here."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.entries: list[Entry] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def record(self, entry: Entry) -> None:
        self.entries.append(entry)

    def halted(self) -> str:
        return ""

    def is_urgent(self) -> bool:
        return False

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        return False


@contextmanager
def _abortable(runtime: Runtime) -> Iterator[None]:
    """While it lasts, SIGTERM drops the runtime's sessions, so that work ends and is told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def abort(number: int, frame: object) -> None:
        del number, frame
        # not here: the work that was interrupted may hold the runtime's lock
        threading.Thread(target=runtime.abort, name="kubexm-abort").start()

    before = signal.signal(signal.SIGTERM, abort)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def carry(packed: bytes) -> bytes:
    """Open a host, do its task, close it: what an executor elsewhere calls.

    Args:
        packed: A `Parcel`.

    Returns:
        A `Back`, packed.
    """
    parcel: Parcel = unpack(packed)
    task = parcel.task
    control = _Collected()
    values = Values(parcel.values)
    began = time.monotonic()
    try:
        inventory: Inventory = unpack(parcel.inventory)
        with (
            closing(Runtime(inventory, (task.host,), parcel.settings)) as runtime,
            _abortable(runtime),
            runtime.open(task.host) as machine,
        ):
            machine.pending = task.pending
            tell_connected(machine, control, parcel.run)
            cluster = Cluster(inventory=inventory)
            result = stint(task, machine, cluster, values, control, run=parcel.run)
            result = replace(result, trips=machine.trips, duration_s=time.monotonic() - began)
    except Exception as problem:  # noqa: BLE001 - the engine's per-host border (DESIGN §9)
        result = Result(
            steps=skipped(task, "the host could not be opened"),
            pending=task.pending,
            duration_s=time.monotonic() - began,
            lost=as_error(problem, task.host.name),
        )
    published = tuple(
        (entry.host, entry.name, entry.value)
        for entry in control.entries
        if isinstance(entry, Published)
    )
    return pack(
        Back(
            result=result,
            events=tuple(control.events),
            entries=tuple(control.entries),
            values=published,
        )
    )
