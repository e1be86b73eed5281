"""A fleet in memory: plans are walked by the real engine, and every host is a `FakeMachine`.

fleet = FakeFleet({"n1": machine, "n2": other}, catalogue)
report = fleet.walk(plan)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubexm.connector import Endpoint
from kubexm.engine import Bus, Past, RunReport, walk
from kubexm.errors import UnreachableError
from kubexm.inventory import BecomeMode, Group, Host, Inventory
from kubexm.runtime import Runtime, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubexm.engine import Listener, Recorder
    from kubexm.plan import Plan
    from kubexm.runner import Catalogue
    from kubexm.shell import Process
    from kubexm.testing.fake import FakeMachine

_CONNECTION = "fake"


class FakeConnector:
    """A connector to a machine in memory.

    Args:
        machine: Where `open` starts its processes.
        is_reachable: Else `connect` fails as it does for a host that is switched off.
    """

    def __init__(self, machine: FakeMachine[Any], *, is_reachable: bool = True) -> None:
        self._machine = machine
        self._is_reachable = is_reachable
        self._is_connected = False

    def connect(self) -> None:
        """See `Connector.connect`."""
        if not self._is_reachable:
            message = "no route to the fake host"
            raise UnreachableError(message)
        self._is_connected = True

    def close(self) -> None:
        """See `Connector.close`."""
        self._is_connected = False

    def is_connected(self) -> bool:
        """See `Connector.is_connected`."""
        return self._is_connected

    def open(self, command: str) -> Process:
        """See `Connector.open`."""
        return self._machine.open(command)


class FakeFleet:
    """Hosts in memory, and an inventory that has them.

    Args:
        machines: By the names of their hosts, in inventory order. Each is asked for its facts
            (`kx_facts`) and to be locked (`kx_lock`) as real ones are.
        catalogue: Handlers for the plan's operations.
        groups: Names of hosts by the names of their groups.
        unreachable: Hosts that are switched off.
    """

    def __init__(
        self,
        machines: Mapping[str, FakeMachine[Any]],
        catalogue: Catalogue,
        *,
        groups: Mapping[str, Iterable[str]] | None = None,
        unreachable: Iterable[str] = (),
    ) -> None:
        self.machines = dict(machines)
        self.unreachable = set(unreachable)
        self._catalogue = catalogue
        named = {name: tuple(hosts) for name, hosts in (groups or {}).items()}
        hosts = tuple(
            Host(
                name=name,
                address=name,
                internal_address=name,
                groups=tuple(group for group, members in named.items() if name in members),
                connection=_CONNECTION,
                become=BecomeMode.FALSE,
                endpoint=Endpoint(name=name),
            )
            for name in self.machines
        )
        everyone = {"all": tuple(self.machines), **named}
        self.inventory = Inventory(
            path=Path("fake.yaml"),
            hosts=hosts,
            groups={
                name: Group(name=name, hosts=members, members=members)
                for name, members in everyone.items()
            },
        )

    def __repr__(self) -> str:
        return f"<FakeFleet: {len(self.machines)} hosts>"

    def runtime(self, settings: Settings | None = None) -> Runtime:
        """A runtime over all hosts; each run wants its own."""
        return Runtime(
            self.inventory,
            self.inventory.hosts,
            settings,
            connectors={_CONNECTION: self._connector},
            catalogue=self._catalogue,
        )

    def walk(
        self,
        plan: Plan,
        settings: Settings | None = None,
        *,
        listeners: Iterable[Listener] = (),
        recorder: Recorder | None = None,
        past: Past | None = None,
    ) -> RunReport:
        """Walk a plan over all hosts. See `kubexm.engine.walk`."""
        runtime = self.runtime(settings)
        with Bus(listeners) as bus:
            return walk(plan, runtime, bus, recorder=recorder, past=past or Past())

    def _connector(self, endpoint: Endpoint) -> FakeConnector:
        name = endpoint.name
        return FakeConnector(self.machines[name], is_reachable=name not in self.unreachable)
