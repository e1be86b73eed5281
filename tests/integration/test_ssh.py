"""The ssh connector against a real sshd on the loopback."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import HostKeyPolicy, Notices
from kubexm.connector.ssh import SshConnector, plugin
from kubexm.errors import (
    AuthenticationError,
    ConnectError,
    HostKeyError,
    SessionLostError,
    UnreachableError,
)
from kubexm.secret import Secret
from kubexm.shell import Process, Reply, Script, Session
from tests.integration.sshd import free_port, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import Agent, SshServer

pytestmark = pytest.mark.integration

NOTHING = memoryview(b"")


@pytest.fixture
def connected(sshd: SshServer) -> Iterator[SshConnector]:
    connector = SshConnector(sshd.endpoint())
    connector.connect()
    yield connector
    connector.close()


def finish(process: Process, stdin: bytes = b"", *, within_s: float = 60) -> tuple[bytes, bytes]:
    """Feed a process and read it to its end."""
    limit = time.monotonic() + within_s
    out, err = bytearray(), bytearray()
    outgoing = memoryview(stdin)
    if not stdin:
        process.close_stdin()
    while time.monotonic() < limit:
        taken, stdout, stderr, ended = process.exchange(outgoing, 10)
        out += stdout
        err += stderr
        if taken and taken == len(outgoing):
            process.close_stdin()
        outgoing = outgoing[taken:]
        if ended:
            return bytes(out), bytes(err)
    message = f"not ended after {within_s} s: {process}"
    raise TimeoutError(message)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def assert_no_more(threads: set[threading.Thread], open_descriptors: int) -> None:
    """What has been told to end may take a moment."""
    limit = time.monotonic() + 2
    while time.monotonic() < limit and not set(threading.enumerate()) <= threads:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= threads
    assert descriptors() <= open_descriptors


@contextlib.contextmanager
def listening(*, answer: bytes | None) -> Iterator[int]:
    """A port that accepts connections, and then says something and hangs up, or says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    kept.append(connection)
                    if answer is not None:
                        connection.sendall(answer)
                        connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port that does not answer: so many wait to be accepted that the kernel drops the rest."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(server.getsockname())
        time.sleep(0.1)
        yield server.getsockname()[1]


