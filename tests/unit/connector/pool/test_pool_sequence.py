"""Random sequences of everything that can happen to a pool, against what must always hold."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kubexm.connector import Endpoint
from kubexm.connector.pool import Pool, PoolSettings
from kubexm.errors import KubexmError, UnreachableError
from kubexm.testing import FakeConnection, FakeNetwork
from tests.unit.connector.pool.clock import PATIENCE_S, ManualClock

if TYPE_CHECKING:
    from kubexm.connector.pool import ManagedConnection

GATE = Endpoint(name="gate")
INNER = Endpoint(name="inner")
HOSTS = (
    Endpoint(name="a"),
    Endpoint(name="b"),
    Endpoint(name="c", bastions=(GATE,)),
    Endpoint(name="d", bastions=(GATE,)),
    Endpoint(name="e", bastions=(GATE, INNER)),
)
BASTIONS = ("gate", "inner")
HEALTH_CHECK_S = 30
host = st.sampled_from(HOSTS)
machine = st.sampled_from([one.name for one in (*HOSTS, GATE, INNER)])


def name_in(label: str) -> str:
    """The host in a label such as "c via gate"."""
    return label.partition(" ")[0]


@dataclass(eq=False)
class User:
    """Someone who leases a connection in a thread of their own, and returns it when told."""

    endpoint: Endpoint
    held: ManagedConnection | None = None
    was_fit: bool | None = None
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self, pool: Pool, clock: ManualClock) -> None:
        self.thread = threading.Thread(target=self._use, args=(pool, clock))
        self.thread.start()

    def _use(self, pool: Pool, clock: ManualClock) -> None:
        try:
            with pool.lease(self.endpoint) as connection:
                connector = connection.connector
                assert isinstance(connector, FakeConnection)
                is_fresh = connection.checked + HEALTH_CHECK_S > clock.now()
                self.was_fit = connector.is_connected() and (is_fresh or connector.answers(0))
                self.held = connection
                assert self.done.wait(PATIENCE_S)
                if self.error is not None:
                    raise self.error
        except KubexmError as error:
            self.error = error
        finally:
            self.held = None
            self.done.set()

    def finish(self, error: Exception | None = None) -> None:
        assert self.thread is not None
        self.error = error
        self.done.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


@settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
class PoolMachine(RuleBasedStateMachine):
    """What the test remembers: who uses, who waits (in order), and which limits hold."""

    def __init__(self) -> None:
        super().__init__()
        self.threads_before = set(threading.enumerate())
        self.down: set[str] = set()
        self.excess: list[str] = []
        self.network = FakeNetwork(on_dial=self.dial)
        self.clock = ManualClock()
        self.pool = Pool(self.network, self.limits(), clock=self.clock)
        self.users: list[User] = []
        self.waiting: list[User] = []
        self.seen: dict[FakeConnection, ManagedConnection] = {}
        self.is_shut = False

    @staticmethod
    def limits(
        total: int = 4, per_key: int = 2, max_idle: int = 2, min_idle: int = 0
    ) -> PoolSettings:
        return PoolSettings(
            max_total=total,
            max_per_key=per_key,
            max_idle_per_key=max_idle,
            min_idle_per_key=min_idle,
            max_age_s=500,
            idle_timeout_s=100,
            health_check_s=HEALTH_CHECK_S,
            wait_timeout_s=1e9,
        )

    def dial(self, endpoint: Endpoint) -> None:
        if endpoint.name in self.down:
            message = "the machine is down"
            raise UnreachableError(message, host=endpoint.name)
        there = [one.endpoint.name for one in self.connections()]
        limits = self.pool.settings
        if endpoint.name not in BASTIONS and (
            len(there) >= limits.max_total or there.count(endpoint.name) >= limits.max_per_key
        ):
            self.excess.append(endpoint.name)

    def connections(self) -> list[FakeConnection]:
        return [one for one in self.network.open if one.endpoint.name not in BASTIONS]

    def holding(self) -> list[User]:
        return [user for user in self.users if user.held is not None]

    def settle(self) -> None:
        """Wait until everyone has what they can have; then see who was served, and how."""
        limit = time.monotonic() + PATIENCE_S
        while True:
            if self.pool.settings.min_idle_per_key:
                self.pool.tend()
            state = self.pool.state
            unserved = [one for one in self.users if one.held is None and not one.done.is_set()]
            at_rest = not state.all.dialling and not state.all.closing
            if at_rest and len(unserved) == len(state.waiting):
                break
            assert time.monotonic() < limit, f"no rest: {self.pool}, {unserved}"
            time.sleep(0.0002)
        served = [user for user in self.waiting if user.held is not None]
        self.waiting = [user for user in self.waiting if user in unserved]
        for user in self.waiting:
            for other in served:
                if self.order(user) < self.order(other):
                    # only who is kept by the limit of their own host can be overtaken
                    is_kept = user.endpoint is not other.endpoint and self.is_full(user)
                    assert is_kept, f"{other} overtook {user}"
        for user in self.holding():
            assert user.held is not None
            connector = user.held.connector
            assert isinstance(connector, FakeConnection)
            self.seen[connector] = user.held
            assert user.was_fit, "what was handed out is broken"
        for user in self.users:
            if user.done.is_set() and user.was_fit is None and not self.is_shut:
                way = {one.name for one in (user.endpoint, *user.endpoint.bastions)}
                assert way & self.down, f"without need: {user.error}"
        self.users = [user for user in self.users if not user.done.is_set()]

    def order(self, user: User) -> int:
        return self.users.index(user)

    def is_full(self, user: User) -> bool:
        """Whether the user's host has all the connections that one host may have."""
        own = self.pool.state.by_label.items()
        total = sum(count.total for label, count in own if name_in(label) == user.endpoint.name)
        return total >= self.pool.settings.max_per_key

    @precondition(lambda self: len(self.users) < 10)
    @rule(endpoint=host)
    def lease(self, endpoint: Endpoint) -> None:
        user = User(endpoint)
        self.users.append(user)
        self.waiting.append(user)
        user.start(self.pool, self.clock)
        self.settle()

    @precondition(lambda self: self.holding())
    @rule(data=st.data(), is_lost=st.booleans())
    def give_back(self, data: st.DataObject, *, is_lost: bool) -> None:
        user = data.draw(st.sampled_from(self.holding()))
        message = "the link was lost"
        user.finish(UnreachableError(message) if is_lost else None)
        self.settle()

    @rule(name=machine)
    def take_down(self, name: str) -> None:
        """The machine no longer takes connections."""
        self.down.add(name)

    @rule()
    def bring_up(self) -> None:
        self.down.clear()
        self.network.frozen.clear()

    @rule(name=machine)
    def cut(self, name: str) -> None:
        self.network.cut(name)

    @rule(name=machine)
    def freeze(self, name: str) -> None:
        self.network.frozen.add(name)

    @rule(seconds=st.sampled_from([1, 31, 60, 101, 250, 501]))
    def grow_old(self, seconds: int) -> None:
        self.clock.time += seconds
        due = self.pool.tend()
        self.settle()
        assert due is None or due > self.clock.time
        self.check_ages()

    @precondition(lambda self: not self.is_shut)
    @rule(
        total=st.integers(1, 6),
        per_key=st.integers(1, 3),
        max_idle=st.integers(0, 3),
        min_idle=st.integers(0, 1),
    )
    def reconfigure(self, total: int, per_key: int, max_idle: int, min_idle: int) -> None:
        min_idle = min(min_idle, max_idle)
        self.pool.reconfigure(self.limits(total, per_key, max_idle, min_idle))
        self.settle()

    @precondition(lambda self: len(self.users) > 4)
    @rule()
    def shut_down(self) -> None:
        self.is_shut = True
        self.pool.close()
        self.settle()
        assert not self.waiting
        assert self.pool.state.all.idle == 0

    def check_ages(self) -> None:
        """Nothing that is idle is over its time."""
        held = {id(user.held) for user in self.holding()}
        for connector in self.connections():
            known = self.seen.get(connector)
            if known is None or id(known) in held:
                continue
            assert known.created + 500 > self.clock.time
            if not self.pool.settings.min_idle_per_key:
                assert known.used + 100 > self.clock.time

    @invariant()
    def no_limit_is_passed(self) -> None:
        assert not self.excess
        state, limits = self.pool.state, self.pool.settings
        assert len(self.connections()) == state.all.total
        assert state.all.active == len(self.holding())
        for label, count in state.by_label.items():
            if label not in BASTIONS:
                assert count.idle <= limits.max_idle_per_key
                assert count.total <= max(limits.max_per_key, count.active)
        assert state.all.total <= max(limits.max_total, state.all.active)

    @invariant()
    def no_connection_is_leased_twice(self) -> None:
        held = [id(user.held) for user in self.holding()]
        assert len(set(held)) == len(held)

    @invariant()
    def the_bastions_that_are_open_are_those_that_are_needed(self) -> None:
        needed: set[FakeConnection] = set()
        for connector in self.connections():
            bastion = connector.bastion
            while bastion is not None:
                needed.add(bastion)
                bastion = bastion.bastion
        there = [one for one in self.network.open if one.endpoint.name in BASTIONS]
        assert set(there) == needed

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        state = self.pool.state
        assert [name_in(label) for label in state.waiting] == [
            user.endpoint.name for user in self.waiting
        ]
        for user in self.waiting:
            has_no_room = state.all.total >= self.pool.settings.max_total and not state.all.idle
            assert has_no_room or self.is_full(user)

    def teardown(self) -> None:
        self.is_shut = True
        self.pool.close()
        for user in self.users:
            user.finish()
        self.settle()
        assert self.network.open == ()
        assert self.pool.state.bastions == 0
        assert set(threading.enumerate()) <= self.threads_before


TestPoolMachine = PoolMachine.TestCase
