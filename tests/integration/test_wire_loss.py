"""The link breaks, the controller dies, the shell is not one: what happens on both sides."""

from __future__ import annotations

import gc
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.local import LocalConnector, LocalProcess
from kubexm.errors import ConnectError, SessionLostError, UnreachableError
from kubexm.shell import BatchReply, Escalation, Guarded, Reply, Script, Session, quote
from kubexm.shell.escalation import start_command
from tests.integration.wire import (
    SHELLS,
    USERLAND,
    end,
    eventually,
    everywhere,
    machine,
    mark_of,
    processes,
    session_on,
    unique,
)

if TYPE_CHECKING:
    from tests.integration.wire import Machine

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
BRIEF_S = 5
"""So long the watchdog of a loop that was killed outright remains."""
names = count()

CONTROLLER = """\
import json, sys, time
from kubexm.connector.local import LocalProcess
from kubexm.shell import Guarded, Script, Session

prefix, kind, trace = json.loads(sys.argv[1])
session = Session.open(lambda command: LocalProcess([*prefix, command]))
print(session.ask(Script('echo "$KUBEXM_MARK"')).text.split(".")[0], flush=True)
steps = [Script(f"echo {number} >>{trace}; sleep 0.2") for number in range(50)]
if kind == "guarded":
    nothing = Script("true")
    steps = [Guarded(probe=nothing, expected="=0", change=step) for step in steps]
if kind == "payload":
    write = f"echo 0 >>{trace}; sleep 3; cat >{trace}.new; mv {trace}.new {trace}.whole"
    steps = [Script(write, payload=b"x" * 5_000_000), *steps]
session.run(steps)
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Machine]:
    """Every machine that is possible here; `test_wire` says which ones are not, and why."""
    found = {}
    for kind in (*SHELLS, USERLAND):
        try:
            found[kind] = machine(kind, tmp_path_factory.mktemp("machine"))
        except pytest.skip.Exception:
            continue
    return found


def lines(trace: Path) -> list[str]:
    return trace.read_text().split() if trace.exists() else []


# The controller goes away


@pytest.mark.parametrize("kind", ["plain", "guarded", "payload"])
def test_nothing_more_is_applied_when_the_controller_is_killed(
    hosts: dict[str, Machine], kind: str, tmp_path: Path
) -> None:
    """At most the script at work ends, and one that has half of its payload does not."""
    traces = {name: tmp_path / name.replace(" ", "-") for name in hosts}
    with ExitStack() as stack:
        controllers = []
        for name, host in hosts.items():
            prefix = ["env", f"HOME={host.home}", *host.prefix]
            order = json.dumps([prefix, kind, str(traces[name])])
            command = [sys.executable, "-c", CONTROLLER, order]
            started = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            controllers.append(stack.enter_context(started))
            stack.callback(started.kill)
        marks = [each.stdout.readline().strip() for each in controllers if each.stdout is not None]
        assert eventually(lambda: all(map(lines, traces.values())), within_s=20)
        time.sleep(0.1)
        for controller in controllers:
            controller.kill()
            controller.wait()
        seen = {name: len(lines(trace)) for name, trace in traces.items()}
    assert eventually(lambda: not any(processes(mark) for mark in marks))
    assert all(marks)
    for name, trace in traces.items():
        assert len(lines(trace)) <= seen[name] + 1, name
        assert not trace.with_name(f"{trace.name}.whole").exists(), name


def interrupted(session: Session, frames: list[Script], trace: Path) -> BatchReply:
    """Run a batch, and kill its session from another thread as soon as it has left a trace."""
    began = threading.Event()

    def kill() -> None:
        began.set()
        eventually(lambda: bool(lines(trace)), within_s=20)
        time.sleep(0.1)
        session.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    began.wait()
    result = session.run(frames, deadline_s=60)
    killer.join()
    return result


def test_a_session_can_be_killed_from_another_thread(
    hosts: dict[str, Machine], tmp_path: Path
) -> None:
    def scenario(session: Session) -> None:
        trace = tmp_path / str(next(names))
        mark = mark_of(session)
        steps = [Script(f"echo {number} >>{trace}; sleep 0.2") for number in range(50)]
        result = interrupted(session, [Script("true"), *steps], trace)
        assert isinstance(result.ended_by, SessionLostError)
        assert result.ended_by.completed == len(result.replies) >= 1
        seen = len(lines(trace))
        assert len(result.replies) - 1 <= seen
        assert eventually(lambda: not processes(mark))
        assert len(lines(trace)) <= seen + 1
        assert session.broken

    everywhere(hosts, scenario)


def test_a_kill_does_not_wait_for_a_script_that_says_nothing(
    hosts: dict[str, Machine], tmp_path: Path
) -> None:
    def scenario(session: Session) -> None:
        trace = tmp_path / str(next(names))
        mark = mark_of(session)
        began = time.monotonic()
        result = interrupted(session, [Script(f"echo x >>{trace}; sleep {unique()}")], trace)
        assert isinstance(result.ended_by, SessionLostError)
        assert time.monotonic() - began < 6
        assert eventually(lambda: not processes(mark))

    everywhere(hosts, scenario)


# The shell goes away


def test_a_loop_that_dies_is_a_lost_session_with_a_count(hosts: dict[str, Machine]) -> None:
    def scenario(session: Session) -> None:
        scripts = [Script("echo 1"), Script("echo 2"), Script("kill -s KILL $$")] * 2
        result = session.run(scripts, deadline_s=BRIEF_S)
        assert isinstance(result.ended_by, SessionLostError)
        assert result.ended_by.completed == 2
        assert [reply.text for reply in result.replies if isinstance(reply, Reply)] == [
            "1\n",
            "2\n",
        ]
        assert "after 2 of 6 scripts" in str(result.ended_by)
        with pytest.raises(SessionLostError, match="the session is closed"):
            session.ask(Script("true"))

    everywhere(hosts, scenario)


def test_a_dead_loop_is_noticed_though_a_child_keeps_the_pipes(hosts: dict[str, Machine]) -> None:
    def scenario(session: Session) -> None:
        seconds = unique()
        began = time.monotonic()
        result = session.run([Script(f"sleep {seconds} & kill -s KILL $$")], deadline_s=BRIEF_S)
        assert isinstance(result.ended_by, SessionLostError)
        assert time.monotonic() - began < 4
        end(seconds)

    everywhere(hosts, scenario)


def test_the_watchdog_of_a_dead_loop_ends_without_harm(hosts: dict[str, Machine]) -> None:
    """It has to end what the loop left, and must not signal whoever has the loop's number now."""

    def scenario(session: Session) -> None:
        mark = mark_of(session)
        seconds = unique()
        left = f"sleep {seconds} </dev/null >/dev/null 2>&1 &"
        # a session of its own, so that the connector's signals do not end it first
        escape = f"setsid {left} kill -s KILL $$"
        result = session.run([Script(escape)], deadline_s=2, grace_s=1)
        assert isinstance(result.ended_by, SessionLostError)
        assert eventually(lambda: not processes(mark), within_s=8), processes(mark)
        assert not processes(seconds)

    everywhere(hosts, scenario)


