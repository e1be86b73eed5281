"""The pool over a real sshd: how often it is dialled, what it survives, what it leaves."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.pool import Pool, PoolSettings
from kubexm.connector.ssh import SshConnector, plugin
from kubexm.errors import (
    AuthenticationError,
    ConnectError,
    PoolExhaustedError,
    UnreachableError,
    UsageError,
)
from kubexm.runner.operations import CommandRun
from kubexm.shell import Script, Session
from kubexm.tasks import Fleet
from kubexm.tasks.flags import Flags
from tests.integration.inetd import Inetd

if TYPE_CHECKING:
    from kubexm.connector import Connector, Endpoint
    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration

PATIENCE_S = 30.0


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def assert_nothing_left(threads: set[threading.Thread], open_before: int) -> None:
    """What has been told to end may take a moment."""
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit and not set(threading.enumerate()) <= threads:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= threads
    assert descriptors() <= open_before


def logins(server: SshServer) -> int:
    return server.log.count("Accepted publickey")


def say(connector: Connector, text: str) -> str:
    """What a shell on the other side answers."""
    session = Session.open(connector.open)
    try:
        return session.ask(Script(f"echo {text}")).text
    finally:
        session.close()


def inventory_of(directory: Path, endpoints: list[Endpoint]) -> Path:
    """An inventory of ssh hosts, one for each endpoint."""
    hosts = "".join(
        f"    {one.name}: {{kubexm_host: {one.address}, kubexm_port: {one.port}}}\n"
        for one in endpoints
    )
    first = endpoints[0]
    path = directory / "hosts.yaml"
    path.write_text(
        f"all:\n  hosts:\n{hosts}  vars:\n    kubexm_become: false\n"
        f"    kubexm_user: {first.user}\n    kubexm_private_key_file: {first.private_key}\n"
        f"    kubexm_known_hosts: {first.known_hosts}\n"
    )
    return path


class TestFleet:
    def test_all_runs_of_a_task_go_over_one_connection_to_each_host(
        self, sshd: SshServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        endpoints = [sshd.endpoint(name=name) for name in ("one", "two")]
        threads, open_before = set(threading.enumerate()), descriptors()
        inventory = inventory_of(tmp_path, endpoints)
        flags = Flags(inventory=(str(inventory),), output="plain")
        with Fleet(flags, name="task") as fleet:
            for number in range(3):
                made = tmp_path / f"made{number}"
                command = CommandRun(command=f"echo $SSH_CONNECTION >>{made}", creates=str(made))
                assert fleet.apply(f"step {number}", command).exit_code() == 0
            seen: list[str] = []
            fleet.each(lambda host: seen.append(host.name))
            assert sorted(seen) == ["one", "two"]
            assert logins(sshd) == 2
            pool = fleet.runtime.pools["ssh"]
            assert pool.state.all.idle == 2
            assert 'kubexm_connector_pool_dials_total{key="' in pool.prometheus()
        assert_nothing_left(threads, open_before)
        # a host key that was accepted is news once
        assert capsys.readouterr().err.count("new host key") == 1

    def test_a_fault_in_the_pools_settings_is_told_before_any_host_is_touched(
        self, sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KUBEXM_POOL_MAX_TOTL", "3")
        inventory = inventory_of(tmp_path, [sshd.endpoint()])
        fleet = Fleet(Flags(inventory=(str(inventory),)), name="task")
        with fleet, pytest.raises(UsageError, match="KUBEXM_POOL_MAX_TOTL is not a setting"):
            assert fleet.runtime.pools
        assert logins(sshd) == 0

    def test_the_pool_takes_its_settings_from_the_environment(
        self, sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "pool.yaml").write_text("max_total: 7\nmax_per_key: 2\n")
        monkeypatch.setenv("KUBEXM_POOL_FILE", str(tmp_path / "pool.yaml"))
        monkeypatch.setenv("KUBEXM_POOL_MAX_IDLE_PER_KEY", "1")
        inventory = inventory_of(tmp_path, [sshd.endpoint()])
        with Fleet(Flags(inventory=(str(inventory),), forks=9), name="task") as fleet:
            settings = fleet.runtime.pools["ssh"].settings
        # never less in total than hosts are worked on at once
        assert (settings.max_total, settings.max_per_key, settings.max_idle_per_key) == (9, 2, 1)


class TestReuse:
    def test_a_lease_gets_the_connection_of_the_one_before(self, sshd: SshServer) -> None:
        with Pool(plugin) as pool:
            for number in range(5):
                with pool.lease(sshd.endpoint()) as lease:
                    assert say(lease.connector, str(number)) == f"{number}\n"
            assert logins(sshd) == 1
            assert not lease.bastions

    def test_leases_at_one_time_have_connections_of_their_own(self, sshd: SshServer) -> None:
        with (
            Pool(plugin) as pool,
            pool.lease(sshd.endpoint()) as one,
            pool.lease(sshd.endpoint()) as two,
        ):
            assert one.connector is not two.connector
            assert logins(sshd) == 2

    def test_a_connection_that_broke_while_it_was_idle_is_replaced(self, sshd: SshServer) -> None:
        with Pool(plugin) as pool:
            with pool.lease(sshd.endpoint()) as before:
                pass
            sshd.restart()
            with pool.lease(sshd.endpoint()) as after:
                assert say(after.connector, "back") == "back\n"
            assert after.connector is not before.connector
            assert not before.connector.is_connected()

    def test_a_host_that_froze_while_it_was_idle_is_noticed_before_it_is_handed_out(
        self, sshd: SshServer
    ) -> None:
        limits = PoolSettings(health_check_s=0.05, connect_timeout_s=0.5)
        with Pool(plugin, limits) as pool:
            endpoint = sshd.endpoint(connect_timeout_s=1)
            with pool.lease(endpoint):
                pass
            sshd.freeze()
            time.sleep(0.1)
            with pytest.raises(UnreachableError), pool.lease(endpoint):
                pass
            sshd.thaw()
            assert pool.state.all.total == 0
            assert sum(n for (_, kind), n in pool.counters.errors.items() if kind == "unhealthy")

    def test_an_idle_host_that_answers_stays_connected(self, sshd: SshServer) -> None:
        """The keeper asks it, over and over, and a refusal (MaxSessions) is an answer too."""
        with Pool(plugin, PoolSettings(health_check_s=0.05)) as pool:
            with pool.lease(sshd.endpoint()) as lease:
                pass
            checked = lease.checked
            limit = time.monotonic() + PATIENCE_S
            while lease.checked == checked and time.monotonic() < limit:
                time.sleep(0.02)
            assert lease.checked > checked
            assert pool.state.all.idle == 1
        assert logins(sshd) == 1

    def test_an_idle_connection_ends_by_itself(self, sshd: SshServer) -> None:
        threads, open_before = set(threading.enumerate()), descriptors()
        with Pool(plugin, PoolSettings(idle_timeout_s=0.2)) as pool:
            with pool.lease(sshd.endpoint()) as lease:
                pass
            limit = time.monotonic() + PATIENCE_S
            while pool.state.all.total and time.monotonic() < limit:
                time.sleep(0.02)
            assert not lease.connector.is_connected()
            # nothing is left to look after, so nobody does
            assert_nothing_left(threads, open_before)

    def test_a_connection_is_kept_ready_when_the_settings_ask_for_it(self, sshd: SshServer) -> None:
        with Pool(plugin, PoolSettings(min_idle_per_key=2)) as pool:
            with pool.lease(sshd.endpoint()):
                limit = time.monotonic() + PATIENCE_S
                while pool.state.all.idle < 2 and time.monotonic() < limit:
                    time.sleep(0.02)
                assert pool.state.all.idle == 2
            assert logins(sshd) == 3

    def test_a_failed_login_is_told_and_leaves_nothing(self, sshd: SshServer) -> None:
        threads, open_before = set(threading.enumerate()), descriptors()
        with Pool(plugin) as pool:
            wrong = sshd.endpoint(user="nobody")
            with pytest.raises(AuthenticationError), pool.lease(wrong):
                pass
            assert pool.state.all.total == 0
        assert_nothing_left(threads, open_before)


class TestLimits:
    def test_who_waits_gets_the_connection_that_comes_back(self, sshd: SshServer) -> None:
        limits = PoolSettings(max_per_key=1)
        with Pool(plugin, limits) as pool, ThreadPoolExecutor(8) as users:

            def use(number: int) -> str:
                with pool.lease(sshd.endpoint()) as lease:
                    return say(lease.connector, str(number))

            assert list(users.map(use, range(24))) == [f"{number}\n" for number in range(24)]
        assert logins(sshd) == 1

    def test_the_wait_has_an_end(self, sshd: SshServer) -> None:
        limits = PoolSettings(max_total=1, wait_timeout_s=0.1)
        with Pool(plugin, limits) as pool, pool.lease(sshd.endpoint(name="one")):
            two = pool.lease(sshd.endpoint(name="two"))
            with pytest.raises(PoolExhaustedError, match="1 of 1 in total") as caught, two:
                pass
            assert "max_total" in caught.value.hint

    def test_a_connection_carries_no_more_than_eight_commands_at_once(
        self, sshd: SshServer
    ) -> None:
        with Pool(plugin) as pool, pool.lease(sshd.endpoint(connect_timeout_s=1)) as lease:
            running = [lease.connector.open("cat") for _ in range(8)]
            with pytest.raises(ConnectError, match="8 commands are at work"):
                lease.connector.open("true")
            with ThreadPoolExecutor(1) as other:
                waiting = other.submit(lease.connector.open, "true")
                running[0].kill()
                waiting.result(PATIENCE_S).kill()
            for process in running:
                process.kill()

    def test_fifty_hosts_get_in_where_sshd_takes_two_at_a_time(
        self, make_sshd: ServerMaker
    ) -> None:
        """Every name is a host to the pool, so that nothing but sshd's own limits holds it."""
        server = make_sshd(settings="MaxStartups 2\nMaxSessions 2\n")
        endpoints = [server.endpoint(name=f"host{n}", connect_timeout_s=30) for n in range(50)]
        limits = PoolSettings(connect_timeout_s=90)
        with Pool(plugin, limits) as pool, ThreadPoolExecutor(50) as users, ExitStack() as held:

            def lease(endpoint: Endpoint) -> str:
                connection = pool.lease(endpoint)
                connector = connection.__enter__().connector
                held.push(connection)
                return say(connector, endpoint.name)

            said = list(users.map(lease, endpoints))
            assert said == [f"{endpoint.name}\n" for endpoint in endpoints]
            assert pool.state.all.active == 50
            assert logins(server) == 50


