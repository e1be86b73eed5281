"""Walks a plan over hosts: side by side, each at its own pace, failures kept apart.

In: a `Plan` and a `Runtime`. Out: a `RunReport`, and on the way an event for everything that
happens; the terminal, JSON lines and every other reader are listeners.
"""

from kubexm.engine.bus import Bus, Listener
from kubexm.engine.event import (
    CommandEnded,
    Event,
    FactsRead,
    HostConnected,
    HostEnded,
    HostNotice,
    HostPlanned,
    HostStarted,
    HostWaiting,
    OperationEnded,
    OutputReceived,
    RunEnded,
    RunInterrupted,
    RunStarted,
    StepEnded,
    TransferProgressed,
    as_json,
)
from kubexm.engine.executor import ExecutorPlugin
from kubexm.engine.inquiry import command, facts, ping
from kubexm.engine.listener import ListenerFactory, ListenerOptions, listener
from kubexm.engine.readiness import wait_ready
from kubexm.engine.record import (
    OWED,
    WHOLE,
    Entry,
    Intended,
    Nowhere,
    Past,
    ProcedureEnded,
    Published,
    Recorder,
    Repaid,
    RunBegan,
    RunSettled,
    StepSettled,
)
from kubexm.engine.report import (
    ExitCode,
    HostReport,
    HostStatus,
    RunReport,
    StepReport,
    StepStatus,
)
from kubexm.engine.walk import each, walk

__all__ = [
    "OWED",
    "WHOLE",
    "Bus",
    "CommandEnded",
    "Entry",
    "Event",
    "ExecutorPlugin",
    "ExitCode",
    "FactsRead",
    "HostConnected",
    "HostEnded",
    "HostNotice",
    "HostPlanned",
    "HostReport",
    "HostStarted",
    "HostStatus",
    "HostWaiting",
    "Intended",
    "Listener",
    "ListenerFactory",
    "ListenerOptions",
    "Nowhere",
    "OperationEnded",
    "OutputReceived",
    "Past",
    "ProcedureEnded",
    "Published",
    "Recorder",
    "Repaid",
    "RunBegan",
    "RunEnded",
    "RunInterrupted",
    "RunReport",
    "RunSettled",
    "RunStarted",
    "StepEnded",
    "StepReport",
    "StepSettled",
    "StepStatus",
    "TransferProgressed",
    "as_json",
    "command",
    "each",
    "facts",
    "listener",
    "ping",
    "wait_ready",
    "walk",
]
