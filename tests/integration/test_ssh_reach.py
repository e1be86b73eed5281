"""Hosts that the ssh connector cannot reach, and waits that end."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.ssh import SshConnector
from kubexm.errors import (
    ConnectError,
    UnreachableError,
)
from tests.integration.lines import deaf, finish, listening
from tests.integration.sshd import free_port

if TYPE_CHECKING:
    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer


pytestmark = pytest.mark.integration


def assert_closing_ends(connector: SshConnector) -> None:
    """Whoever waits for `connect` hears at once that somebody else has closed it."""
    with ThreadPoolExecutor(1) as pool:
        connecting = pool.submit(connector.connect)
        time.sleep(0.5)
        assert not connecting.done()
        began = time.monotonic()
        connector.close()
        with pytest.raises(UnreachableError, match="closed while connecting"):
            connecting.result(timeout=10)
        assert time.monotonic() - began < 3


class TestReach:
    def test_a_refused_port_says_so(self, sshd: SshServer) -> None:
        port = free_port()
        with pytest.raises(UnreachableError, match=f"127.0.0.1 port {port} refused") as caught:
            SshConnector(sshd.endpoint(port=port)).connect()
        assert caught.value.host == "test"
        assert caught.value.hint

    def test_a_silent_server_costs_the_timeout_and_no_more(self, sshd: SshServer) -> None:
        with listening(answer=None) as port:
            began = time.monotonic()
            with pytest.raises(UnreachableError, match="does not speak ssh: no banner within 1 s"):
                SshConnector(sshd.endpoint(port=port, connect_timeout_s=1)).connect()
            assert 0.9 < time.monotonic() - began < 3

    def test_a_server_that_hangs_up_is_tried_again_within_the_timeout(
        self, sshd: SshServer
    ) -> None:
        with (
            listening(answer=b"") as port,
            pytest.raises(
                UnreachableError, match=r"closes them before .* \([2-9] attempts\)"
            ) as caught,
        ):
            SshConnector(sshd.endpoint(port=port, connect_timeout_s=2)).connect()
        assert "MaxStartups" in caught.value.hint

    def test_a_server_of_another_kind_is_told_apart(self, sshd: SshServer) -> None:
        with (
            listening(answer=b"\xff\xfe\xfd\n") as port,
            pytest.raises(UnreachableError, match="does not speak ssh"),
        ):
            SshConnector(sshd.endpoint(port=port)).connect()

    def test_a_connection_lost_after_the_banner_is_a_loss(self, sshd: SshServer) -> None:
        with (
            listening(answer=b"SSH-2.0-gone\r\n") as port,
            pytest.raises(UnreachableError, match="lost"),
        ):
            SshConnector(sshd.endpoint(port=port)).connect()

    def test_an_address_that_takes_no_more_connections_times_out(self, sshd: SshServer) -> None:
        with socket.socket() as full, contextlib.ExitStack() as waiting:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(4):  # the queue is full: the kernel drops what comes after
                caller = waiting.enter_context(socket.socket())
                caller.setblocking(False)  # noqa: FBT003 - its own name for it
                caller.connect_ex(full.getsockname())
            endpoint = sshd.endpoint(port=full.getsockname()[1], connect_timeout_s=1)
            with pytest.raises(UnreachableError, match=r"did not answer within 1 s \(timed out\)"):
                SshConnector(endpoint).connect()

    @pytest.mark.parametrize("address", ["a..b", "x" * 70, "fe80::1%nosuch"])
    def test_a_name_that_does_not_resolve_is_unknown(self, sshd: SshServer, address: str) -> None:
        with pytest.raises(UnreachableError, match="is unknown"):
            SshConnector(sshd.endpoint(address=address)).connect()

    def test_no_route_is_told_as_such(self, sshd: SshServer) -> None:
        with pytest.raises(UnreachableError, match=r"no route to 255\.255\.255\.255"):
            SshConnector(sshd.endpoint(address="255.255.255.255")).connect()

    def test_a_burst_that_sshd_drops_gets_in_by_trying_again(self, make_sshd: ServerMaker) -> None:
        server = make_sshd(settings="MaxStartups 2:80:4\n")
        connectors = [SshConnector(server.endpoint(connect_timeout_s=15)) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(SshConnector.connect, connectors))
        assert all(connector.is_connected() for connector in connectors)
        for connector in connectors:
            connector.close()

    def test_too_many_sessions_are_refused_with_a_hint(self, make_sshd: ServerMaker) -> None:
        server = make_sshd(settings="MaxSessions 2\n")
        connector = SshConnector(server.endpoint())
        connector.connect()
        running = [connector.open("cat") for _ in range(2)]
        with pytest.raises(ConnectError, match="refuses another session") as caught:
            connector.open("true")
        assert not isinstance(caught.value, UnreachableError)
        assert "MaxSessions" in caught.value.hint
        finish(running[0])
        assert finish(connector.open("echo free"))[0] == b"free\n"
        connector.close()

    def test_hosts_without_a_common_algorithm_are_told(self, make_sshd: ServerMaker) -> None:
        server = make_sshd(settings="Ciphers chacha20-poly1305@openssh.com\n")
        with pytest.raises(ConnectError, match="no algorithm"):
            SshConnector(server.endpoint()).connect()

    def test_closing_during_a_connect_does_not_leave_a_connection(self, sshd: SshServer) -> None:
        with listening(answer=None) as port:
            connector = SshConnector(sshd.endpoint(port=port, connect_timeout_s=60))
            assert_closing_ends(connector)

    def test_closing_ends_the_wait_for_a_machine_that_does_not_answer(
        self, sshd: SshServer
    ) -> None:
        with deaf() as port:
            connector = SshConnector(sshd.endpoint(port=port, connect_timeout_s=60))
            assert_closing_ends(connector)
        assert not connector.is_connected()

    def test_closing_ends_the_wait_for_what_is_behind_a_shared_bastion(
        self, sshd: SshServer
    ) -> None:
        with (
            deaf() as port,
            contextlib.closing(SshConnector(sshd.endpoint(connect_timeout_s=60))) as bastion,
        ):
            bastion.connect()
            connector = bastion.beyond(sshd.endpoint(port=port, connect_timeout_s=60))
            assert_closing_ends(connector)
            assert bastion.is_connected()

    def test_closing_ends_the_wait_for_a_name(
        self, sshd: SshServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The resolver is the system's: here it waits for a server that says nothing."""
        answer, look_up = threading.Event(), socket.getaddrinfo

        def slow(host: str, port: int, *, type: int, flags: int) -> object:  # noqa: A002
            if not flags:
                answer.wait(60)
            return look_up(host, port, type=type, flags=flags)

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        connector = SshConnector(sshd.endpoint(address="localhost", connect_timeout_s=60))
        assert_closing_ends(connector)
        answer.set()

    def test_closing_ends_the_wait_for_a_bastion(self, sshd: SshServer) -> None:
        with listening(answer=None) as port:
            bastion = sshd.endpoint(port=port, connect_timeout_s=60)
            connector = SshConnector(sshd.endpoint(bastions=(bastion,), connect_timeout_s=60))
            assert_closing_ends(connector)
