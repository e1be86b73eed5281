"""What one host's work needs of the run around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kubexm.engine.event import HostConnected, HostNotice
from kubexm.engine.fleet import now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubexm.engine.event import Event
    from kubexm.engine.record import Entry
    from kubexm.runner import Host as OpenHost


class Control(Protocol):
    """What a host's work needs of the run around it."""

    def emit(self, event: Event) -> None:
        """Tell the listeners."""
        ...

    def record(self, entry: Entry) -> None:
        """Tell the journal; see `Recorder.record`."""
        ...

    def halted(self) -> str:
        """Why nothing more is to be begun; empty while the run goes on."""
        ...

    def is_urgent(self) -> bool:
        """Whether even owed work is not begun any more."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until nothing more is to be begun; whether that is so."""
        ...


class Emits(Protocol):
    """Where events go: a `Bus`, or a `Control`."""

    def emit(self, event: Event) -> None:
        """Tell the listeners."""
        ...


def tell_connected(machine: OpenHost, control: Emits, run: str) -> None:
    """The events of a host that has just been opened."""
    tell_reached(machine.name, machine.notices, control, run)


def tell_reached(host: str, notices: Sequence[str], control: Emits, run: str) -> None:
    """The events of a host that answers, and what its connection has to tell."""
    control.emit(HostConnected(run=run, time=now(), host=host))
    for notice in notices:
        control.emit(HostNotice(run=run, time=now(), host=host, message=notice))