class TestBastions:
    def test_a_bastion_is_dialled_once_and_closed_after_the_last_one_behind_it(
        self, make_sshd: ServerMaker
    ) -> None:
        gate, host = make_sshd(), make_sshd()
        through = (gate.endpoint(name="gate"),)
        with Pool(plugin, PoolSettings(max_idle_per_key=0)) as pool:
            one = pool.lease(host.endpoint(name="one", bastions=through))
            two = pool.lease(host.endpoint(name="two", bastions=through))
            with one as first, two as second:
                assert say(first.connector, "1") + say(second.connector, "2") == "1\n2\n"
                assert first.bastions == second.bastions
                assert pool.state.bastions == 1
                assert logins(gate) == 1
            assert pool.state.bastions == 0
            (bastion,) = first.bastions
            assert bastion.connector is not None
            assert not bastion.connector.is_connected()

    def test_a_bastion_that_broke_is_replaced(self, make_sshd: ServerMaker) -> None:
        gate, host = make_sshd(), make_sshd()
        endpoint = host.endpoint(bastions=(gate.endpoint(name="gate"),))
        with Pool(plugin) as pool:
            with pool.lease(endpoint):
                pass
            gate.restart()
            with pool.lease(endpoint) as lease:
                assert say(lease.connector, "again") == "again\n"
            assert pool.state.bastions == 1

    def test_proxy_jump_of_ssh_config_is_shared_too(
        self, make_sshd: ServerMaker, home: Path
    ) -> None:
        gate, host = make_sshd(), make_sshd()
        user = gate.endpoint().user
        (home / ".ssh" / "config").write_text(
            f"Host end*\n  HostName 127.0.0.1\n  ProxyJump {user}@127.0.0.1:{gate.port}\n"
        )
        shutil.copy(gate.private_key, home / ".ssh" / "id_ed25519")
        with (
            Pool(plugin) as pool,
            pool.lease(host.endpoint(address="end1")) as one,
            pool.lease(host.endpoint(address="end2")) as two,
        ):
            assert one.bastions == two.bastions
            assert logins(gate) == 1
            assert logins(host) == 2
            assert isinstance(one.connector, SshConnector)
            # the new key of the bastion is told with whatever goes through it
            assert any(str(gate.port) in notice for notice in one.connector.notices)

    @pytest.mark.parametrize(
        "number", [60, pytest.param(500, marks=[pytest.mark.full, pytest.mark.timeout(600)])]
    )
    def test_many_hosts_behind_two_bastions_cost_two_bastion_connections(
        self, make_sshd: ServerMaker, number: int
    ) -> None:
        outer, inner, host = make_sshd(), make_sshd(), make_sshd()
        addresses = [f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(number)]
        hops = (outer.endpoint(name="outer"), inner.endpoint(name="inner"))
        endpoints = [
            host.endpoint(name=f"h{n}", address=address, bastions=hops, connect_timeout_s=60)
            for n, address in enumerate(addresses)
        ]
        limits = PoolSettings(max_total=number)
        with Inetd(host, addresses) as behind:
            # what is loaded and started once does not count
            with Pool(plugin, limits) as pool, pool.lease(endpoints[0]):
                pass
            threads, open_before = set(threading.enumerate()), descriptors()
            began = time.monotonic()
            with Pool(plugin, limits) as pool:
                with ThreadPoolExecutor(16) as users, ExitStack() as held:
                    list(users.map(lambda one: held.enter_context(pool.lease(one)), endpoints))
                    connected_s = time.monotonic() - began
                    at_work = threading.active_count() - len(threads)
                    assert pool.state.all.active == number
                    assert pool.state.bastions == 2
                    assert at_work <= number + 2 + 16 + 1
                    assert logins(outer) == logins(inner) == 2
                assert pool.state.all.idle == number
                assert threading.active_count() - len(threads) <= number + 2 + 1
                began = time.monotonic()
            closed_s = time.monotonic() - began
            logging.getLogger(__name__).info(
                "%d hosts: connected in %.1f s, closed in %.1f s", number, connected_s, closed_s
            )
            assert_nothing_left(threads, open_before)
            limit = time.monotonic() + PATIENCE_S
            while time.monotonic() < limit and behind.running:
                time.sleep(0.02)
            assert not behind.running
