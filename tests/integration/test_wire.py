"""Scripts, payloads and replies over a real `sh`, whichever `sh` it is."""

from __future__ import annotations

import resource
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubexm.connector.local import LocalConnector
from kubexm.shell import (
    FILE,
    Guarded,
    GuardedReply,
    Library,
    Reply,
    Script,
    Session,
    Verdict,
    expectation,
    quote,
)
from tests.integration.wire import (
    LOGIN_SHELLS,
    SHELLS,
    USERLAND,
    end,
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

    from tests.integration.wire import Machine

pytestmark = pytest.mark.integration

EVERY_BYTE = bytes(range(256))


@pytest.fixture(scope="module", params=[*SHELLS, USERLAND])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return machine(request.param, tmp_path_factory.mktemp("machine"))


@pytest.fixture
def session(host: Machine) -> Iterator[Session]:
    with session_on(host) as session:
        yield session


def replies(session: Session, *scripts: Script | str) -> list[Reply]:
    """One batch of plain scripts, all of them answered."""
    frames = [Script(each) if isinstance(each, str) else each for each in scripts]
    found = session.run(frames, deadline_s=60).whole()
    return [reply for reply in found if isinstance(reply, Reply)]


def guarded(session: Session, *frames: Guarded) -> list[GuardedReply]:
    """One batch of guarded operations, all of them answered."""
    found = session.run(frames, deadline_s=60).whole()
    return [reply for reply in found if isinstance(reply, GuardedReply)]


def reading(stdout: str, status: int = 0) -> str:
    return expectation(Reply(exit_status=status, stdout=stdout.encode()))


# Scripts


def test_the_loop_runs_in_the_shell_under_test(host: Machine, session: Session) -> None:
    (reply,) = replies(session, "readlink /proc/$$/exe; echo $0 $#")
    program, words = reply.text.splitlines()
    assert any(shell in program for shell in SHELLS)
    assert words == "kubexm 0"
    assert host.is_connected


BROKEN = ("echo 'x", 'echo "x', "echo `x", "(", "{", "if true", "case x in", "$(", "'", ";;", "fi")


def test_broken_syntax_fails_alone(session: Session) -> None:
    found = replies(session, "echo before", *BROKEN, "echo after")
    assert (found[0].stdout, found[-1].stdout) == (b"before\n", b"after\n")
    assert all(reply.exit_status for reply in found[1:-1])


HOSTILE = {
    "exit 3": 3,
    "exit 256": 0,
    "return 4": 4,
    "false": 1,
    "": 0,
    "set -e; false; echo not reached": 1,
    "set -u; echo $nothing_of_that_name; echo not reached": None,
    "exec true": 0,
    "exec false": 1,
    "exec >/dev/null 2>&1; exit 5": 5,
    "exec >&- 2>&-; exit 6": 6,
    "trap 'exit 7' EXIT; exit 1": 7,
    "trap '' USR1 TERM PIPE; exit 8": 8,
    "sh -c 'kill -s KILL $PPID'; echo not reached": 137,
    "sh -c 'kill -s TERM $PPID'; echo not reached": 143,
    "cd /tmp; umask 077; PATH=/nowhere; export PATH; kx_token=x; kx_mode=stop": 0,
    "eval() { :; }; kx_say() { :; }; kx_end() { exit 9; }": None,
    "set -f; set -n": 0,
    "alias echo=false; unset kx_mark kx_mode kx_dog": 0,
    "readonly kx_status=5 kx_script=6 kx_mode=7": 0,
    "break; continue; exit 2": None,
    "nothing-of-that-name": 127,
    "exec nothing-of-that-name": 127,
    "while read -r line; do echo not reached; done; exit 9": 9,
    "cat <<X\nnever closed": None,
}


def test_a_script_cannot_hurt_the_loop(session: Session) -> None:
    ordinary = Script("pwd; umask; echo out; echo err >&2; exit 1")
    for text, status in HOSTILE.items():
        reply, after = replies(session, text, ordinary)
        assert status is None or reply.exit_status == status, text
        assert b"reached" not in reply.stdout, text
        assert after.text.split() in (["/", "0022", "out"], ["/", "022", "out"]), text
        assert (after.stderr, after.exit_status) == (b"err\n", 1), text


def test_stdin_without_payload_is_empty(session: Session) -> None:
    first, second = replies(session, "cat; echo end", "dd bs=1 count=1 2>/dev/null; echo end")
    assert first.stdout == second.stdout == b"end\n"


def test_a_script_sees_neither_the_token_nor_its_neighbours(session: Session) -> None:
    _, shown, after = replies(session, "echo p4ssw0rd", "set; export -p; trap", "echo after")
    # mksh keeps a copy of what a pattern matched last: our program
    assert b"p4ssw0rd" not in shown.stdout or b"KSH_MATCH=" in shown.stdout
    assert b"kx_token=" not in shown.stdout
    assert b"KUBEXM_MARK=" in shown.stdout
    assert after.stdout == b"after\n"


def test_what_looks_like_a_marker_is_output(session: Session) -> None:
    fake = "0123456789abcdef0123456789abcdef"
    lines = f"{fake} e 0 0\n{fake} s late\nready\n#{fake}\n"
    (reply,) = replies(session, f"printf %s {quote(lines)}; printf %s {quote(lines)} >&2")
    assert reply.stdout == reply.stderr == lines.encode()


def test_output_keeps_every_byte_and_its_missing_newline(session: Session) -> None:
    octal = "".join(f"\\0{byte:o}" for byte in EVERY_BYTE)
    script = f"printf %b '{octal}'; printf %b '{octal}x' >&2"
    first, second = replies(session, script, "printf 'no newline'")
    assert first.stdout == EVERY_BYTE
    assert first.stderr == EVERY_BYTE + b"x"
    assert second.stdout == b"no newline"
    assert not second.truncated


def test_stderr_is_apart(session: Session) -> None:
    (reply,) = replies(session, "echo 1; echo a >&2; echo 2; echo b >&2; exit 1")
    assert (reply.stdout, reply.stderr, reply.exit_status) == (b"1\n2\n", b"a\nb\n", 1)


def test_three_hundred_scripts_in_a_batch(session: Session) -> None:
    found = replies(session, *(f"echo {number}; exit {number % 256}" for number in range(300)))
    assert [reply.stdout for reply in found] == [b"%d\n" % number for number in range(300)]
    assert [reply.exit_status for reply in found] == [number % 256 for number in range(300)]
    assert session.trips == 1


def test_a_script_of_a_megabyte(session: Session) -> None:
    words = "it's \"quoted\" \n $no `no` \xe9\u20ac 'x' " * 25_000
    (reply,) = replies(session, f'x={quote(words)}; echo "$x"')
    assert reply.text == f"{words}\n"


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_words_and_payloads_arrive_exactly(session: Session, data: list[bytes]) -> None:
    clean = [each.replace(b"\0", b"").decode("utf-8", "surrogateescape") for each in data]
    scripts = [Script(f"printf '%s|' {' '.join(map(quote, clean))}")]
    scripts += [Script("cat", payload=each) for each in data]
    found = replies(session, *scripts)
    assert found[0].text == "".join(f"{each}|" for each in clean)
    assert [reply.stdout for reply in found[1:]] == data


def test_a_background_child_keeps_the_pipes_and_disturbs_nobody(session: Session) -> None:
    late = "(sleep 0.2; echo late; echo late >&2; printf later) & echo started"
    started, quick = replies(session, late, "echo quick")
    assert (started.stdout, quick.stdout) == (b"started\n", b"quick\n")
    time.sleep(0.4)
    assert replies(session, "echo clean")[0] == Reply(exit_status=0, stdout=b"clean\n")


def test_libraries_are_sent_once_and_their_functions_are_there(session: Session) -> None:
    library = Library("greeting", "greet() { printf '%s.' \"$@\"; cat; }\n")
    call = library.call("greet", "it's", "", "-n", "\n", payload=b"tail")
    for _ in range(2):
        assert replies(session, call)[0].stdout == b"it's..-n.\n.tail"


def test_a_script_joined_with_then_stops_at_the_first_failure(session: Session) -> None:
    fails = Script("cat; sh -c 'exit 4'", payload=b"two")
    joined = Script("echo one").then(fails).then(Script("echo no"))
    assert replies(session, joined)[0] == Reply(exit_status=4, stdout=b"one\ntwo")


# Payloads


SIZES = (0, 1, 2, 65_535, 65_536, 65_537, 131_072, 5_000_000)


def test_payloads_arrive_exactly(session: Session) -> None:
    contents = [(EVERY_BYTE * (size // 256 + 1))[:size] for size in SIZES]
    scripts: list[Script | str] = [Script("cat", payload=content) for content in contents]
    found = replies(session, "echo before; cat", *scripts, "echo after; cat")
    assert [reply.stdout for reply in found] == [b"before\n", *contents, b"after\n"]


@pytest.mark.parametrize(
    "reader", [":", "exit 3", "read -r line", "exec </dev/null; sleep 0.02", "sh -c 'kill $PPID'"]
)
def test_what_a_script_leaves_of_its_payload_is_swallowed(session: Session, reader: str) -> None:
    line = b"echo broken\n'\"\0"
    sizes = (0, 1, 65_537, 1_000_000)
    contents = [(line * (size // len(line) + 1))[:size] for size in sizes]
    scripts: list[Script | str] = []
    for content in contents:
        scripts += [Script(reader, payload=content), Script("cat", payload=b"mine"), "echo end"]
    found = replies(session, *scripts)
    assert [reply.stdout for reply in found] == [b"", b"mine", b"end\n"] * len(sizes)


def test_a_payload_that_looks_like_a_program_is_data(session: Session) -> None:
    content = b"kx_run 0 'echo no' -\n#0123\n'" * 3
    assert replies(session, Script("cat", payload=content))[0].stdout == content


def test_a_payload_is_read_by_the_command_that_wants_it(session: Session) -> None:
    lines = b"".join(b"%d\n" % number for number in range(1000))
    script = Script("read -r first; echo $first; tail -n 1", payload=lines)
    assert replies(session, script)[0].stdout == b"0\n999\n"


# Much output


def test_fifty_megabytes_cost_bounded_time_and_memory(session: Session) -> None:
    noise = Script("dd if=/dev/zero bs=1048576 count=50 2>/dev/null; echo said >&2; exit 3")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    frames = [noise, Script("echo after")]
    (noisy, after) = session.run(frames, deadline_s=60, cap_bytes=1 << 20).whole()
    assert isinstance(noisy, Reply)
    assert time.monotonic() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    assert (len(noisy.stdout), noisy.truncated, noisy.exit_status) == (1 << 20, True, 3)
    assert noisy.stderr == b"said\n"
    assert after == Reply(exit_status=0, stdout=b"after\n")


def test_output_of_exactly_the_cap_is_whole(session: Session) -> None:
    (reply,) = session.run([Script("printf 12345")], cap_bytes=5).whole()
    assert reply == Reply(exit_status=0, stdout=b"12345")
    (reply,) = session.run([Script("printf 123456; echo 12345 >&2")], cap_bytes=5).whole()
    assert reply == Reply(exit_status=0, stdout=b"12345", stderr=b"12345", truncated=True)


def test_a_listener_hears_output_while_it_runs(session: Session) -> None:
    heard: list[tuple[float, int, str, bytes]] = []
    began = time.monotonic()
    scripts = [
        Script("echo quiet >/dev/null"),
        Script("echo first; sleep 0.3; echo second >&2"),
        Script("echo secret").hidden(),
    ]
    session.run(
        scripts,
        listener=lambda number, name, data: heard.append(
            (time.monotonic() - began, number, name, data)
        ),
    ).whole()
    first, second = heard[0], heard[-1]
    assert second[0] - first[0] > 0.25
    assert b"".join(data for *_, name, data in heard if name == "stdout") == b"first\n"
    assert b"".join(data for *_, name, data in heard if name == "stderr") == b"second\n"
    assert {number for _, number, *_ in heard} == {1}


def test_a_listener_that_fails_ends_the_session_and_says_why(session: Session) -> None:
    mark = mark_of(session)

    def listener(number: int, name: str, data: bytes) -> None:
        message = f"{number} {name} {data!r}"
        raise ZeroDivisionError(message)

    with pytest.raises(ZeroDivisionError, match="0 stdout b'x"):
        session.run([Script("echo x"), Script("echo y")], listener=listener)
    assert session.broken
    assert eventually(lambda: not processes(mark))


# Guarded operations


def change(path: Path, text: str) -> Script:
    return Script(f"printf %s {quote(text)} >>{quote(str(path))}; echo did {text}")


def probe(path: Path) -> Script:
    return Script(f"cat {quote(str(path))} 2>/dev/null; exit 2")


def test_each_verdict_says_what_happened(session: Session, tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    a.write_text("old")
    found = guarded(
        session,
        Guarded(probe=probe(a), expected=reading("old", 2), change=None),
        Guarded(probe=probe(a), expected=reading("old", 2), change=change(a, "new")),
        Guarded(probe=probe(b), expected=reading("", 2), change=Script("echo bad >&2; exit 5")),
        Guarded(probe=probe(c), expected=reading("", 2), change=change(c, "never")),
    )
    assert [reply.verdict for reply in found] == [
        Verdict.SAME,
        Verdict.CHANGED,
        Verdict.FAILED,
        Verdict.SKIPPED,
    ]
    assert found[1].change == Reply(exit_status=0, stdout=b"did new\n")
    assert found[1].reading == Reply(exit_status=2, stdout=b"oldnew")
    assert found[2].change == Reply(exit_status=5, stderr=b"bad\n")
    assert found[2].reading is None
    assert not c.exists()


def test_from_the_first_stale_reading_on_everything_is_only_read(
    session: Session, tmp_path: Path
) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    found = guarded(
        session,
        Guarded(probe=probe(a), expected=reading("", 2), change=change(a, "one")),
        Guarded(probe=probe(a), expected=reading("", 2), change=change(a, "two")),
        Guarded(probe=probe(b), expected=reading("", 2), change=change(b, "three")),
        Guarded(probe=probe(c), expected=reading("", 2), change=None),
    )
    assert [reply.verdict for reply in found] == [Verdict.CHANGED, *[Verdict.STALE] * 3]
    assert found[1].reading == Reply(exit_status=2, stdout=b"one")
    assert found[2].reading == Reply(exit_status=2)
    assert found[2].change is None
    assert a.read_text() == "one"
    assert not b.exists()


def test_an_unmet_prerequisite_ends_the_batch_unless_it_is_met_now(
    session: Session, tmp_path: Path
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    still = Guarded(probe=probe(a), expected=reading("", 2), change=None, unmet=True)
    later = Guarded(probe=probe(b), expected=reading("", 2), change=change(b, "x"))
    found = guarded(session, still, later, still)
    assert [reply.verdict for reply in found] == [Verdict.UNMET, Verdict.SKIPPED, Verdict.SKIPPED]
    supply = Guarded(probe=probe(a), expected=reading("", 2), change=change(a, "there"))
    found = guarded(session, supply, still, later)
    assert [reply.verdict for reply in found] == [Verdict.CHANGED, Verdict.STALE, Verdict.STALE]
    assert found[1].reading == Reply(exit_status=2, stdout=b"there")
    assert not b.exists()


KINDS = st.sampled_from(["same", "changed", "failed", "stale", "unmet", "plain"])


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kinds=st.lists(KINDS, min_size=1, max_size=8), size=st.sampled_from([None, 0, 3, 70_000]))
def test_every_order_of_verdicts_follows_the_rules(
    session: Session, kinds: list[str], size: int | None
) -> None:
    """Payloads follow every change, so one byte too many or too few would derail the rest."""
    payload = None if size is None else b"'\n" * size
    frames: list[Script | Guarded] = []
    for kind in kinds:
        if kind == "plain":
            frames.append(Script("wc -c; exit 4", payload=payload))
            continue
        says = f"echo {kind}; exit 1"
        frames.append(
            Guarded(
                probe=Script(says),
                expected="0" * 64 if kind == "stale" else reading(f"{kind}\n", 1),
                change=None
                if kind == "same"
                else Script(f"wc -c; exit {int(kind == 'failed')}", payload=payload),
                unmet=kind == "unmet",
            )
        )
    mode = "apply"
    counted = str(len(payload or b""))
    for kind, reply in zip(kinds, session.run(frames, deadline_s=60).whole(), strict=True):
        if isinstance(reply, Reply):
            assert (reply.text.strip(), reply.exit_status) == (counted, 4)
            continue
        if mode == "apply" and kind == "stale":
            mode = "stale"
        if mode == "apply":
            assert reply.verdict == kind
            if reply.change is not None:
                assert reply.change.text.strip() == counted
            mode = "stop" if kind in {"failed", "unmet"} else mode
        else:
            assert reply.verdict == ("skipped" if mode == "stop" else "stale")
            assert reply.change is None
        if reply.reading is not None:
            assert (reply.reading.text, reply.reading.exit_status) == (f"{kind}\n", 1)


def test_digests_agree_on_binary_and_large_readings(session: Session, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for content in (b"", b"\n", b"\0\0", EVERY_BYTE, EVERY_BYTE * 4096):
        (tmp_path / "content").write_bytes(content)
        look = Script(f"cat {tmp_path}/content; exit 7")
        seen = replies(session, look)[0]
        assert seen.stdout == content
        (applied,) = guarded(
            session, Guarded(probe=look, expected=expectation(seen), change=change(trace, "x"))
        )
        assert applied.verdict is Verdict.CHANGED
        assert applied.reading == seen
        other = expectation(Reply(exit_status=8, stdout=content))
        (stale,) = guarded(
            session,
            Guarded(probe=look, expected=other, change=change(trace, "y")),
        )
        assert stale.verdict is Verdict.STALE
        assert stale.reading == seen
    assert trace.read_text() == "x" * 5


def test_a_change_with_a_large_payload_and_a_large_reply(session: Session) -> None:
    content = EVERY_BYTE * 4096
    frames = [
        Guarded(
            probe=Script("dd if=/dev/zero bs=1024 count=1024 2>/dev/null"),
            expected=reading("\0" * (1 << 20)),
            change=Script("cat; cat >&2", payload=content),
        )
    ] * 3
    for reply in guarded(session, *frames):
        assert reply.verdict is Verdict.CHANGED
        assert reply.change == Reply(exit_status=0, stdout=content)
        assert reply.reading == Reply(exit_status=0, stdout=bytes(1 << 20))


def test_stderr_of_a_probe_does_not_count(session: Session) -> None:
    noisy = Script("echo reading; date +%N >&2")
    (same,) = guarded(session, Guarded(probe=noisy, expected=reading("reading\n"), change=None))
    assert same == GuardedReply(verdict=Verdict.SAME)


def test_a_probe_that_leaves_a_child_does_not_hang_the_guard(session: Session) -> None:
    """The child keeps the pipe; only the digest, which reads to its end, has to wait for it."""
    began = time.monotonic()
    frame = Guarded(probe=Script("sleep 0.2 & echo x"), expected=reading("x\n"), change=None)
    assert guarded(session, frame)[0].verdict is Verdict.SAME
    assert time.monotonic() - began < 5


# Opening and closing


@pytest.mark.parametrize("login", LOGIN_SHELLS)
@pytest.mark.parametrize("kind", ["dash", "mksh"])
def test_any_login_shell_hands_the_loop_on(login: str, kind: str, tmp_path: Path) -> None:
    script = Script("pwd; echo $LC_ALL; cat", payload=b"it's\n\0!")
    with session_on(machine(kind, tmp_path, login=login)) as session:
        for _ in range(2):
            assert replies(session, script)[0].stdout == b"/\nC\nit's\n\0!"


def test_login_files_may_talk(tmp_path: Path) -> None:
    host = machine("dash", tmp_path, login="tcsh")
    (host.home / ".tcshrc").write_text("echo 'Welcome! '; sh -c 'echo no newline >&2'; echo -n x")
    with session_on(host) as session:
        assert replies(session, "echo ok")[0] == Reply(exit_status=0, stdout=b"ok\n")


def test_a_session_settles_whatever_the_login_environment_was(
    host: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trap = tmp_path / "env"
    trap.write_text("echo environment file was read; exit 1\n")
    for name in ("ENV", "BASH_ENV"):
        monkeypatch.setenv(name, str(trap))
    monkeypatch.setenv("CDPATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    monkeypatch.setenv("IFS", "0123456789abcdef")
    with session_on(host) as session:
        settings = 'echo "$LC_ALL|$PWD|${ENV-}${BASH_ENV-}${CDPATH-}|"; echo $PATH'
        (reply,) = replies(session, settings)
    assert reply.text.splitlines()[0] == "C|/||"
    assert reply.text.splitlines()[1].startswith("/usr/local/sbin:")


def test_a_login_session_keeps_directory_and_environment(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEXM_TEST_GREETING", "it's kept")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with session_on(host, login=True) as session:
        (reply,) = replies(session, 'echo "$KUBEXM_TEST_GREETING|$LC_ALL"; echo "$HOME"')
    assert reply.text == f"it's kept|C.UTF-8\n{host.home}\n"


def test_closing_ends_the_loop(session: Session) -> None:
    mark = mark_of(session)
    assert processes(mark)
    session.close()
    assert eventually(lambda: not processes(mark), within_s=1)
    session.close()
    assert session.run([Script("true")]).ended_by is not None


def test_a_finished_batch_leaves_neither_watchdog_nor_sleep(session: Session) -> None:
    mark = mark_of(session)
    for _ in range(30):
        replies(session, "true")
    assert eventually(lambda: len(processes(mark)) == 1, within_s=1), processes(mark)


def test_a_daemon_outlives_its_session(session: Session) -> None:
    seconds = unique()
    replies(session, f"sleep {seconds} </dev/null >/dev/null 2>&1 &", "true")
    session.close()
    time.sleep(0.2)
    assert len(end(seconds)) == 1


def test_batches_from_several_threads_do_not_mix(session: Session) -> None:
    wrong: list[object] = []

    def work(name: str) -> None:
        for number in range(5):
            text = f"{name}{number}\n"
            said = session.ask(Script("cat", payload=text.encode())).text
            if said != text:
                wrong.append(said)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert session.trips == 20


def test_the_local_connector_starts_in_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "it's home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    session = Session.open(LocalConnector().open, login=True)
    assert replies(session, "pwd; echo $#")[0].text == f"{home}\n0\n"
    session.close()
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    session = Session.open(LocalConnector().open)
    call = FILE.call("kx_file_state", str(tmp_path), "0")
    assert replies(session, call)[0].text.startswith("directory ")
    session.close()