class TestExec:
    def test_stdout_stderr_and_the_status_come_apart(self, connected: SshConnector) -> None:
        process = connected.open("echo out; echo err >&2; exit 3")
        assert finish(process) == (b"out\n", b"err\n")
        assert process.exit_status() == 3

    def test_the_status_is_unknown_while_the_command_runs(self, connected: SshConnector) -> None:
        process = connected.open("cat")
        assert process.exit_status() is None
        assert "running" in repr(process)
        finish(process)
        assert process.exit_status() == 0
        assert "ended" in repr(process)

    def test_a_command_that_a_signal_ends_tells_no_status(self, connected: SshConnector) -> None:
        process = connected.open("kill -s KILL $$")
        assert finish(process) == (b"", b"")
        assert process.exit_status() is None

    def test_bytes_pass_as_they_are_both_ways(self, connected: SshConnector) -> None:
        data = bytes(range(256)) * 64
        assert finish(connected.open("cat"), data) == (data, b"")

    def test_text_that_is_not_unicode_reaches_the_shell(self, connected: SshConnector) -> None:
        command = b"printf %s '\xff\xc3\xa9'".decode("utf-8", "surrogateescape")
        assert finish(connected.open(command)) == (b"\xff\xc3\xa9", b"")

    def test_fifty_megabytes_of_output_cost_linear_time(self, connected: SshConnector) -> None:
        def measure(megabytes: int) -> float:
            began = time.monotonic()
            size = megabytes * 1_000_000
            process = connected.open(f"head -c {size} /dev/zero")
            received = 0
            ended = False
            while not ended:
                _, stdout, _, ended = process.exchange(NOTHING, 10)
                received += len(stdout)
            assert received == size
            return time.monotonic() - began

        short, long = measure(10), measure(50)
        assert long < 20
        assert long < 5 * short * 3 + 1

    def test_twenty_megabytes_of_input_arrive_whole(self, connected: SshConnector) -> None:
        data = os.urandom(20_000_000)
        stdout, _ = finish(connected.open("cat | sha256sum"), data)
        assert stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()

    def test_both_directions_full_do_not_deadlock(self, connected: SshConnector) -> None:
        data = os.urandom(10_000_000)
        stdout, stderr = finish(connected.open("tee /dev/stderr"), data)
        assert stdout == data
        assert stderr == data

    def test_input_that_nobody_reads_waits_and_the_timeout_holds(
        self, connected: SshConnector
    ) -> None:
        process = connected.open("sleep 60")
        outgoing = memoryview(bytes(50_000_000))
        taken = 1
        while taken:
            taken = process.exchange(outgoing, 0.2).taken
            outgoing = outgoing[taken:]
        began = time.monotonic()
        assert process.exchange(outgoing, 0.3) == (0, b"", b"", False)
        assert 0.25 < time.monotonic() - began < 2
        process.kill()

    def test_input_for_a_command_that_has_ended_is_no_error(self, connected: SshConnector) -> None:
        process = connected.open("exec <&-; echo done")
        out = b""
        for _ in range(200):
            exchanged = process.exchange(memoryview(bytes(100_000)), 1)
            out += exchanged.stdout
            if exchanged.ended:
                break
        assert out == b"done\n"
        assert process.exit_status() == 0

    def test_waiting_for_a_silent_command_costs_no_cpu(self, connected: SshConnector) -> None:
        process = connected.open("sleep 5")
        began, used = time.monotonic(), time.process_time()
        assert process.exchange(NOTHING, 2) == (0, b"", b"", False)
        assert time.monotonic() - began >= 1.9
        assert time.process_time() - used < 0.1
        process.kill()

    def test_output_wakes_a_waiting_exchange_at_once(self, connected: SshConnector) -> None:
        process = connected.open("while IFS= read -r line; do echo $line; echo $line >&2; done")
        for number in range(300):
            line = f"{number}\n".encode()
            process.exchange(memoryview(line), 10)
            out = err = b""
            began = time.monotonic()
            while out + err != 2 * line:
                _, stdout, stderr, _ = process.exchange(NOTHING, 10)
                out, err = out + stdout, err + stderr
            assert time.monotonic() - began < 5
        process.kill()

    def test_output_that_ends_before_the_command_ends_the_process(
        self, connected: SshConnector
    ) -> None:
        process = connected.open("exec >&- 2>&-; sleep 30")
        began = time.monotonic()
        while not process.exchange(NOTHING, 10).ended:
            assert time.monotonic() - began < 5
        assert process.exit_status() is None
        process.kill()

    def test_a_whole_batch_of_scripts_comes_back(self, connected: SshConnector) -> None:
        session = Session.open(connected.open)
        scripts = [Script(f"echo {n}; echo {n} >&2; exit {n}") for n in range(40)]
        replies = session.run(scripts).whole()
        assert [
            (reply.exit_status, reply.stdout) for reply in replies if isinstance(reply, Reply)
        ] == [(n, f"{n}\n".encode()) for n in range(40)]
        session.close()

    def test_many_channels_work_side_by_side(self, connected: SshConnector) -> None:
        """Also the ends of stdin, which sshd does not forgive when they come after a CLOSE."""

        def work(number: int) -> bytes:
            return b"".join(finish(connected.open(f"echo {number}"))[0] for _ in range(40))

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(8))) == [f"{n}\n".encode() * 40 for n in range(8)]

    def test_input_and_output_survive_new_keys(self, make_sshd: ServerMaker) -> None:
        connector = SshConnector(make_sshd(settings="RekeyLimit 1M\n").endpoint())
        connector.connect()
        data = os.urandom(8_000_000)
        assert finish(connector.open("cat"), data)[0] == data
        connector.close()


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
        with listening(answer=None) as port, ThreadPoolExecutor(1) as pool:
            connector = SshConnector(sshd.endpoint(port=port, connect_timeout_s=60))
            connecting = pool.submit(connector.connect)
            time.sleep(0.3)
            began = time.monotonic()
            connector.close()
            with pytest.raises(UnreachableError, match="closed while connecting"):
                connecting.result(timeout=10)
            assert time.monotonic() - began < 3

    def test_closing_ends_the_wait_for_a_machine_that_does_not_answer(
        self, sshd: SshServer
    ) -> None:
        with deaf() as port, ThreadPoolExecutor(1) as pool:
            connector = SshConnector(sshd.endpoint(port=port, connect_timeout_s=60))
            connecting = pool.submit(connector.connect)
            time.sleep(0.5)
            assert not connecting.done()
            began = time.monotonic()
            connector.close()
            with pytest.raises(UnreachableError, match="closed while connecting"):
                connecting.result(timeout=10)
            assert time.monotonic() - began < 3
        assert not connector.is_connected()

    def test_closing_ends_the_wait_for_what_is_behind_a_shared_bastion(
        self, sshd: SshServer
    ) -> None:
        with (
            deaf() as port,
            ThreadPoolExecutor(1) as pool,
            contextlib.closing(SshConnector(sshd.endpoint(connect_timeout_s=60))) as bastion,
        ):
            bastion.connect()
            connector = bastion.beyond(sshd.endpoint(port=port, connect_timeout_s=60))
            connecting = pool.submit(connector.connect)
            time.sleep(0.5)
            assert not connecting.done()
            began = time.monotonic()
            connector.close()
            with pytest.raises(UnreachableError, match="closed while connecting"):
                connecting.result(timeout=10)
            assert time.monotonic() - began < 3
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
        with ThreadPoolExecutor(1) as pool:
            connecting = pool.submit(connector.connect)
            time.sleep(0.5)
            assert not connecting.done()
            connector.close()
            with pytest.raises(UnreachableError, match="closed while connecting"):
                connecting.result(timeout=3)
            answer.set()

    def test_closing_ends_the_wait_for_a_bastion(self, sshd: SshServer) -> None:
        with listening(answer=None) as port, ThreadPoolExecutor(1) as pool:
            bastion = sshd.endpoint(port=port, connect_timeout_s=60)
            connector = SshConnector(sshd.endpoint(bastions=(bastion,), connect_timeout_s=60))
            connecting = pool.submit(connector.connect)
            time.sleep(0.3)
            began = time.monotonic()
            connector.close()
            with pytest.raises(UnreachableError, match="closed while connecting"):
                connecting.result(timeout=10)
            assert time.monotonic() - began < 3


