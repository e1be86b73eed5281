"""A user's own commands, and what a task can ask a host: options, statuses, secrets, endings."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.local import LocalConnector
from kubexm.errors import CommandError, DeadlineError, EscalationError, HostError, SessionLostError
from kubexm.runner import Catalogue, CommandOptions, Host
from kubexm.secret import Secret
from kubexm.shell import Script, Session
from kubexm_linux import family
from tests.integration.wire import (
    SHELLS,
    USERLAND,
    eventually,
    machine,
    mark_of,
    processes,
    session_on,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

AWKWARD = "a 'b' \"c\" $HOME `id` \\ \n*\udcff"


@contextmanager
def login(user: str) -> Iterator[Session]:
    if user == "nobody-here":
        message = "sudo knows no user nobody-here"
        raise EscalationError(message)
    session = Session.open(LocalConnector().open, login=True)
    try:
        yield session
    finally:
        session.close()


@pytest.fixture
def host() -> Iterator[Host]:
    session = Session.open(LocalConnector().open)
    yield Host.open("here", session, Catalogue([family]), login=login)
    session.close()


def test_a_status_is_an_answer_to_run_and_an_error_to_must_run(host: Host) -> None:
    reply = host.commands.run("echo out; echo err >&2; exit 3")
    assert (reply.exit_status, reply.stdout, reply.stderr) == (3, b"out\n", b"err\n")
    with pytest.raises(CommandError, match="exit status 3: err") as caught:
        host.commands.must_run("echo out; echo err >&2; exit 3")
    assert caught.value.stdout == "out\n"
    assert host.commands.check("true")
    assert not host.commands.check("false")


def test_the_options_reach_the_command(host: Host, tmp_path: Path) -> None:
    (tmp_path / "a dir").mkdir()
    options = CommandOptions(
        environment={"ONE": AWKWARD, "TWO": "", "SECRET": Secret("hush")},
        directory=str(tmp_path / "a dir"),
    )
    reply = host.commands.must_run('printf "%s|" "$ONE" "$TWO" "$SECRET"; pwd', options)
    assert reply.text == f"{AWKWARD}||hush|{tmp_path}/a dir\n"
    assert reply.secret
    assert "hush" not in repr(reply) + repr(options) + repr(options.script("true"))
    with pytest.raises(CommandError):
        host.commands.must_run("true", CommandOptions(directory="/not/there"))
    with pytest.raises(ValueError, match="environment variable"):
        CommandOptions(environment={"A;B": "x"})
    with pytest.raises(ValueError, match="negative"):
        CommandOptions(retries=-1)


def test_a_secret_variable_is_in_no_argument(host: Host) -> None:
    options = CommandOptions(environment={"TOKEN": Secret("hush-hush-hush")})
    text = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c hu[s]h-"
    assert host.commands.run(text, options).text.strip() == "0"


def test_a_hidden_command_shows_nothing_when_it_fails(host: Host) -> None:
    heard: list[bytes] = []
    options = CommandOptions(hidden=True, stream=lambda _, data: heard.append(data))
    with pytest.raises(CommandError) as caught:
        host.commands.must_run("echo hush; echo hush >&2; exit 1", options)
    assert "hush" not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert heard == []


def test_output_is_streamed_while_it_comes(host: Host) -> None:
    heard: list[tuple[str, bytes]] = []
    options = CommandOptions(stream=lambda name, data: heard.append((name, data)))
    host.commands.run("echo one; echo two >&2; echo three", options)
    assert b"".join(data for name, data in heard if name == "stdout") == b"one\nthree\n"
    assert b"".join(data for name, data in heard if name == "stderr") == b"two\n"


def test_a_command_is_tried_again_while_it_fails(host: Host, tmp_path: Path) -> None:
    text = f"echo x >>{tmp_path}/tries; [ $(wc -l <{tmp_path}/tries) -ge 3 ]"
    assert host.commands.must_run(text, CommandOptions(retries=5)).exit_status == 0
    assert len((tmp_path / "tries").read_text().split()) == 3
    with pytest.raises(CommandError, match="after 3 tries"):
        host.commands.must_run("false", CommandOptions(retries=2, retry_delay_s=0.01))


def test_a_command_that_is_fatal_says_so_and_a_deadline_ends_it(host: Host) -> None:
    seconds = unique()
    with pytest.raises(DeadlineError) as caught:
        host.commands.run(f"sleep {seconds}", CommandOptions(timeout_s=1, fatal=True))
    assert caught.value.fatal
    assert not processes(seconds)
    with pytest.raises(CommandError) as failed:
        host.commands.must_run("false")
    assert not failed.value.fatal


@pytest.mark.parametrize("kind", [*SHELLS, USERLAND])
def test_a_command_ends_when_nobody_listens(kind: str, tmp_path: Path) -> None:
    tied = unique()
    with session_on(machine(kind, tmp_path)) as session:
        mark = mark_of(session)
        # sessions of their own, which no signal of the connector's reaches
        tied_script = Script(f"setsid sh -c 'sleep {tied}; echo >{tmp_path}/tied'", tied=True)

        def kill() -> None:
            assert eventually(lambda: bool(processes(tied)), within_s=20)
            session.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        result = session.run([tied_script], deadline_s=90)
        killer.join()
    assert isinstance(result.ended_by, SessionLostError)
    assert eventually(lambda: not processes(tied) and not processes(mark), within_s=20)
    assert not (tmp_path / "tied").exists()


@pytest.mark.parametrize("kind", [*SHELLS, USERLAND])
def test_listening_disturbs_no_output(kind: str, tmp_path: Path) -> None:
    text = "i=0; while [ $i -lt 25 ]; do printf x; printf y >&2; sleep 0.1; i=$((i + 1)); done"
    with session_on(machine(kind, tmp_path)) as session:
        reply = session.ask(Script(text, tied=True))
        assert (reply.stdout, reply.stderr) == (b"x" * 25, b"y" * 25)
        assert session.ask(Script("echo after", tied=True)).text == "after\n"


def test_nothing_runs_in_check_mode_but_what_only_looks(host: Host, tmp_path: Path) -> None:
    host.check = True
    with pytest.raises(HostError, match="check mode"):
        host.commands.run(f"touch {tmp_path}/made")
    assert not (tmp_path / "made").exists()
    assert host.commands.check("true")
    assert host.commands.look_path("sh").endswith("/sh")
    assert host.commands.look_path("no-such-program") == ""
    assert host.commands.look_path("cd") == ""
    assert host.commands.is_sudoer() == (os.geteuid() == 0)


def test_a_host_tells_what_is_at_a_path(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "a 'file'"
    path.write_bytes(b"12345\xff")
    path.chmod(0o640)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    (tmp_path / "link").symlink_to(path.name)
    (tmp_path / "dangling").symlink_to("nowhere")
    found = host.files.stat(str(path))
    assert (found.name, found.exists, found.size_bytes, found.mode, found.modified_s) == (
        "a 'file'",
        True,
        6,
        0o640,
        1_000_000_000,
    )
    assert (found.is_file, found.is_dir, found.is_link) == (True, False, False)
    assert (found.owner, found.group) == (path.owner(), path.group())
    assert host.files.stat(str(tmp_path / "link")).is_link
    assert host.files.stat(str(tmp_path / "link"), follow=True).size_bytes == 6
    assert not host.files.stat(str(tmp_path / "nothing/at/all")).exists
    assert host.files.exists(str(tmp_path / "dangling"))
    assert not host.files.stat(str(tmp_path / "dangling"), follow=True).exists
    assert host.files.is_dir(str(tmp_path))
    assert host.files.read(str(path)) == b"12345\xff"
    assert host.files.checksum(str(path)) == hashlib.sha256(b"12345\xff").hexdigest()
    md5 = subprocess.run(["md5sum", path], capture_output=True, text=True, check=True).stdout
    assert host.files.checksum(str(path), "md5") == md5.lstrip("\\").split()[0]
    with pytest.raises(HostError, match=r"cannot read .*nothing"):
        host.files.read(str(tmp_path / "nothing"))
