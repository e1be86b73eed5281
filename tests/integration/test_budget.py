"""What jobs cost, told without a clock: trips, bytes, threads, processes, instructions."""

from __future__ import annotations

import getpass
import shlex
import subprocess
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.local import LocalConnector
from kubexm.connector.ssh import SshConnector
from kubexm.engine import (
    Bus,
    HostEnded,
    HostReport,
    HostStatus,
    as_json,
    command,
    facts,
    ping,
    walk,
)
from kubexm.inventory import load
from kubexm.plan import Plan, Step
from kubexm.runner import Catalogue, Host, text_diff
from kubexm.runner.decide import Bound, decide
from kubexm.runner.operations import Directory, FileContent, LineInFile, SymbolicLink
from kubexm.runtime import Runtime
from kubexm.shell import Reply, Script, Session
from kubexm.shell.frame import Decoder, encode
from tests.budget import RECORDED, instructions, keep
from tests.integration.meter import meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kubexm.engine import RunReport
    from kubexm.runner import Operation
    from kubexm.shell import Process
    from tests.benchmarks.relay import Counts
    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration

recorded = pytest.mark.skipif(not RECORDED, reason="instructions were counted with Python 3.11")

TEXT = "".join(f"# {number:02} what a configuration file says\n" for number in range(30))
TOKEN = "0123456789abcdef0123456789abcdef"


def forty(home: Path) -> tuple[Operation, ...]:
    """Forty operations on files, as many as the benchmark's job has in all."""
    made: list[Operation] = [Directory(path=str(home))]
    made += [Directory(path=f"{home}/d{n}") for n in range(7)]
    made += [FileContent(path=f"{home}/d{n % 7}/f{n}", content=f"{n}\n{TEXT}") for n in range(20)]
    made += [LineInFile(path=f"{home}/lines{n}", line=f"setting{n} = on") for n in range(6)]
    made += [SymbolicLink(path=f"{home}/link{n}", target=f"{home}/d{n}") for n in range(6)]
    return tuple(made)


@contextmanager
def by_ssh(sshd: SshServer, directory: Path) -> Iterator[tuple[Runtime, Counts]]:
    """A run on one host through a meter; its key is known already."""
    with meter(sshd.port) as (port, counts):
        path = directory / "hosts.yaml"
        path.write_text(
            f"all:\n  hosts:\n    one:\n      kubexm_host: 127.0.0.1\n      kubexm_port: {port}\n"
            f"      kubexm_user: {getpass.getuser()}\n      kubexm_become: false\n"
            f"      kubexm_private_key_file: {sshd.private_key}\n"
            f"      kubexm_known_hosts: {directory / 'known'}\n"
            f"      kubexm_host_key_policy: strict\n"
        )
        public = sshd.host_key().with_suffix(".pub").read_text().split()
        (directory / "known").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
        inventory = load(path)
        runtime = Runtime(inventory, inventory.hosts)
        try:
            yield runtime, counts
        finally:
            runtime.close()


def jobs(home: Path) -> dict[str, Callable[[Runtime, Bus], RunReport]]:
    """What is measured, in an order in which each finds what it needs."""
    plan = Plan(name="forty", steps=(Step(name="forty", body=forty(home)),))

    def converge(runtime: Runtime, bus: Bus) -> RunReport:
        return walk(plan, runtime, bus)

    return {
        "ping": ping,
        "facts": facts,
        "command": lambda runtime, bus: command("true", runtime, bus),
        "first": converge,
        "converged": converge,
    }


def test_a_job_keeps_to_its_trips_turns_and_bytes(sshd: SshServer, tmp_path: Path) -> None:
    """A turn is a send after an answer: what a job waits for at a distance, login included."""
    for name, job in jobs(tmp_path / "home").items():
        with by_ssh(sshd, tmp_path) as (runtime, counts), Bus([]) as bus:
            report = job(runtime, bus)
            (host,) = report.hosts
            assert host.error is None
            wanted = HostStatus.CHANGED if name == "first" else HostStatus.OK
            assert host.status is wanted
        keep(f"trips.{name}", host.trips)
        keep(f"connections.{name}", counts.connections)
        keep(f"turns.{name}", counts.turns)
        keep(f"up_bytes.{name}", counts.up_bytes)
        keep(f"down_bytes.{name}", counts.down_bytes)


def test_a_connection_with_its_session_keeps_one_thread(sshd: SshServer) -> None:
    before = threading.active_count()
    with closing(SshConnector(sshd.endpoint())) as connector:
        connector.connect()
        with closing(Session.open(connector.open)) as session:
            session.ask(Script("true"))
            keep("threads.connection", threading.active_count() - before)


