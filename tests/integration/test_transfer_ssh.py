"""Transfers over a real sshd that goes away in the middle of them, and the commands around them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.ssh import SshConnector
from kubexm.errors import ConnectError, HostError, SessionLostError
from kubexm.runner import Catalogue, Host, PutOptions, Source
from kubexm.runner.transfer import put
from kubexm.shell import Session
from kubexm_linux import family

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration

LARGE = 9 << 20
ROUNDS = 12
MEMORY_KIB = 400 << 10
PROGRAM = [sys.executable, "-m", "invoke"]


def connected(sshd: SshServer) -> SshConnector:
    connector = SshConnector(sshd.endpoint())
    connector.connect()
    return connector


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Originals of these tests are not kept on this machine."""
    monkeypatch.setenv("KUBEXM_STATE", str(tmp_path / "state"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


@pytest.mark.parametrize("kind", ["written", "put", "large"])
def test_a_file_is_the_old_or_the_new_one_wherever_the_link_is_cut(
    sshd: SshServer, target: Path, tmp_path: Path, kind: str
) -> None:
    size = LARGE if kind == "large" else 200_000
    contents = [secrets.token_bytes(size) for _ in range(2)]
    sources = []
    for number, content in enumerate(contents):
        (tmp_path / f"source{number}").write_bytes(content)
        sources.append(Source.read(tmp_path / f"source{number}"))
    path = target / "file"

    def replace(connector: SshConnector, number: int) -> None:
        session = Session.open(connector.open)
        if kind == "written":
            host = Host.open("here", session, Catalogue([family]))
            host.files.write(str(path), contents[number].decode("latin-1"))
        else:
            put(session, sources[number], str(path), PutOptions(), deadline_s=60)

    wanted = [content.decode("latin-1").encode() for content in contents]
    if kind != "written":
        wanted = contents
    connector = connected(sshd)
    began = time.monotonic()
    replace(connector, 0)
    took = time.monotonic() - began
    assert path.read_bytes() == wanted[0]
    cuts = 0
    for number in range(ROUNDS):
        if not connector.is_connected():
            connector = connected(sshd)
        killer = threading.Timer(random.uniform(0, 1.2 * took), sshd.stop_sessions)  # noqa: S311 - no secret
        killer.start()
        try:
            with suppress(ConnectError, HostError):
                replace(connector, number % 2)
                cuts -= 1
            cuts += 1
        finally:
            killer.join()
        connector.close()
        assert path.read_bytes() in wanted
    assert cuts > 0
    connector = connected(sshd)
    replace(connector, ROUNDS % 2)
    replace(connector, (ROUNDS + 1) % 2)
    assert path.read_bytes() == wanted[(ROUNDS + 1) % 2]
    assert [found.name for found in target.iterdir()] == ["file"]
    connector.close()


def test_an_upload_to_an_sshd_that_is_killed_goes_on_at_the_next_one(
    sshd: SshServer, target: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(secrets.token_bytes(2 * LARGE))
    (target / "file").write_text("old")
    connector = connected(sshd)

    def stop(moved: int, total: int) -> None:
        if moved > total // 2:
            sshd.stop()

    looked = Source.read(source)
    with pytest.raises(SessionLostError):
        put(
            Session.open(connector.open),
            looked,
            str(target / "file"),
            PutOptions(),
            deadline_s=60,
            progress=stop,
        )
    connector.close()
    assert (target / "file").read_text() == "old"
    sshd.start()
    connector = connected(sshd)
    session = Session.open(connector.open)
    done = put(session, looked, str(target / "file"), PutOptions(), deadline_s=60)
    connector.close()
    assert done.resumed_bytes > LARGE // 2
    assert (target / "file").read_bytes() == source.read_bytes()
    assert [found.name for found in target.iterdir()] == ["file"]


class Project:
    """A user's project with hosts that are all this machine, by other addresses."""

    def __init__(self, directory: Path, servers: list[SshServer], hosts: int) -> None:
        self.directory = directory
        directory.mkdir()
        (directory / "tasks.py").write_text("from kubexm.tasks import ns\n")
        lines = []
        for number in range(hosts):
            endpoint = servers[number % len(servers)].endpoint()
            lines.append(
                f"    h{number}: {{kubexm_host: 127.0.1.{1 + number // len(servers)}, "
                f"kubexm_port: {endpoint.port}, kubexm_known_hosts: {endpoint.known_hosts}, "
                f"kubexm_private_key_file: {endpoint.private_key}}}\n"
            )
        (directory / "inventory.yaml").write_text(
            f"all:\n  hosts:\n{''.join(lines)}  vars:\n"
            f"    kubexm_user: {endpoint.user}\n    kubexm_become: false\n"
            "    kubexm_connect_timeout: 60\n"
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*PROGRAM, *words, "-i", "inventory.yaml"],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, timeout_s: float = 110) -> tuple[int, str, str]:
        process = self.start(*words)
        stdout, stderr = process.communicate(timeout=timeout_s)
        return process.returncode, stdout, stderr


@pytest.fixture
def many(make_sshd: ServerMaker) -> list[SshServer]:
    """Two servers, each at ten addresses of the loopback: one may have sixteen."""
    lines = "".join(f"ListenAddress 127.0.1.{number}\n" for number in range(1, 11))
    return [make_sshd(settings=f"{lines}MaxStartups 100\n") for _ in range(2)]


@pytest.fixture
def project(many: list[SshServer], tmp_path: Path) -> Project:
    return Project(tmp_path / "project", many[:1], 3)


def test_put_and_get_as_they_are_typed(project: Project, tmp_path: Path, target: Path) -> None:
    source = tmp_path / "tree"
    (source / "sub").mkdir(parents=True)
    (source / "sub/file").write_text("content\n")
    limit = ("--limit", "h0")
    there = str(target / "tree")
    code, stdout, stderr = project.run("hosts.put", str(source), there, *limit, "--check", "--diff")
    assert code == 0, stderr
    assert f"+{there}/sub/file: file 0644" in stdout
    assert not (target / "tree").exists()
    code, stdout, stderr = project.run("hosts.put", str(source), there, *limit, "--mode", "0600")
    assert code == 0, stderr
    assert f"~ h0: put {source} to {there}: changed" in stdout
    assert (target / "tree/sub/file").stat().st_mode & 0o777 == 0o600
    code, stdout, _ = project.run(
        "hosts.put", str(source), there, *limit, "--mode", "0600", "--output", "json"
    )
    (ended,) = [json.loads(line) for line in stdout.splitlines() if '"operation.ended"' in line]
    assert (ended["status"], ended["type"]) == ("ok", "Put")
    code, stdout, stderr = project.run("hosts.get", there, "got")
    assert code == 0, stderr
    for name in ("h0", "h1", "h2"):
        assert (project.directory / "got" / name / "tree/sub/file").read_text() == "content\n"
    for words, said in (
        (("hosts.put", str(source), "relative"), "not an absolute path"),
        (("hosts.put", str(source), there, "--mode", "9"), "octal"),
        (("hosts.put", "nothing", there), "No such file"),
    ):
        code, _, stderr = project.run(*words)
        assert code == 5
        assert said in stderr


def test_commands_take_their_options(project: Project) -> None:
    limit = ("--limit", "h0")
    code, stdout, _ = project.run(
        "hosts.run", 'echo "$A|$B"; pwd; exit 3', "--any-status", "--chdir", "/usr",
        "--env", "A=a 'b'", "--env", "B=$x", *limit,
    )  # fmt: skip
    assert code == 0
    assert "a 'b'|$x\n    /usr\n" in stdout
    code, stdout, stderr = project.run(
        "hosts.run",
        "echo hush; echo hush >&2; exit 3",
        "--hidden",
        *limit,
        "--output",
        "json",
        "-v",
    )
    assert code == 2
    assert "hush" not in stdout + stderr
    code, stdout, stderr = project.run("hosts.run", "id -un", "--as-user", "root", *limit)
    assert code == 2
    assert "forbids" in stdout


def test_the_pools_numbers_are_in_the_file_of_metrics(project: Project, tmp_path: Path) -> None:
    target = tmp_path / "metrics"
    code, _, stderr = project.run("hosts.run", "true", "--metrics-file", str(target))
    assert code == 0, stderr
    text = target.read_text()
    assert text.count("# TYPE kubexm_connector_pool_dials_total counter\n") == 1
    dials = re.findall(r'^kubexm_connector_pool_dials_total\{key="[^"]+"\} 1$', text, re.MULTILINE)
    assert len(dials) == 3
    assert 'kubexm_runs_total{plan="hosts.run"' in text


def test_an_interrupt_ends_the_command_on_the_hosts(project: Project) -> None:
    seconds = str(secrets.randbelow(10**8) + 10**8)
    process = project.start("hosts.run", f"echo begun; sleep {seconds}", "-v")
    assert process.stdout is not None
    begun = [process.stdout.readline() for _ in range(3)]
    assert all("begun" in line for line in begun), begun
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout.count("interrupted") >= 3
    assert gone(f"sleep {seconds}")


def test_a_fatal_failure_breaks_the_others_off(project: Project) -> None:
    seconds = str(secrets.randbelow(10**8) + 10**8)
    text = f'case $SSH_CONNECTION in *" 127.0.1.2 "*) exit 1;; esac; sleep {seconds}'
    code, stdout, stderr = project.run("hosts.run", text, "--fatal", timeout_s=60)
    assert code == 2, stdout + stderr
    assert "exit status 1" in stdout
    assert gone(f"sleep {seconds}")


def gone(command: str) -> bool:
    """Whether nobody runs this any more, or soon will not."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        if subprocess.run(["pgrep", "-f", f"^{command}$"], stdout=subprocess.DEVNULL).returncode:  # noqa: PLW1510 - a status
            return True
        time.sleep(0.1)
    return False


def fan_out(many: list[SshServer], tmp_path: Path, *, hosts: int, size: int) -> str:
    """Put one file on many hosts, interrupt it once, go on; the most memory that it took."""
    source, target = tmp_path / "image", tmp_path / "hosts"
    block = secrets.token_bytes(1 << 20)
    with source.open("wb") as file:
        for number in range(size >> 20):
            file.write(number.to_bytes(8, "big") + block[8:])
    project = Project(tmp_path / "fan", many, hosts)
    # one disk stands for all hosts: a directory for each
    target.mkdir()
    tasks = (
        "from kubexm.runner import Source\nfrom kubexm.tasks import Fleet, fleet_task, ns\n\n\n"
        "@fleet_task\ndef image(fleet: Fleet) -> None:\n"
        f"    source = Source.read({str(source)!r})\n"
        "    def work(host):\n"
        f"        host.put(source, f'{target}/{{host.name}}/image')\n"
        "    fleet.each(work, at_once=True)\n"
        "\n\nns.add_task(image)\n"
    )
    (project.directory / "tasks.py").write_text(tasks)
    first = project.start("image", "--output", "json", "-v")
    assert first.stdout is not None
    for line in first.stdout:
        event = json.loads(line)
        if event["event"] == "transfer.progressed" and event["moved_bytes"] * 8 > size:
            break
    # Nothing arrives at a frozen host: however slow this test is, no copy is complete by now.
    for server in many:
        server.freeze()
    first.send_signal(signal.SIGINT)
    time.sleep(1)
    for server in many:
        server.thaw()
    first.communicate(timeout=120)
    assert first.returncode == 130
    began = time.monotonic()
    second = project.start("image", "--output", "json")
    peak = 0
    while second.poll() is None:
        with suppress(OSError, ValueError, IndexError):
            status = Path(f"/proc/{second.pid}/status").read_text()
            peak = max(peak, int(status.partition("VmHWM:")[2].split()[0]))
        try:
            stdout, _ = second.communicate(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue
    assert second.returncode == 0, stdout
    notes = stdout.count("went on after")
    assert notes > 0
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    for number in range(hosts):
        placed = target / f"h{number}"
        assert [path.name for path in placed.iterdir()] == ["image"]
        with (placed / "image").open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == digest
    assert peak < MEMORY_KIB
    took = time.monotonic() - began
    return (
        f"{hosts} hosts, {size >> 20} MiB: {peak >> 10} MiB at most, {notes} resumed, {took:.0f} s"
    )


def test_a_file_goes_to_several_hosts_in_bounded_memory_and_goes_on_after_an_interrupt(
    many: list[SshServer], tmp_path: Path
) -> None:
    fan_out(many, tmp_path, hosts=3, size=256 << 20)


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_two_gigabytes_go_to_twenty_hosts_in_bounded_memory_and_go_on_after_an_interrupt(
    many: list[SshServer], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """KUBEXM_TEST_IMAGE=<MiB>x<hosts> makes it smaller."""
    asked = os.environ.get("KUBEXM_TEST_IMAGE", "2048x20")
    mib, hosts = map(int, asked.split("x"))
    size = mib << 20
    needed = (hosts + 1) * size + (5 << 30)
    if shutil.disk_usage(tmp_path).free < needed:
        pytest.skip(f"{needed >> 30} GiB of free disk are missing")
    record_property("transfer", fan_out(many, tmp_path, hosts=hosts, size=size))
