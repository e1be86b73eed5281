"""How commands and connections of the ssh connector end: killed, closed, lost."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import HostKeyPolicy
from kubexm.connector.ssh import SshConnector, plugin
from kubexm.errors import (
    AuthenticationError,
    HostKeyError,
    SessionLostError,
    UnreachableError,
)
from kubexm.shell import Script, Session
from tests.integration.lines import NOTHING, assert_no_more, descriptors, finish, listening
from tests.integration.sshd import make_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.sshd import SshServer


pytestmark = pytest.mark.integration


class TestKill:
    def test_it_wakes_an_exchange_in_another_thread(self, connected: SshConnector) -> None:
        process = connected.open("sleep 60")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(process.exchange, NOTHING, 60)
            time.sleep(0.3)
            began = time.monotonic()
            process.kill()
            assert waiting.result(timeout=5).ended
            assert time.monotonic() - began < 1
        process.kill()
        assert "killed" in repr(process)
        assert process.exchange(NOTHING, 10) == (0, b"", b"", True)

    def test_closing_the_connection_wakes_an_exchange(self, connected: SshConnector) -> None:
        process = connected.open("sleep 60")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(process.exchange, NOTHING, 60)
            time.sleep(0.3)
            began = time.monotonic()
            connected.close()
            with pytest.raises(UnreachableError):
                waiting.result(timeout=5)
            assert time.monotonic() - began < 2

    def test_it_does_not_wait_for_a_host_that_has_stopped_reading(
        self, sshd: SshServer, connected: SshConnector
    ) -> None:
        process = connected.open("cat >/dev/null")
        sshd.freeze()
        outgoing = memoryview(bytes(1_000_000))
        with ThreadPoolExecutor(1) as pool:
            # Until the window is full, or the socket.
            writing = pool.submit(
                lambda: [process.exchange(outgoing, 0.1) for _ in range(5)],
            )
            time.sleep(1)
            began = time.monotonic()
            process.kill()
            connected.close()
            assert time.monotonic() - began < 4
            writing.result(timeout=5)

    def test_nothing_is_left_after_close(self, sshd: SshServer) -> None:
        first = SshConnector(sshd.endpoint())  # what is imported once may stay open
        first.connect()
        first.close()
        before = set(threading.enumerate()), descriptors()
        for _ in range(3):
            connector = SshConnector(sshd.endpoint())
            connector.connect()
            session = Session.open(connector.open)
            session.ask(Script("true"))
            session.close()
            running = connector.open("sleep 60")
            assert connector.is_connected()
            connector.close()
            connector.close()
            assert not connector.is_connected()
            with pytest.raises(UnreachableError):
                connector.open("true")
            running.kill()
        assert_no_more(*before)

    def test_nothing_is_left_after_a_failure(self, sshd: SshServer, home: Path) -> None:
        wrong = make_key(home / "wrong")
        first = SshConnector(sshd.endpoint())
        first.connect()
        first.close()
        with (
            listening(answer=None) as silent,
            listening(answer=b"HTTP/1.1 400\r\n") as other,
            listening(answer=b"SSH-2.0-gone\r\n") as gone,
        ):
            before = set(threading.enumerate()), descriptors()
            for endpoint, error in (
                (sshd.endpoint(private_key=str(wrong)), AuthenticationError),
                (
                    sshd.endpoint(
                        host_key_policy=HostKeyPolicy.STRICT, known_hosts=str(home / "none")
                    ),
                    HostKeyError,
                ),
                (sshd.endpoint(port=silent, connect_timeout_s=0.5), UnreachableError),
                (sshd.endpoint(port=other, connect_timeout_s=1), UnreachableError),
                (sshd.endpoint(port=gone), UnreachableError),
            ):
                with pytest.raises(error):
                    SshConnector(endpoint).connect()
            # The listener that says nothing keeps its end of one connection.
            assert_no_more(before[0], before[1] + 1)

    def test_a_closed_connector_can_connect_again(self, sshd: SshServer) -> None:
        connector = plugin(sshd.endpoint())
        for _ in range(2):
            connector.connect()
            connector.connect()
            assert "connected>" in repr(connector)
            assert "not connected" not in repr(connector)
            assert finish(connector.open("echo hello"))[0] == b"hello\n"
            connector.close()
            assert "not connected" in repr(connector)


class TestLoss:
    def test_sshd_killed_in_the_middle_of_a_batch_is_noticed_at_once(
        self, sshd: SshServer, connected: SshConnector
    ) -> None:
        session = Session.open(connected.open)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(session.run, [Script("echo one"), Script("sleep 60")])
            time.sleep(0.5)
            began = time.monotonic()
            sshd.stop()
            reply = running.result(timeout=10)
            assert time.monotonic() - began < 3
        assert isinstance(reply.ended_by, SessionLostError)
        assert reply.ended_by.completed == 1
        assert session.broken
        with pytest.raises(UnreachableError) as caught:
            connected.open("true")
        assert caught.value.host == "test"
        assert not connected.is_connected()

    def test_a_connector_connects_again_after_a_loss(
        self, sshd: SshServer, connected: SshConnector
    ) -> None:
        before = descriptors()
        sshd.restart()
        process_lost = time.monotonic() + 5
        while connected.is_connected() and time.monotonic() < process_lost:
            time.sleep(0.02)
        assert not connected.is_connected()
        connected.connect()
        assert finish(connected.open("echo back"))[0] == b"back\n"
        assert descriptors() <= before

    def test_a_frozen_host_does_not_hold_us(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint(connect_timeout_s=1))
        connector.connect()
        process = connector.open("cat")
        sshd.freeze()
        began = time.monotonic()
        assert process.exchange(memoryview(b"x"), 0.3).taken == 1
        assert process.exchange(NOTHING, 0.3) == (0, b"", b"", False)
        with pytest.raises(UnreachableError, match="did not open a channel within 1 s"):
            connector.open("true")
        connector.close()
        assert time.monotonic() - began < 5
        with pytest.raises(UnreachableError, match=r"does not speak ssh: no banner within 1 s"):
            connector.connect()

    def test_what_came_before_the_loss_is_delivered(
        self, sshd: SshServer, connected: SshConnector
    ) -> None:
        process = connected.open("echo first; sleep 60")
        time.sleep(0.5)
        sshd.stop()
        time.sleep(0.5)
        assert process.exchange(NOTHING, 5).stdout == b"first\n"
        with pytest.raises(UnreachableError, match="connection was lost"):
            process.exchange(NOTHING, 5)
        assert process.exit_status() is None