@contextmanager
def counted() -> Iterator[tuple[Session, Callable[[], int]]]:
    """A session in a PID namespace of its own, where pids are given out one after another.

    The function says which was the last; asking for it takes some itself.
    """
    words = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child", "sh", "-c")
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a PID namespace of one's own needs root")
    connector = LocalConnector()
    connector.connect()

    def start(line: str) -> Process:
        return connector.open(f"exec {shlex.join(words)} {shlex.quote(line)}")

    with closing(connector), closing(Session.open(start)) as session:

        def last() -> int:
            return int(session.ask(Script("read -r a b c d pid </proc/loadavg; echo $pid")).text)

        yield session, last


def test_a_host_starts_few_processes(tmp_path: Path) -> None:
    """Counted exactly: of the facts, and of forty operations that change and change nothing."""
    with counted() as (session, last):
        last()
        asking = -last() + last()
        before = last()
        host = Host.open("here", session, Catalogue.installed())
        keep("processes.facts", last() - before - asking)
        before = last()
        assert host.converge(*forty(tmp_path / "home"))[0].changed
        keep("processes.first", last() - before - asking)
        before = last()
        outcomes = host.converge(*forty(tmp_path / "home"))
        keep("processes.converged", last() - before - asking)
        assert not any(outcome.changed or outcome.failed for outcome in outcomes)


def framed(replies: tuple[Reply, ...]) -> tuple[bytes, bytes]:
    """Replies as the loop on the host says them."""
    out, err = bytearray(), bytearray()
    for number, reply in enumerate(replies):
        for stream, said in ((out, reply.stdout), (err, reply.stderr)):
            end = f"{TOKEN} e {number} {reply.exit_status}\n"
            stream.extend(f"{TOKEN} b {number}\n".encode() + said + end.encode())
    return bytes(out), bytes(err)


@recorded
def test_the_pure_parts_of_a_converged_host_take_few_instructions(tmp_path: Path) -> None:
    """From operations to the bytes that are sent, and from the answer to forty outcomes."""
    operations = forty(tmp_path)
    connector = LocalConnector()
    connector.connect()
    with closing(connector), closing(Session.open(connector.open)) as session:
        host = Host.open("here", session, Catalogue.installed())
        host.converge(*operations)
        bound = [Bound(op=op, handler=host.handler(op)) for op in operations]
        probes = [one.probe(host.facts) for one in bound]
        replies = tuple(r for r in session.run(probes).whole() if isinstance(r, Reply))
    known = host.facts
    assert not any(decide(*pair, known).change for pair in zip(bound, replies, strict=True))
    keep("instructions.bind", instructions(lambda: [host.handler(op) for op in operations]))
    keep("instructions.probe", instructions(lambda: [one.probe(known) for one in bound]))
    keep("instructions.encode", instructions(lambda: encode(probes, TOKEN, deadline_s=60)))
    answer = framed(replies)

    def decode() -> None:
        decoder = Decoder(probes, TOKEN, cap_bytes=1 << 20)
        decoder.feed(*answer)
        assert decoder.complete

    keep("instructions.decode", instructions(decode))
    keep(
        "instructions.decide",
        instructions(lambda: [decide(*pair, known) for pair in zip(bound, replies, strict=True)]),
    )


@recorded
def test_an_inventory_of_500_hosts_takes_few_instructions_a_host(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    hosts = "".join(
        f"    h{n:03}: {{kubexm_host: 192.0.2.{n % 250 + 1}, zone: z{n % 3}}}\n" for n in range(500)
    )
    path.write_text(
        f"all:\n  hosts:\n{hosts}  vars: {{kubexm_user: ops}}\n  children:\n    web:\n"
        "      hosts: {h001: , h002: }\n"
    )
    inventory = load(path)
    keep("instructions.inventory_500", instructions(lambda: load(path)))
    keep("instructions.limit_500", instructions(lambda: inventory.select("h*:!web:!h4[0-9]*")))


@recorded
def test_diffs_and_events_take_few_instructions() -> None:
    before = TEXT * 10
    after = before.replace("# 07", "# 70")
    keep("instructions.diff", instructions(lambda: text_diff("/etc/x", before, after)))
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    report = HostReport(host="one", status=HostStatus.OK)
    event = HostEnded(run="r", time=moment, report=report)
    keep("instructions.event", instructions(lambda: as_json(event)))
