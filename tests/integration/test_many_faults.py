"""Many hosts of which some cannot be opened, each for its own reason: one run tells them all."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.engine import Bus, ExitCode, HostStatus, walk
from kubexm.errors import (
    AuthenticationError,
    DialRefusedError,
    DialTimeoutError,
    HostKeyChangedError,
)
from kubexm.inventory import load
from kubexm.plan import Plan, Step, StepContext
from kubexm.runner.operations import FileContent
from kubexm.runtime import Runtime, Settings
from tests.integration.sshd import free_port, make_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kubexm.runner import Operation
    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration

_OWN = f"AllowUsers {getpass.getuser()}@127.0.0.0/8\nMaxStartups 500\n"
"""Of an sshd that listens at every address, because it takes sixteen single ones at most."""


@dataclass(frozen=True, kw_only=True)
class Census:
    """How many hosts there are, and how many of them have which fault."""

    total: int
    refused: int
    stranger: int
    changed: int
    silent: int
    timeout_s: int

    @property
    def broken(self) -> int:
        return self.refused + self.stranger + self.changed + self.silent


FEW = Census(total=60, refused=6, stranger=3, changed=3, silent=2, timeout_s=8)
MANY = Census(total=200, refused=20, stranger=5, changed=5, silent=2, timeout_s=15)
"""A healthy host's handshake has to be over within the timeout, on two processors too."""


def inventory_of(directory: Path, census: Census, server: SshServer, silent_port: int) -> Path:
    """The hosts, faults spread among them, each at an address of its own save the silent."""
    stranger = make_key(directory / "id_stranger")
    other_host = Path(f"{make_key(directory / 'other_host')}.pub").read_text().split()[:2]
    kinds = ["refused"] * census.refused + ["stranger"] * census.stranger
    kinds += ["changed"] * census.changed + ["silent"] * census.silent
    nobody = free_port()
    every = census.total // census.broken
    lines, known = [], []
    for number in range(census.total):
        kind = kinds.pop() if number % every == 0 and kinds else "good"
        address = "127.0.0.1" if kind == "silent" else f"127.1.{number // 250}.{number % 250 + 1}"
        port = {"refused": nobody, "silent": silent_port}.get(kind, server.port)
        key = stranger if kind == "stranger" else server.private_key
        if kind == "changed":
            known.append(f"[{address}]:{port} {' '.join(other_host)}")
        name = f"{kind}{number:03}"
        lines.append(
            f"    {name}: {{kubexm_host: {address}, kubexm_port: {port}, "
            f"kubexm_private_key_file: {key}}}"
        )
    assert not kinds
    server.known_hosts.write_text("".join(f"{line}\n" for line in known))
    path = directory / "hosts.yaml"
    hosts = "\n".join(lines)
    path.write_text(
        f"all:\n  hosts:\n{hosts}\n"
        f"  vars: {{kubexm_user: {getpass.getuser()}, kubexm_become: false, "
        f"kubexm_known_hosts: {server.known_hosts}, "
        f"kubexm_connect_timeout: {census.timeout_s}}}\n"
    )
    return path


@contextlib.contextmanager
def silence() -> Iterator[int]:
    """A port where connections are accepted by the kernel, and nobody says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield int(listener.getsockname()[1])


def mark(directory: Path) -> Plan:
    """A file for each host, so that everybody can see who was at work."""

    def body(context: StepContext) -> Iterable[Operation]:
        yield FileContent(path=str(directory / context.host.name), content="x")

    return Plan(name="mark", steps=(Step(name="mark", body=body),))


def grace_s() -> float:
    """What a fault may take beyond the connect timeout: 5 s, more where others are at work too."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return 5 * max(1.0, load)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "census",
    [
        pytest.param(FEW, id="60"),
        pytest.param(MANY, id="200", marks=[pytest.mark.full, pytest.mark.timeout(300)]),
    ],
)
def test_every_fault_is_told_with_its_own_reason_while_the_others_go_on(
    tmp_path: Path, make_sshd: ServerMaker, census: Census
) -> None:
    server = make_sshd(address="0.0.0.0", settings=_OWN)  # noqa: S104 - AllowUsers
    marks = tmp_path / "marks"
    marks.mkdir()
    threads, files = set(threading.enumerate()), descriptors()
    with silence() as silent_port, Bus([]) as bus:
        inventory = load(inventory_of(tmp_path, census, server, silent_port))
        settings = Settings(forks=census.total)
        runtime = Runtime(inventory, inventory.hosts, settings)
        try:
            report = walk(mark(marks), runtime, bus)
        finally:
            runtime.close()

    wanted = {
        "refused": (DialRefusedError, "refused the connection"),
        "stranger": (AuthenticationError, "id_stranger"),
        "changed": (HostKeyChangedError, "host key"),
        "silent": (DialTimeoutError, "no banner"),
    }
    told = Counter[str]()
    for host in report.hosts:
        kind = host.host.rstrip("0123456789")
        told[kind] += 1
        if kind == "good":
            assert host.status is HostStatus.CHANGED, f"{host.host}: {host.error}"
            continue
        error_kind, words = wanted[kind]
        assert host.status is HostStatus.UNREACHABLE
        assert isinstance(host.error, error_kind)
        assert words in str(host.error)
        assert host.error.host == host.host
    assert told == {
        "good": census.total - census.broken,
        "refused": census.refused,
        "stranger": census.stranger,
        "changed": census.changed,
        "silent": census.silent,
    }
    assert report.exit_code() is ExitCode.UNREACHABLE
    assert {path.name for path in marks.iterdir()} == {
        host.name for host in inventory.hosts if host.name.startswith("good")
    }
    slowest_s = max(
        host.duration_s for host in report.hosts if host.status is HostStatus.UNREACHABLE
    )
    assert slowest_s < census.timeout_s + grace_s()

    assert all(pool.state.all.total == 0 for pool in runtime.pools.values())
    limit = time.monotonic() + 30
    while set(threading.enumerate()) - threads and time.monotonic() < limit:
        time.sleep(0.05)
    assert set(threading.enumerate()) - threads == set()
    assert descriptors() == files
