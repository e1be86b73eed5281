"""The pool over a network of machines that exist only in memory."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Endpoint
from kubexm.connector.local import LocalConnector
from kubexm.connector.pool import Pool, PoolSettings, PoolSource, close_until_gone
from kubexm.errors import (
    AuthenticationError,
    ConnectError,
    DroppedError,
    HostError,
    PoolClosedError,
    PoolExhaustedError,
    UnreachableError,
)
from kubexm.secret import Secret
from kubexm.testing import FakeConnection, FakeNetwork
from tests.unit.connector.pool.clock import PATIENCE_S, DreamClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kubexm.connector import Connector

WEB = Endpoint(name="web")
GATE = Endpoint(name="gate")


def failing(*errors: Exception) -> Callable[[Endpoint], None]:
    """What each of the first dials comes to; later ones succeed."""
    left = list(errors)

    def on_dial(endpoint: Endpoint) -> None:
        del endpoint
        if left:
            raise left.pop(0)

    return on_dial


def dropped(number: int) -> list[Exception]:
    return [DroppedError("hung up") for _ in range(number)]


class TestLease:
    def test_it_is_connected_and_knows_where_it_leads(self) -> None:
        network = FakeNetwork()
        with Pool(network) as pool, pool.lease(WEB) as lease:
            assert lease.connector.is_connected()
            assert lease.endpoint is WEB
            assert lease.key.label == "web"
            assert "web" in repr(lease)
            assert repr(pool) == "<Pool: 1 active, 0 idle of 100>"
        assert network.open == ()

    def test_it_is_kept_after_a_failure_that_says_nothing_about_the_connection(self) -> None:
        network = FakeNetwork()
        with Pool(network) as pool:
            message = "the command failed"
            with pytest.raises(HostError), pool.lease(WEB):
                raise HostError(message)
            with pool.lease(WEB):
                pass
        assert network.dials == ["web"]

    def test_it_is_closed_after_a_failure_to_reach_the_host(self) -> None:
        network = FakeNetwork()
        with Pool(network) as pool:
            message = "the link was lost"
            with pytest.raises(UnreachableError), pool.lease(WEB):
                raise UnreachableError(message)
            assert network.open == ()

    def test_what_cannot_be_kept_is_closed(self) -> None:
        made: list[LocalConnector] = []

        def factory(endpoint: Endpoint) -> LocalConnector:
            del endpoint
            made.append(LocalConnector())
            return made[-1]

        with Pool(factory) as pool:
            for _ in range(2):
                with pool.lease(WEB):
                    pass
            assert len(made) == 2
            assert not any(one.is_connected() for one in made)

    def test_a_connector_that_leads_nowhere_else_is_no_bastion(self) -> None:
        class Dead(FakeConnection):
            def route(self) -> tuple[Endpoint, ...]:
                return () if self.endpoint.name == "gate" else (GATE,)

        network = FakeNetwork()

        def factory(endpoint: Endpoint) -> Connector:
            return LocalConnector() if endpoint.name == "gate" else Dead(network, endpoint)

        with (
            Pool(factory) as pool,
            pytest.raises(ConnectError, match="gate cannot be a bastion"),
            pool.lease(WEB),
        ):
            pass
        assert pool.state.bastions == 0

    def test_one_fault_in_closing_does_not_keep_the_others_open(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def on_close(endpoint: Endpoint) -> None:
            if endpoint.name == "bad":
                message = "a fault"
                raise RuntimeError(message)

        network = FakeNetwork(on_close=on_close)
        pool = Pool(network)
        for name in ("a", "bad", "c"):
            with pool.lease(Endpoint(name=name)):
                pass
        with caplog.at_level(logging.ERROR):
            pool.close()
        assert [one.endpoint.name for one in network.open] == ["bad"]
        assert "while bad was closed" in caplog.text
        assert pool.state.all.total == 0


class TestDialling:
    def test_a_host_that_hangs_up_is_tried_again_until_it_does_not(self) -> None:
        network = FakeNetwork(on_dial=failing(*dropped(6)))
        clock = DreamClock()
        began = clock.now()
        with Pool(network, clock=clock) as pool, pool.lease(WEB):
            assert network.dials == ["web"] * 7
            assert pool.counters.errors == {("web", "DroppedError"): 6}
            assert 0.1 < clock.now() - began < 15

    def test_a_host_that_always_hangs_up_is_given_up(self) -> None:
        network = FakeNetwork(on_dial=failing(*dropped(1000)))
        clock = DreamClock()
        began = clock.now()
        with (
            Pool(network, PoolSettings(connect_timeout_s=20), clock=clock) as pool,
            pytest.raises(DroppedError),
            pool.lease(WEB),
        ):
            pass
        assert 20 <= clock.now() - began < 25
        assert pool.state.all.total == 0

    def test_the_pause_before_the_next_try_ends_with_the_pool(self) -> None:
        network = FakeNetwork(on_dial=failing(*dropped(1000)))
        pool = Pool(network, PoolSettings(connect_timeout_s=3600))

        def use() -> None:
            with pool.lease(WEB):
                pass

        with ThreadPoolExecutor(1) as users:
            waiting = users.submit(use)
            while not network.dials:
                time.sleep(0.001)
            pool.close()
            with pytest.raises((DroppedError, PoolClosedError)):
                waiting.result(PATIENCE_S)
        assert pool.state.all.total == 0

    @pytest.mark.parametrize("kind", [UnreachableError, AuthenticationError])
    def test_any_other_failure_is_final(self, kind: type[ConnectError]) -> None:
        network = FakeNetwork(on_dial=failing(kind("no")))
        with Pool(network, clock=DreamClock()) as pool, pytest.raises(kind), pool.lease(WEB):
            pass
        assert network.dials == ["web"]
        assert pool.counters.errors == {("web", kind.__name__): 1}

    def test_a_bastion_that_cannot_be_reached_fails_all_who_wait_for_it_each_on_its_own(
        self,
    ) -> None:
        together = threading.Barrier(4)

        def on_dial(endpoint: Endpoint) -> None:
            del endpoint
            time.sleep(0.2)
            message = "down"
            raise UnreachableError(message, host="gate")

        network = FakeNetwork(on_dial=on_dial)

        def use(number: int) -> Exception | None:
            together.wait()
            try:
                with pool.lease(Endpoint(name=f"h{number}", bastions=(GATE,))):
                    return None
            except UnreachableError as error:
                return error

        with Pool(network) as pool, ThreadPoolExecutor(4) as users:
            errors = list(users.map(use, range(4)))
        assert len({id(error) for error in errors}) == 4
        assert {str(error) for error in errors} == {"down"}
        assert set(network.dials) == {"gate"}
        assert network.open == ()

    def test_a_bastion_that_broke_stays_with_its_users_and_others_get_a_new_one(self) -> None:
        network = FakeNetwork()
        behind = [Endpoint(name=name, bastions=(GATE,)) for name in ("one", "two")]
        with Pool(network) as pool:
            with pool.lease(behind[0]) as first:
                network.cut("gate")
                with pool.lease(behind[1]) as second:
                    assert second.connector.is_connected()
                    assert not first.connector.is_connected()
                    assert first.bastion is not second.bastion
                    assert network.dials == ["gate", "one", "gate", "two"]
            assert pool.state.bastions == 1
        assert network.open == ()

    def test_a_bastion_that_breaks_while_it_is_gone_through_is_replaced_once(self) -> None:
        def on_dial(endpoint: Endpoint) -> None:
            if endpoint is WEB and network.dials.count("web") == 1:
                network.cut("gate")
                message = "the bastion's connection was lost"
                raise UnreachableError(message)

        class Through(FakeNetwork):
            def __call__(self, endpoint: Endpoint) -> FakeConnection:
                made = super().__call__(endpoint)
                if endpoint is WEB:
                    made.route = lambda: (GATE,)  # type: ignore[method-assign]
                return made

        network = Through(on_dial=on_dial)
        with Pool(network) as pool, pool.lease(WEB):
            assert network.dials == ["gate", "web", "gate", "web"]
            assert len(network.open) == 2


class TestWaiting:
    def test_its_end_says_what_is_in_use_and_what_to_do(self) -> None:
        limits = PoolSettings(max_per_key=1, max_total=7, wait_timeout_s=3)
        with Pool(FakeNetwork(), limits, clock=DreamClock()) as pool, pool.lease(WEB):
            with pytest.raises(PoolExhaustedError) as caught, pool.lease(WEB):
                pass
            assert str(caught.value) == (
                "no connection to web became free within 3 s; in use: 1 of 1 to it, 1 of 7 in total"
            )
            assert "max_per_key" in caught.value.hint
            assert pool.state.waiting == ()

    def test_a_pool_that_is_shut_down_refuses_those_who_come_and_those_who_wait(self) -> None:
        network = FakeNetwork()
        pool = Pool(network, PoolSettings(max_total=1))
        with ThreadPoolExecutor(1) as users:
            with pool.lease(WEB):

                def use() -> None:
                    with pool.lease(GATE):
                        pass

                waiting = users.submit(use)
                while not pool.state.waiting:
                    time.sleep(0.001)
                pool.close()
                with pytest.raises(PoolClosedError, match="gate"):
                    waiting.result(PATIENCE_S)
                assert pool.state.all.active == 1
            assert network.open == ()
        with pytest.raises(PoolClosedError), pool.lease(WEB):
            pass
        pool.close()

    def test_a_dial_that_fails_makes_room_for_the_next_who_waits(self) -> None:
        def dial(endpoint: Endpoint) -> None:
            if endpoint.name == "down":
                message = "down"
                raise UnreachableError(message)

        names = ("down", "up")
        with (
            Pool(FakeNetwork(on_dial=dial), PoolSettings(max_total=1)) as pool,
            ThreadPoolExecutor(2) as users,
        ):

            def use(name: str) -> str:
                with pool.lease(Endpoint(name=name)) as lease:
                    return lease.endpoint.name

            with pool.lease(WEB):
                waiting = []
                for name in names:
                    waiting.append(users.submit(use, name))
                    while len(pool.state.waiting) < len(waiting):
                        time.sleep(0.001)
            with pytest.raises(UnreachableError):
                waiting[0].result(PATIENCE_S)
            assert waiting[1].result(PATIENCE_S) == "up"

    def test_a_storm_of_threads_stays_within_every_limit(self) -> None:
        """Real threads, real waiting; dialling, using and closing take random times."""
        chance = random.Random(1)  # noqa: S311 - as good as any
        lock = threading.Lock()
        used: Counter[int] = Counter()
        most = Counter[str]()

        def pause(endpoint: Endpoint) -> None:
            del endpoint
            time.sleep(chance.random() / 500)

        def dial(endpoint: Endpoint) -> None:
            pause(endpoint)
            with lock:
                count = Counter([endpoint.name, *(one.endpoint.name for one in network.open)])
                most["gate"] = max(most["gate"], count.pop("gate", 0))
                most["total"] = max(most["total"], count.total())
                most["host"] = max(most["host"], *count.values(), 0, 0)

        network = FakeNetwork(on_dial=dial, on_close=pause)
        hosts = [Endpoint(name=f"h{n}", bastions=(GATE,) if n % 2 else ()) for n in range(6)]

        def use(number: int) -> None:
            for turn in range(12):
                with pool.lease(hosts[(number + turn * 5) % 6]) as lease:
                    with lock:
                        used[id(lease)] += 1
                        assert used[id(lease)] == 1
                    time.sleep(chance.random() / 500)
                    if chance.random() < 0.1:
                        lease.connector.close()
                    with lock:
                        used[id(lease)] -= 1

        limits = PoolSettings(max_total=5, max_per_key=2, max_idle_per_key=1)
        with Pool(network, limits) as pool, ThreadPoolExecutor(24) as users:
            for result in [users.submit(use, number) for number in range(24)]:
                result.result(PATIENCE_S)
        assert most["total"] <= 5
        assert most["host"] <= 2
        assert network.open == ()
        assert pool.state.all.total == 0


class TestSettings:
    def test_the_floor_holds_whatever_the_settings_say(self) -> None:
        with Pool(FakeNetwork(), PoolSettings(max_total=2), floor=8) as pool:
            assert pool.settings.max_total == 8
            pool.reconfigure(PoolSettings(max_total=3))
            assert pool.settings.max_total == 8

    def test_a_higher_limit_lets_in_who_waits(self) -> None:
        with (
            Pool(FakeNetwork(), PoolSettings(max_total=1)) as pool,
            ThreadPoolExecutor(1) as users,
            pool.lease(WEB),
        ):

            def use() -> str:
                with pool.lease(GATE) as lease:
                    return lease.endpoint.name

            waiting = users.submit(use)
            while not pool.state.waiting:
                time.sleep(0.001)
            pool.reconfigure(PoolSettings(max_total=2))
            assert waiting.result(PATIENCE_S) == "gate"

    def test_a_file_that_changes_is_read_again(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "pool.yaml"
        path.write_text("max_total: 7\n")
        clock = DreamClock()

        def change(text: str) -> None:
            path.write_text(text)
            clock.time += 2
            with pool.lease(WEB):
                pass

        with Pool(FakeNetwork(), PoolSource(path), clock=clock) as pool:
            assert pool.settings.max_total == 7
            change("max_total: 8\nmax_idle_per_key: 0\n")
            assert (pool.settings.max_total, pool.settings.max_idle_per_key) == (8, 0)
            with caplog.at_level(logging.WARNING):
                change("max_total: many\n")
                change("max_total: many\n" * 2)
            assert pool.settings.max_total == 8
            assert "keeps the settings that it has" in caplog.text
            assert "pool.yaml:1:1" in caplog.text
            change("{}\n")
            assert pool.settings == PoolSettings()

    def test_who_waits_sees_the_file_change(self, tmp_path: Path) -> None:
        path = tmp_path / "pool.yaml"
        path.write_text("max_total: 1\n")
        with (
            Pool(FakeNetwork(), PoolSource(path)) as pool,
            ThreadPoolExecutor(1) as users,
            pool.lease(WEB),
        ):

            def use() -> str:
                with pool.lease(GATE) as lease:
                    return lease.endpoint.name

            waiting = users.submit(use)
            while not pool.state.waiting:
                time.sleep(0.001)
            new = tmp_path / "new"
            new.write_text("max_total: 2\n")
            os.replace(new, path)  # noqa: PTH105 - as an editor does it
            assert waiting.result(PATIENCE_S) == "gate"


class TestMetrics:
    def test_they_are_prometheus_text_without_a_secret(self) -> None:
        host = Endpoint(
            name='we"b', address="192.0.2.7", port=22, user="admin", password=Secret("hunter2")
        )
        behind = Endpoint(name="db", password=Secret("hunter2"), bastions=(GATE,))
        network = FakeNetwork(on_dial=failing(*dropped(1)))
        with Pool(network, clock=DreamClock()) as pool, pool.lease(behind):
            with pool.lease(host):
                pass
            text = pool.prometheus()
        assert "hunter2" not in text
        assert "hunter2" not in repr(pool.state)
        samples = dict(
            line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")
        )
        prefix = "kubexm_connector_pool"
        assert samples[f'{prefix}_active_connections{{key="db via gate"}}'] == "1"
        assert samples[f'{prefix}_active_connections{{key="gate"}}'] == "1"
        assert samples[f'{prefix}_idle_connections{{key="admin@192.0.2.7:22"}}'] == "1"
        assert samples[f'{prefix}_total_connections{{key="admin@192.0.2.7:22"}}'] == "1"
        assert samples[f'{prefix}_dials_total{{key="gate"}}'] == "2"
        assert samples[f'{prefix}_errors_total{{key="gate",type="DroppedError"}}'] == "1"
        assert samples[f'{prefix}_wait_duration_seconds_count{{key="db via gate"}}'] == "1"
        assert float(samples[f'{prefix}_wait_duration_seconds_sum{{key="db via gate"}}']) == 0
        for line in text.splitlines():
            if line.startswith("# TYPE"):
                assert line.split(" ")[3] in {"gauge", "counter", "summary"}

    def test_a_label_is_escaped(self) -> None:
        with Pool(FakeNetwork()) as pool, pool.lease(Endpoint(name='a"b\\c\nd')):
            assert r'{key="a\"b\\c\nd"} 1' in pool.prometheus()


class TestClosingWhatConnects:
    def test_one_that_takes_no_notice_of_the_first_is_closed_again(self) -> None:
        at_work = [Deaf(closings=3), Deaf(closings=1)]
        close_until_gone(lambda: [one for one in at_work if one.left])
        assert [one.left for one in at_work] == [0, 0]

    def test_it_does_not_wait_for_ever(self) -> None:
        stubborn = Deaf(closings=10**6)
        began = time.monotonic()
        close_until_gone(lambda: [stubborn])
        assert time.monotonic() - began < PATIENCE_S


class Deaf(LocalConnector):
    """One that goes on connecting until it was closed so many times."""

    def __init__(self, *, closings: int) -> None:
        super().__init__()
        self.left = closings

    def close(self) -> None:
        self.left -= 1