class TestHostKeys:
    def test_a_new_key_is_recorded_and_the_second_time_is_silent(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint())
        connector.connect()
        assert isinstance(connector, Notices)
        (notice,) = connector.notices
        fingerprint = subprocess.run(
            ["ssh-keygen", "-lf", f"{sshd.host_key()}.pub"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()[1]
        assert fingerprint in notice
        assert str(sshd.known_hosts) in notice
        connector.close()
        recorded = sshd.known_hosts.read_text()
        assert recorded.startswith(f"[127.0.0.1]:{sshd.port} ssh-ed25519 ")
        second = SshConnector(sshd.endpoint(host_key_policy=HostKeyPolicy.STRICT))
        second.connect()
        assert second.notices == ()
        second.close()
        assert sshd.known_hosts.read_text() == recorded

    def test_openssh_agrees_with_what_was_recorded(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint())
        connector.connect()
        connector.close()
        found = subprocess.run(
            ["ssh-keygen", "-F", f"[127.0.0.1]:{sshd.port}", "-f", str(sshd.known_hosts)],
            check=True,
            capture_output=True,
            text=True,
        )
        assert Path(f"{sshd.host_key()}.pub").read_text().split()[1] in found.stdout

    def test_strict_refuses_an_unknown_key_before_any_credential(self, sshd: SshServer) -> None:
        endpoint = sshd.endpoint(host_key_policy=HostKeyPolicy.STRICT)
        with pytest.raises(HostKeyError, match="SHA256:") as caught:
            SshConnector(endpoint).connect()
        assert "ssh-keyscan" in caught.value.hint
        assert not sshd.known_hosts.exists()
        assert "Accepted" not in sshd.log
        assert "Failed" not in sshd.log

    @pytest.mark.parametrize("policy", [HostKeyPolicy.STRICT, HostKeyPolicy.ACCEPT_NEW])
    def test_a_changed_key_is_refused(self, sshd: SshServer, policy: HostKeyPolicy) -> None:
        first = SshConnector(sshd.endpoint())
        first.connect()
        first.close()
        recorded = sshd.known_hosts.read_text()
        make_key(sshd.host_key())
        sshd.restart()
        with pytest.raises(HostKeyError, match="CHANGED") as caught:
            SshConnector(sshd.endpoint(host_key_policy=policy)).connect()
        error = caught.value
        assert error.host == "test"
        assert f"{sshd.known_hosts}:1" in error.message
        assert error.message.count("SHA256:") == 2
        assert "ssh-keygen -R" in error.hint
        assert sshd.known_hosts.read_text() == recorded

    def test_a_key_type_that_is_not_on_record_is_refused(self, make_sshd: ServerMaker) -> None:
        server = make_sshd(host_keys=("ecdsa",))
        first = SshConnector(server.endpoint())
        first.connect()
        first.close()
        server.host_keys = ("ed25519",)
        server.restart()
        with pytest.raises(HostKeyError, match="CHANGED"):
            SshConnector(server.endpoint()).connect()

    @pytest.mark.parametrize("known", ["rsa", "ecdsa", "ed25519"])
    def test_a_host_with_several_keys_presents_the_one_on_record(
        self, make_sshd: ServerMaker, known: str
    ) -> None:
        server = make_sshd(host_keys=("ed25519", "ecdsa", "rsa"))
        algorithm, key, _ = Path(f"{server.host_key(known)}.pub").read_text().split()
        server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {algorithm} {key}\n")
        connector = SshConnector(server.endpoint(host_key_policy=HostKeyPolicy.STRICT))
        connector.connect()
        connector.close()

    def test_a_burst_to_one_new_host_records_it_once(self, sshd: SshServer) -> None:
        connectors = [SshConnector(sshd.endpoint()) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(SshConnector.connect, connectors))
        assert sum(len(connector.notices) for connector in connectors) == 1
        assert len(sshd.known_hosts.read_text().splitlines()) == 1
        for connector in connectors:
            connector.close()

    def test_the_default_file_is_the_users(self, sshd: SshServer, home: Path) -> None:
        connector = SshConnector(sshd.endpoint(known_hosts=""))
        connector.connect()
        connector.close()
        assert str(sshd.port) in (home / ".ssh" / "known_hosts").read_text()


class TestAuthentication:
    def test_a_wrong_key_is_refused_and_what_was_tried_is_told(
        self, sshd: SshServer, home: Path
    ) -> None:
        wrong = make_key(home / "wrong")
        with pytest.raises(AuthenticationError) as caught:
            SshConnector(sshd.endpoint(private_key=str(wrong))).connect()
        error = caught.value
        assert error.host == "test"
        assert f"{sshd.endpoint().user}@127.0.0.1" in error.message
        assert f"key {wrong} (refused)" in error.message
        assert "--private-key" in error.hint

    def test_a_password_where_none_is_taken_is_told_and_not_shown(self, sshd: SshServer) -> None:
        endpoint = sshd.endpoint(private_key="", password=Secret("hunter2"))
        with pytest.raises(AuthenticationError) as caught:
            SshConnector(endpoint).connect()
        assert "password (not permitted by the host)" in caught.value.message
        assert "it wants publickey" in caught.value.message
        assert "hunter2" not in repr(caught.value)
        assert "hunter2" not in repr(SshConnector(endpoint))

    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_keys_of_every_kind_log_in(self, sshd: SshServer, home: Path, kind: str) -> None:
        key = make_key(home / "key", kind=kind)
        sshd.authorize(key)
        connector = SshConnector(sshd.endpoint(private_key=str(key)))
        connector.connect()
        connector.close()

    @pytest.mark.parametrize("form", ["PEM", "PKCS8"])
    def test_old_forms_of_keys_log_in(self, sshd: SshServer, home: Path, form: str) -> None:
        key = make_key(home / "key", kind="ecdsa")
        sshd.authorize(key)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-m", form, "-N", "secret", "-f", str(key)],
            check=True,
            capture_output=True,
        )
        connector = SshConnector(sshd.endpoint(private_key=str(key), passphrase=Secret("secret")))
        connector.connect()
        connector.close()
        with pytest.raises(AuthenticationError, match=r"passphrase of .* is wrong"):
            SshConnector(sshd.endpoint(private_key=str(key), passphrase=Secret("other"))).connect()

    def test_a_passphrase_opens_its_key(self, sshd: SshServer, home: Path) -> None:
        key = make_key(home / "locked", passphrase="open sesame")
        sshd.authorize(key)
        right = sshd.endpoint(private_key=str(key), passphrase=Secret("open sesame"))
        connector = SshConnector(right)
        connector.connect()
        connector.close()

    def test_a_missing_or_wrong_passphrase_names_the_file(
        self, sshd: SshServer, home: Path
    ) -> None:
        key = make_key(home / "locked", passphrase="open sesame")
        with pytest.raises(AuthenticationError, match=f"{key} is encrypted and no passphrase"):
            SshConnector(sshd.endpoint(private_key=str(key))).connect()
        wrong = sshd.endpoint(private_key=str(key), passphrase=Secret("open barley"))
        with pytest.raises(AuthenticationError, match=f"passphrase of .*{key} is wrong") as caught:
            SshConnector(wrong).connect()
        assert "barley" not in str(caught.value)

    def test_a_key_file_that_is_no_use_is_told_before_anyone_is_called(
        self, sshd: SshServer, home: Path
    ) -> None:
        nobody = free_port()
        with pytest.raises(AuthenticationError, match="cannot be read: No such file") as caught:
            SshConnector(sshd.endpoint(port=nobody, private_key="~/missing")).connect()
        assert caught.value.host == "test"
        assert str(home / "missing") in caught.value.message
        (home / "text").write_text("hello")
        with pytest.raises(AuthenticationError, match="is not a private key"):
            SshConnector(sshd.endpoint(port=nobody, private_key="~/text")).connect()

    def test_keys_of_the_home_directory_are_found(self, sshd: SshServer, home: Path) -> None:
        shutil.copy(sshd.private_key, home / ".ssh" / "id_ed25519")
        make_key(home / ".ssh" / "id_rsa", kind="rsa", passphrase="unknown to us")
        connector = SshConnector(sshd.endpoint(private_key=""))
        connector.connect()
        connector.close()

    def test_without_any_credential_the_error_says_what_the_host_wants(
        self, sshd: SshServer
    ) -> None:
        with pytest.raises(AuthenticationError, match="it wants publickey"):
            SshConnector(sshd.endpoint(private_key="")).connect()

    def test_too_many_wrong_keys_are_explained(
        self, make_sshd: ServerMaker, home: Path, agent: Agent
    ) -> None:
        server = make_sshd(settings="MaxAuthTries 3\n")
        for number in range(5):
            agent.add(make_key(home / f"wrong{number}"))
        with pytest.raises(AuthenticationError) as caught:
            SshConnector(server.endpoint(private_key="")).connect()
        assert "MaxAuthTries" in caught.value.hint
        # A named key is offered first and alone, so the agent's cannot use up the tries.
        connector = SshConnector(server.endpoint())
        connector.connect()
        connector.close()

    @pytest.mark.skipif(os.geteuid() != 0, reason="sshd runs the command as another user")
    def test_a_login_that_hangs_on_the_host_costs_the_timeout(
        self, make_sshd: ServerMaker, home: Path
    ) -> None:
        unknown = str(make_key(home / "unknown"))
        server = make_sshd(
            settings="AuthorizedKeysCommand /bin/sleep 30\nAuthorizedKeysCommandUser root\n"
        )
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="did not answer the publickey login within 1 s"):
            SshConnector(server.endpoint(private_key=unknown, connect_timeout_s=1)).connect()
        assert time.monotonic() - began < 3

    def test_the_agent_is_asked(self, sshd: SshServer, agent: Agent) -> None:
        agent.add(sshd.private_key)
        before = descriptors()
        connector = SshConnector(sshd.endpoint(private_key=""))
        connector.connect()
        connector.close()
        assert descriptors() <= before

    def test_the_agent_opens_a_named_key_that_is_encrypted(
        self, sshd: SshServer, home: Path, agent: Agent
    ) -> None:
        plain = make_key(home / "mine")
        sshd.authorize(plain)
        agent.add(plain)
        agent.add(make_key(home / "other"))
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(plain)],
            check=True,
            capture_output=True,
        )
        connector = SshConnector(sshd.endpoint(private_key=str(plain)))
        connector.connect()
        connector.close()
        assert sshd.log.count("Failed publickey") == 0

    def test_a_dead_agent_is_no_agent(
        self, sshd: SshServer, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "gone"))
        with pytest.raises(AuthenticationError):
            SshConnector(sshd.endpoint(private_key="")).connect()