# Cut input


def loop(host: Machine) -> tuple[LocalProcess, str, str]:
    """A loop without a session: the process, its mark, and the token that it has read."""
    nonce, token = secrets.token_hex(8), secrets.token_hex(16)
    process = host.open(start_command(Escalation(), nonce, "0" * 32))
    drain(process, f"{nonce} ready\n".encode())
    write(process, f"{token}\n".encode())
    return process, nonce, token


def drain(process: LocalProcess, until: bytes | None = None) -> bytes:
    """What the process says, up to its end or to a text."""
    said = b""
    while until is None or until not in said:
        moved = process.exchange(memoryview(b""), 10)
        said += moved.stdout
        if moved.ended:
            break
    return said


def write(process: LocalProcess, data: bytes) -> None:
    outgoing = memoryview(data)
    while outgoing:
        outgoing = outgoing[process.exchange(outgoing, 10).taken :]


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_a_program_that_was_cut_is_never_run(
    hosts: dict[str, Machine], kept: float, tmp_path: Path
) -> None:
    for host in hosts.values():
        process, nonce, _ = loop(host)
        program = f"echo x >{tmp_path}/trace\n" * 1000
        size = f"{len(program)}\n".encode()
        write(process, size + program[: int(len(program) * kept)].encode())
        process.close_stdin()
        drain(process)
        assert not (tmp_path / "trace").exists()
        assert eventually(lambda nonce=nonce: not processes(nonce))  # type: ignore[misc]
        process.kill()


def test_a_program_without_the_token_is_never_run(
    hosts: dict[str, Machine], tmp_path: Path
) -> None:
    for host in hosts.values():
        process, *_ = loop(host)
        program = f"echo x >{tmp_path}/trace\n#{'0' * 32}\n"
        write(process, f"{len(program)}\n{program}".encode() * 2)
        drain(process)
        assert not (tmp_path / "trace").exists()
        process.kill()


