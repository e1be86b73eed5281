"""The ssh connector against a real sshd on the loopback: commands."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.ssh import SshConnector
from kubexm.shell import Reply, Script, Session
from tests.integration.lines import NOTHING, finish, listening

if TYPE_CHECKING:
    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer


pytestmark = pytest.mark.integration


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
