"""What goes wrong on the way to a host, and in it: docs/faults.md, row by row.

Each time: what the caller sees, that files are the old or the new ones, that nothing is left
running on the host, and that the next run does the work and leaves nothing else behind.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Endpoint
from kubexm.connector.ssh import SshConnector
from kubexm.errors import ConnectError, EscalationError, HostError, SessionLostError, TransferError
from kubexm.runner import Catalogue, CommandOptions, Host, PutOptions
from kubexm.runner.operations import FileContent
from kubexm.secret import Secret
from kubexm.shell import Become, Escalation, Exchange, Script, Session
from tests.lab.conftest import require_laboratory
from tests.lab.image import PASSWORD
from tests.lab.laboratory import Laboratory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubexm.connector.channel import SshProcess
    from tests.lab.host import LabHost

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

SUDO = Escalation(method=Become.SUDO, password=Secret(PASSWORD))
LARGE = 24 << 20
HOME = "/root/faults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that happens to a host, and how it ends. A silent one is told by nobody."""

    strike: Callable[[LabHost], object]
    mend: Callable[[LabHost], object]
    is_silent: bool = True

    @property
    def deadline_s(self) -> float:
        return 15 if self.is_silent else 60


def kill_sshd(host: LabHost) -> None:
    host.exec("sh", "-c", "kill -9 $(pgrep -f 'sshd: asks')")


def leave(host: LabHost) -> None:
    del host


FAULTS = {
    "killed": Fault(strike=kill_sshd, mend=leave, is_silent=False),
    "frozen": Fault(strike=lambda host: host.freeze(), mend=lambda host: host.thaw()),
    "unplugged": Fault(strike=lambda host: host.unplug(), mend=lambda host: host.plug()),
}
SILENT = pytest.mark.full  # the caller waits for what may still come: half a minute each

each_fault = pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=name, marks=[] if name == "killed" else [SILENT])
        for name, fault in FAULTS.items()
    ],
)


@pytest.fixture(scope="module")
def own_lab() -> Iterator[Laboratory]:
    """A laboratory beside everybody's: these tests freeze, unplug and fill its host."""
    require_laboratory()
    laboratory = Laboratory.unused()
    try:
        laboratory.up(1)
        yield laboratory
    finally:
        laboratory.down()


@pytest.fixture
def host(own_lab: Laboratory) -> LabHost:
    host = own_lab.up(1)[0]
    host.exec("sh", "-c", f"rm -rf {HOME}; mkdir {HOME}", check=True)
    return host