@pytest.mark.parametrize("missing", [1, 33, 34, 70_000])
def test_a_script_with_a_cut_payload_never_sees_its_end(
    hosts: dict[str, Machine], missing: int, tmp_path: Path
) -> None:
    """Half a file must not be installed. Output stays open: only the input breaks off."""
    prelude = (ROOT / "kubexm/shell/prelude.sh").read_text()
    for host in hosts.values():
        trace = tmp_path / str(next(names))
        process, nonce, token = loop(host)
        content = b"x" * 100_000
        script = f"cat >{trace}.new; mv {trace}.new {trace}; echo >{trace}.wrong"
        program = f"{prelude}\nkx_batch\nkx_arm 60 1\nkx_run 0 {quote(script)} {len(content)}\n"
        program += f"kx_run 1 {quote(f'echo >{trace}.wrong')} -\nkx_arm 0\n#{token}"
        sent = f"{len(program.encode())}\n{program}".encode() + content + f"{token}\n".encode()
        write(process, sent[:-missing])
        process.close_stdin()
        drain(process)
        assert eventually(lambda nonce=nonce: not processes(nonce))  # type: ignore[misc]
        assert not trace.exists()
        assert not Path(f"{trace}.wrong").exists()
        process.kill()


# Shells that are none


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        (["false"], "no output"),
        (["nologin"], "not available"),
        (["sh", "-c", "echo 'Go away!' >&2; exit 1"], "Go away!"),
        (["sh", "-c", "echo account expired"], "account expired"),
    ],
)
def test_a_login_shell_that_does_not_start_ours_is_a_connect_error(
    shell: list[str], said: str
) -> None:
    environment = ["env", f"PATH={os.environ['PATH']}:/usr/sbin:/sbin"]
    with pytest.raises(ConnectError, match=said) as caught:
        Session.open(lambda _: LocalProcess([*environment, *shell]))
    assert not isinstance(caught.value, UnreachableError)
    assert "nologin" in caught.value.hint


def test_a_login_shell_that_hangs_is_given_up() -> None:
    seconds = unique()
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"did not start within 0\.5 s: no output"):
        Session.open(lambda _: LocalProcess(["sleep", seconds]), timeout_s=0.5)
    assert time.monotonic() - began < 4
    assert not processes(seconds)


def test_a_login_shell_that_talks_without_end_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        Session.open(lambda _: LocalProcess(["yes"]), timeout_s=0.5)
    assert time.monotonic() - began < 4


def test_a_program_that_is_missing_is_a_connect_error() -> None:
    with pytest.raises(ConnectError, match="nothing-of-that-name cannot be started: "):
        LocalProcess(["nothing-of-that-name"])


# Processes of this machine


def descriptors() -> set[str]:
    gc.collect()
    links = [fd for fd in Path("/proc/self/fd").iterdir() if fd.exists()]
    return {f"{link.name} {link.readlink()}" for link in links}


def children() -> list[str]:
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()


def test_fifty_sessions_leave_no_descriptor_thread_or_zombie() -> None:
    before = descriptors(), children(), threading.active_count()
    for number in range(50):
        session = Session.open(LocalConnector().open)
        session.ask(Script("true"))
        match number % 5:
            case 0:
                session.kill()
            case 1:
                session.run([Script("kill -s KILL $$")], deadline_s=BRIEF_S)
            case 2:
                with pytest.raises(ConnectError):
                    Session.open(lambda _: LocalProcess(["false"]))
        session.close()
    assert (descriptors(), children(), threading.active_count()) == before


def test_exit_status_is_that_of_the_command() -> None:
    for command, status in (("exit 3", 3), ("kill -s KILL $$", 137), ("cat", 0)):
        process = LocalConnector().open(command)
        process.close_stdin()
        drain(process)
        assert process.exit_status() == status
        process.kill()
        process.kill()


def test_a_running_command_has_no_exit_status_and_ends_by_kill() -> None:
    process = LocalProcess(["sleep", unique()])
    assert process.exit_status() is None
    assert process.exchange(memoryview(b""), 0.1) == (0, b"", b"", False)
    process.kill()
    assert process.exit_status() == 143
    assert process.exchange(memoryview(b"late"), 10).ended
    assert repr(process).endswith(", killed>")


def test_both_directions_may_be_full_at_once() -> None:
    process = LocalProcess(["cat"])
    content = secrets.token_bytes(3_000_000)
    outgoing, said = memoryview(content), b""
    while len(said) < len(content):
        moved = process.exchange(outgoing, 10)
        outgoing = outgoing[moved.taken :]
        said += moved.stdout
    assert said == content
    process.kill()


def test_a_command_that_reads_no_more_is_no_error() -> None:
    process = LocalProcess(["sh", "-c", "exec <&-; sleep 0.3; echo done"])
    said, ended = b"", False
    while not ended:
        moved = process.exchange(memoryview(bytes(1 << 20)), 10)
        said, ended = said + moved.stdout, moved.ended
    assert said == b"done\n"
    process.kill()


def test_guarded_work_is_not_begun_by_a_session_that_was_closed(tmp_path: Path) -> None:
    with session_on(machine("dash", tmp_path)) as session:
        session.close()
        change = Script(f"echo >{tmp_path}/trace")
        result = session.run([Guarded(probe=change, expected="=0", change=change)])
    assert isinstance(result.ended_by, SessionLostError)
    assert not (tmp_path / "trace").exists()