class TestConfiguration:
    def test_ssh_config_fills_in_what_the_endpoint_leaves_empty(
        self, sshd: SshServer, home: Path
    ) -> None:
        (home / ".ssh" / "config").write_text(
            f"Host machine\n  HostName 127.0.0.1\n  Port {sshd.port}\n"
            f"  User {sshd.endpoint().user}\n  IdentityFile {sshd.private_key}\n"
        )
        endpoint = sshd.endpoint(address="machine", port=0, user="", private_key="")
        connector = SshConnector(endpoint)
        connector.connect()
        assert finish(connector.open("echo hello"))[0] == b"hello\n"
        connector.close()

    def test_the_endpoint_wins_over_ssh_config(self, sshd: SshServer, home: Path) -> None:
        (home / ".ssh" / "config").write_text(
            "Host *\n  Port 1\n  User nobody\n  IdentityFile ~/.ssh/none\n  ConnectTimeout 1\n"
        )
        connector = SshConnector(sshd.endpoint())
        connector.connect()
        connector.close()

    def test_identities_only_keeps_the_agents_other_keys_out(
        self, sshd: SshServer, home: Path, agent: Agent
    ) -> None:
        agent.add(sshd.private_key)
        mine = make_key(home / "mine")
        (home / ".ssh" / "config").write_text(f"IdentitiesOnly yes\nIdentityFile {mine}\n")
        with pytest.raises(AuthenticationError, match=rf"key {mine} \(refused"):
            SshConnector(sshd.endpoint(private_key="")).connect()

    def test_a_broken_configuration_is_an_error_of_ours(self, sshd: SshServer, home: Path) -> None:
        (home / ".ssh" / "config").write_text("Host *\n  Port many\n")
        with pytest.raises(ConnectError, match="configuration"):
            SshConnector(sshd.endpoint(port=0)).connect()

    def test_a_proxy_jump_that_is_none_is_an_error_of_ours(
        self, sshd: SshServer, home: Path
    ) -> None:
        (home / ".ssh" / "config").write_text("Host *\n  ProxyJump gate:many\n")
        with pytest.raises(ConnectError, match="gate:many"):
            SshConnector(sshd.endpoint()).connect()

    def test_proxy_jump_goes_through_each_host_in_order(
        self, make_sshd: ServerMaker, home: Path
    ) -> None:
        first, second, last = make_sshd(), make_sshd(), make_sshd()
        hops = ",".join(f"{s.endpoint().user}@127.0.0.1:{s.port}" for s in (first, second))
        (home / ".ssh" / "config").write_text(
            f"Host end\n  HostName 127.0.0.1\n  ProxyJump {hops}\n"
        )
        shutil.copy(first.private_key, home / ".ssh" / "id_ed25519")
        second.authorize(first.private_key)
        before = set(threading.enumerate())
        connector = SshConnector(last.endpoint(address="end", known_hosts=""))
        connector.connect()
        assert len(connector.notices) == 3
        assert finish(connector.open("cat"), b"x" * 3_000_000)[0] == b"x" * 3_000_000
        assert "Accepted" in first.log
        assert "Accepted" in second.log
        connector.close()
        assert_no_more(before, descriptors())

    def test_a_bastion_is_shared_and_stays_open(self, make_sshd: ServerMaker) -> None:
        gate, host = make_sshd(), make_sshd()
        bastion = SshConnector(gate.endpoint())
        bastion.connect()
        through = [SshConnector(host.endpoint(), bastion=bastion) for _ in range(3)]
        for connector in through:
            connector.connect()
            assert finish(connector.open("echo hello"))[0] == b"hello\n"
        for connector in through:
            connector.close()
        assert bastion.is_connected()
        unreachable = SshConnector(host.endpoint(port=free_port()), bastion=bastion)
        with pytest.raises(UnreachableError, match="bastion test does not reach"):
            unreachable.connect()
        gate.stop()
        bastion.close()


def test_what_paramiko_has_to_say_does_not_reach_the_terminal(sshd: SshServer) -> None:
    program = """
        import logging, sys
        from kubexm.connector import Endpoint
        from kubexm.connector.ssh import plugin
        from kubexm.errors import KubexmError

        for port in sys.argv[1:]:
            endpoint = Endpoint(name="x", address="127.0.0.1", port=int(port), user="nobody",
                                known_hosts="/dev/null", connect_timeout_s=0.5)
            try:
                plugin(endpoint).connect()
            except KubexmError as error:
                print(type(error).__name__)
        assert not logging.getLogger().handlers
    """
    with (
        listening(answer=None) as silent,
        listening(answer=b"hello\n") as other,
        listening(answer=b"SSH-2.0-gone\r\n") as gone,
    ):
        ports = [str(port) for port in (silent, other, gone, sshd.port)]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), *ports],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.stderr == ""
    assert done.stdout.split() == [
        "DialTimeoutError",
        "DroppedError",
        "UnreachableError",
        "AuthenticationError",
    ]