@pytest.fixture
def endpoint(host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Endpoint(
        name=host.name,
        address=host.address,
        user="asks",
        private_key=str(host.private_key),
        connect_timeout_s=10,
    )


@contextmanager
def opened(endpoint: Endpoint, *, deadline_s: float = 60) -> Iterator[Host]:
    """A host as the runtime opens it: root by sudo, and the login user for commands."""
    connector = SshConnector(endpoint)
    connector.connect()

    @contextmanager
    def login(user: str) -> Iterator[Session]:
        become = replace(SUDO, user=user) if user else Escalation()
        session = Session.open(connector.open, become, login=True)
        yield session
        session.close()

    try:
        session = Session.open(connector.open, SUDO)
        yield Host.open(
            endpoint.name, session, Catalogue.installed(), deadline_s=deadline_s, login=login
        )
        session.close()
    finally:
        connector.close()


def mark_of(host: Host) -> str:
    return host.session.ask(Script('echo "$KUBEXM_MARK"')).text.split(".")[0]


def marked(mark: str) -> int:
    """How many processes here, which includes those of the hosts, carry a session's mark."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += f"KUBEXM_MARK={mark}.".encode() in path.read_bytes()
        except OSError:
            continue
    return found


def comes(is_so: Callable[[], bool], within_s: float = 90) -> bool:
    limit = time.monotonic() + within_s
    while not is_so() and time.monotonic() < limit:
        time.sleep(0.1)
    return is_so()


def listed(host: LabHost, directory: str = HOME) -> list[str]:
    return sorted(host.exec("ls", "-A", directory, check=True).stdout.split())


def digest_on(host: LabHost, path: str) -> str:
    return host.exec("sha256sum", path, check=True).stdout.split()[0]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(secrets.token_bytes(LARGE))
    return path


# The way to the host


@each_fault
def test_in_the_middle_of_a_batch(host: LabHost, endpoint: Endpoint, fault: Fault) -> None:
    scripts = [Script(f"sleep 0.3; echo x >{HOME}/{number}") for number in range(30)]
    struck: list[int] = []

    def listen(number: int, stream: str, data: bytes) -> None:
        del stream, data
        if number >= 3 and not struck:
            struck.append(number)
            fault.strike(host)

    try:
        with opened(endpoint) as open_host:
            mark = mark_of(open_host)
            loud = [replace(script, text=f"echo; {script.text}") for script in scripts]
            result = open_host.session.run(loud, deadline_s=fault.deadline_s, listener=listen)
    finally:
        fault.mend(host)
    assert isinstance(result.ended_by, SessionLostError)
    assert len(result.replies) == result.ended_by.completed >= 3
    assert comes(lambda: marked(mark) == 0)
    assert len(result.replies) <= len(listed(host)) <= 30


@each_fault
def test_in_the_middle_of_an_upload(
    host: LabHost, endpoint: Endpoint, fault: Fault, large: Path
) -> None:
    path = f"{HOME}/image"
    host.exec("sh", "-c", f"echo old >{path}", check=True)
    before = digest_on(host, path)
    struck: list[int] = []

    def progress(label: str, moved: int, total: int) -> None:
        del label
        if moved * 2 > total and not struck:
            struck.append(moved)
            fault.strike(host)

    try:
        with opened(endpoint) as open_host:
            mark = mark_of(open_host)
            open_host.deadline_s = fault.deadline_s
            open_host.progress = progress
            with pytest.raises(HostError) as caught:
                open_host.put(large, path)
    finally:
        fault.mend(host)
    assert isinstance(caught.value, SessionLostError)
    assert caught.value.operation == f"put {large} to {path}"
    assert comes(lambda: marked(mark) == 0)
    assert digest_on(host, path) == before
    assert listed(host) == [".image.kubexm-put", "image"]
    with opened(endpoint) as open_host:
        done = open_host.put(large, path)
    assert any("went on after" in note for note in done.notes)
    assert digest_on(host, path) == hashlib.sha256(large.read_bytes()).hexdigest()
    assert listed(host) == ["image"]


class Tapped:
    """A process that tells when it has said something."""

    def __init__(self, process: SshProcess, word: bytes, tell: Callable[[], object]) -> None:
        self._process = process
        self._word = word
        self._tell = tell
        self._said = b""

    def exchange(self, outgoing: memoryview, timeout_s: float) -> Exchange:
        moved = self._process.exchange(outgoing, timeout_s)
        if self._word not in self._said:
            self._said += moved.stderr
            if self._word in self._said:
                self._tell()
        return moved

    def close_stdin(self) -> None:
        self._process.close_stdin()

    def exit_status(self) -> int | None:
        return self._process.exit_status()

    def kill(self) -> None:
        self._process.kill()


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in FAULTS.items()])
def test_in_the_middle_of_a_sudo_prompt(host: LabHost, endpoint: Endpoint, fault: Fault) -> None:
    connector = SshConnector(endpoint)
    connector.connect()
    # sudo asks with a word of its own in front, so that the prompt can be seen from outside
    ask = "#!/bin/sh\nprintf 'asking\\n' >&2; exec /usr/bin/sudo \"$@\"\n"
    program = "/usr/local/bin/sudo"
    host.exec("sh", "-c", f"cat >{program}; chmod 755 {program}", stdin=ask, check=True)
    try:
        with pytest.raises((ConnectError, EscalationError)) as caught:
            Session.open(
                lambda command: Tapped(
                    connector.open(command), b"asking", lambda: fault.strike(host)
                ),
                SUDO,
                timeout_s=3,
            )
    finally:
        fault.mend(host)
        connector.close()
        host.exec("rm", "-f", program)
    assert PASSWORD not in f"{caught.value} {caught.value!r} {caught.value.hint}"
    assert comes(lambda: host.exec("pgrep", "-f", "kubexm").returncode == 1)
    with opened(endpoint) as open_host:
        assert open_host.session.ask(Script("id -u")).text == "0\n"


@pytest.mark.parametrize("how", ["put", "write"])
def test_a_link_that_was_cut_and_is_back_carries_the_next_run(
    host: LabHost, endpoint: Endpoint, how: str, tmp_path: Path
) -> None:
    """A cut shorter than the deadline is not even noticed: TCP sends again what was lost."""
    source = tmp_path / "source"
    source.write_bytes(secrets.token_bytes(2 << 20))
    with opened(endpoint) as open_host:
        host.unplug()
        back = subprocess.Popen(["sleep", "1"])
        try:
            back.wait()
        finally:
            host.plug()
        if how == "put":
            assert open_host.put(source, f"{HOME}/file").changed
        else:
            assert open_host.files.write(f"{HOME}/file", "x" * 100_000).changed
    assert listed(host) == ["file"]


@pytest.mark.parametrize("user", ["", "root", "plain"])
def test_a_command_ends_when_nobody_listens_any_more(
    host: LabHost, endpoint: Endpoint, user: str
) -> None:
    """Through sudo too, whose processes the login user could not signal."""
    seconds = str(secrets.randbelow(10**8) + 10**8)
    connector = SshConnector(endpoint)
    connector.connect()
    become = replace(SUDO, user=user) if user else Escalation()
    session = Session.open(connector.open, become, login=True)
    work = Script(f"echo; setsid sleep {seconds}; echo >{HOME}/after", tied=True)
    result = session.run([work], listener=lambda *_: session.kill())
    assert isinstance(result.ended_by, SessionLostError)
    assert comes(lambda: host.exec("pgrep", "-f", f"sleep {seconds}").returncode == 1, 30)
    assert listed(host) == []
    connector.close()


# The host's disks


@pytest.fixture
def small_disk(host: LabHost) -> Iterator[str]:
    """A file system of 4 MiB."""
    disk = f"{HOME}/disk"
    mount = f"mkdir {disk}; mount -t tmpfs -o size=4m tmpfs {disk}; echo old >{disk}/file"
    host.exec("sh", "-c", mount, check=True)
    yield disk
    host.exec("umount", "-l", disk)


@pytest.mark.parametrize("size", [5 << 20, LARGE], ids=["small", "in parts"])
def test_a_disk_that_is_full_keeps_the_old_file_and_its_room(
    host: LabHost, endpoint: Endpoint, small_disk: str, size: int, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(secrets.token_bytes(size))
    path = f"{small_disk}/file"
    with opened(endpoint) as open_host:
        with pytest.raises(TransferError, match="No space left on device"):
            open_host.put(tmp_path / "source", path)
        (outcome,) = open_host.converge(FileContent(path=path, content="x" * size))
        assert outcome.failed
        assert "No space left on device" in str(outcome.error)
        assert host.exec("cat", path).stdout == "old\n"
        assert listed(host, small_disk) == ["file"]
        assert open_host.files.write(path, "new\n").changed
    assert host.exec("cat", path).stdout == "new\n"


def test_a_read_only_target_is_named(
    host: LabHost, endpoint: Endpoint, small_disk: str, large: Path
) -> None:
    (large.parent / "little").write_text("new\n")
    host.exec("mount", "-o", "remount,ro", small_disk, check=True)
    path = f"{small_disk}/file"
    with opened(endpoint) as open_host:
        for source in (large, large.parent / "little"):
            with pytest.raises(TransferError, match="Read-only file system"):
                open_host.put(source, path)
        (outcome,) = open_host.converge(FileContent(path=path, content="new\n"))
        assert "Read-only file system" in str(outcome.error)
    assert listed(host, small_disk) == ["file"]
    assert host.exec("cat", path).stdout == "old\n"


@pytest.mark.parametrize("options", ["ro", "noexec,mode=0000"])
def test_nothing_needs_a_temporary_directory(
    host: LabHost, endpoint: Endpoint, options: str, large: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    for directory in ("/tmp", "/var/tmp"):  # noqa: S108 - those of the laboratory's host
        host.exec("mount", "-t", "tmpfs", "-o", options, "tmpfs", directory, check=True)
    try:
        with opened(endpoint) as open_host:
            assert open_host.put(large, f"{HOME}/large").changed
            assert open_host.put(tree, f"{HOME}/tree").changed
            assert open_host.files.write(f"{HOME}/text", "x\n", validate='grep x "$1"').changed
            assert open_host.get(f"{HOME}/tree", tmp_path / "back").changed
            assert open_host.commands.run("echo $((1 + 1))").text == "2\n"
    finally:
        for directory in ("/tmp", "/var/tmp"):  # noqa: S108 - as above
            host.exec("umount", "-l", directory)
    assert listed(host) == ["large", "text", "tree"]


# The login


@contextmanager
def logging_in(host: LabHost, files: dict[str, str], shell: str = "/bin/bash") -> Iterator[None]:
    """The user `asks` with these login files and this shell."""
    for path, text in files.items():
        host.exec("sh", "-c", f"cat >{path}; chmod a+r {path}", stdin=text, check=True)
    host.exec("usermod", "--shell", shell, "asks", check=True)
    try:
        yield
    finally:
        host.exec("usermod", "--shell", "/bin/bash", "asks", check=True)
        host.exec("rm", "-f", *files)


NOISE = "echo welcome; echo 'no news' >&2; printf 'no end of line'\n"
LOGINS = {
    "chatty": ({"/home/asks/.bashrc": NOISE, "/etc/motd": "Be nice.\n"}, "/bin/bash"),
    "csh": ({"/home/asks/.cshrc": "echo welcome\n"}, "/bin/csh"),
    "C": ({"/home/asks/.bashrc": "export LC_ALL=C LANG=C\n"}, "/bin/bash"),
    "zh_CN": (
        {"/home/asks/.bashrc": "export LC_ALL=zh_CN.UTF-8 LANG=zh_CN.UTF-8 LANGUAGE=zh_CN\n"},
        "/bin/bash",
    ),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.full] if name == "zh_CN" else []) for name in LOGINS],
)
def test_a_login_with_a_will_of_its_own_changes_nothing(
    host: LabHost, endpoint: Endpoint, name: str, tmp_path: Path
) -> None:
    if name == "csh":
        host.exec(
            "sh", "-c", "apt-get update && apt-get install -y tcsh", timeout_s=120, check=True
        )
    if name == "zh_CN":
        speak_chinese(endpoint, tmp_path)
    (tmp_path / "é").write_bytes(bytes(range(256)))
    files, shell = LOGINS[name]
    with logging_in(host, files, shell), opened(endpoint) as open_host:
        assert open_host.put(tmp_path / "é", f"{HOME}/é ü").changed
        assert not open_host.put(tmp_path / "é", f"{HOME}/é ü").changed
        assert open_host.get(f"{HOME}/é ü", tmp_path / "back").changed
        assert (tmp_path / "back").read_bytes() == bytes(range(256))
        assert not open_host.files.exists(f"{HOME}/nothing")
        with pytest.raises(HostError, match="No such file or directory"):
            open_host.files.read(f"{HOME}/nothing")
        reply = open_host.commands.run("printf '%s' out; exit 4")
        assert (reply.exit_status, reply.stdout) == (4, b"out")
        if name == "zh_CN":
            assert open_host.commands.run("echo $LC_ALL").text == "zh_CN.UTF-8\n"
        wrong = Escalation(method=Become.SUDO, password=Secret("wrong"))
        connector = SshConnector(endpoint)
        connector.connect()
        with pytest.raises(EscalationError, match="sudo did not accept the password"):
            Session.open(connector.open, wrong)
        connector.close()


def speak_chinese(endpoint: Endpoint, directory: Path) -> None:
    """Give the host the locale, made here; without its sources the test is skipped."""
    made = directory / "zh_CN.utf8"
    command = ["localedef", "-i", "zh_CN", "-f", "UTF-8", str(made)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("localedef cannot make zh_CN.UTF-8: install locales")
    with opened(endpoint) as open_host:
        open_host.put(made, "/usr/lib/locale/zh_CN.utf8")


# Secrets


def test_no_secret_is_logged_at_debug_or_shown(
    host: LabHost,
    endpoint: Endpoint,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    del host
    token = secrets.token_hex(12)
    (tmp_path / "source").write_text(token)
    shown = []
    with caplog.at_level(logging.DEBUG), opened(endpoint) as open_host:
        secret = Secret(token)
        outcome = open_host.files.write(f"{HOME}/secret", secret)
        options = CommandOptions(environment={"TOKEN": secret})
        reply = open_host.commands.run("echo $TOKEN; exit 3", options)
        assert token.encode() in reply.stdout
        with pytest.raises(HostError) as caught:
            open_host.commands.must_run("echo $TOKEN; exit 3", options)
        put = open_host.put(tmp_path / "source", f"{HOME}/put", PutOptions(mode=0o600))
        assert token.encode() in open_host.files.read(f"{HOME}/put")
        shown += [outcome, reply, options, caught.value, caught.value.__dict__, put]
        shown += [open_host, open_host.session, open_host.history, SUDO, endpoint]
    text = f"{shown!r} {caught.value} {caplog.text}"
    assert caplog.text
    assert token not in text
    assert PASSWORD not in text
