"""The very scripts that kubexm sends for a converged host, for the floors to send again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.connector import Endpoint, HostKeyPolicy
from kubexm.connector.ssh import SshConnector
from kubexm.runner import Catalogue, Host
from kubexm.shell import Session
from tests.benchmarks import job
from tests.benchmarks.kubexm_tasks import operation
from tests.tasks import ROOT

if TYPE_CHECKING:
    from kubexm.shell import Exchange, Process
    from tests.benchmarks.stage import Target


class Tap:
    """A process that keeps what is written to it, a list of bytes for each trip."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.written = bytearray()

    def exchange(self, outgoing: memoryview, timeout_s: float) -> Exchange:
        """See `Process.exchange`."""
        moved = self._process.exchange(outgoing, timeout_s)
        self.written += outgoing[: moved.taken]
        return moved

    def close_stdin(self) -> None:
        """See `Process.close_stdin`."""
        self._process.close_stdin()

    def exit_status(self) -> int | None:
        """See `Process.exit_status`."""
        return self._process.exit_status()

    def kill(self) -> None:
        """See `Process.kill`."""
        self._process.kill()


def recorded(target: Target, directory: Path) -> None:
    """Write `loop`, `script1` and `script2` into a directory, from the first host's own answers.

    The hosts have to be converged already. Every host is sent the first one's script: it reads as
    many files there, and they are as large.
    """
    words = (target.addresses[0], str(target.port), str(target.private_key), str(directory))
    command = [*target.enter, sys.executable, "-m", "tests.benchmarks.record", *words]
    subprocess.run(command, cwd=ROOT, check=True)


def record(address: str, port: int, key: str, directory: Path) -> None:
    """Converge one host, and keep what was sent."""
    endpoint = Endpoint(
        name="h0001",
        address=address,
        port=port,
        user="root",
        private_key=key,
        host_key_policy=HostKeyPolicy.ACCEPT_NEW,
        known_hosts=str(directory / "known_hosts"),
    )
    connector = SshConnector(endpoint)
    connector.connect()
    taps: list[Tap] = []

    def start(command: str) -> Tap:
        (directory / "loop").write_text(command, "utf-8")
        taps.append(Tap(connector.open(command)))
        return taps[-1]

    session = Session.open(start)
    host = Host.open("h0001", session, Catalogue.installed())
    first = len(taps[0].written)
    wanted = job.items(f"{job.BASE}/h0001")
    outcomes = host.converge(*(operation(item, "h0001") for item in wanted))
    assert not any(outcome.changed or outcome.failed for outcome in outcomes)
    written = bytes(taps[0].written)
    token, newline, _ = written.partition(b"\n")
    (directory / "script1").write_bytes(written[:first])
    # The second exec is a shell of its own, which has to be given the functions again.
    prelude = written[:first].partition(newline)[2]
    size, _, program = prelude.partition(newline)
    del size
    (directory / "script2").write_bytes(_joined(token, program, written[first:]))
    session.close()
    connector.close()


def _joined(token: bytes, first: bytes, second: bytes) -> bytes:
    """The second batch behind the first one's functions."""
    functions = first[: first.index(b"\nkx_batch\n") + 1]
    _, _, program = second.partition(b"\n")
    whole = functions + program
    return token + b"\n" + str(len(whole)).encode() + b"\n" + whole


if __name__ == "__main__":
    where, number, private_key, into = sys.argv[1:]
    record(where, int(number), private_key, Path(into))
