"""A reading and the change that rests on it, in one process, under every sh."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import DeadlineError
from kubexm.runner.operations import FileContent
from kubexm.shell import (
    FILE,
    STATE,
    Guarded,
    GuardedReply,
    Library,
    Reply,
    Script,
    Session,
    Verdict,
    quote,
)
from kubexm.shell.frame import digest
from tests.integration.wire import SHELLS, USERLAND, machine, session_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kubexm.shell import Frame

pytestmark = pytest.mark.integration

ABSENT = "=absent\n0"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Originals of these tests are not kept on this machine."""
    monkeypatch.setenv("KUBEXM_STATE", str(tmp_path / "state"))


@pytest.fixture(params=[*SHELLS, USERLAND])
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    with session_on(machine(request.param, tmp_path_factory.mktemp("machine"))) as session:
        yield session


def probe(path: Path) -> Script:
    """What is at a path."""
    return Script(
        f"kx_content_state {quote(str(path))} -1", libraries=(STATE,), answer="kx_seen_state"
    )


def swap(path: Path, text: str, *, expected: str = ABSENT) -> Guarded:
    """A change that rests on what is at a path; the reading afterwards is left to later."""
    return Guarded(probe=probe(path), expected=expected, change=Script(text), read_later=True)


def swapped(session: Session, *frames: Frame) -> tuple[GuardedReply, ...]:
    """The replies of those that are guarded."""
    return tuple(r for r in session.run(frames).whole() if isinstance(r, GuardedReply))


@pytest.mark.parametrize("status", [0, 1, 9, 12, 130, 255])
def test_a_change_may_end_with_any_status(session: Session, tmp_path: Path, status: int) -> None:
    first = swap(tmp_path / "a", f"echo out; echo err >&2; exit {status}")
    found = swapped(session, first, swap(tmp_path / "b", "echo second"))
    change = Reply(exit_status=status, stdout=b"out\n", stderr=b"err\n")
    if status == 0:
        second = Reply(exit_status=0, stdout=b"second\n")
        assert found == (
            GuardedReply(verdict=Verdict.CHANGED, change=change),
            GuardedReply(verdict=Verdict.CHANGED, change=second),
        )
    else:
        assert found == (
            GuardedReply(verdict=Verdict.FAILED, change=change),
            GuardedReply(verdict=Verdict.SKIPPED),
        )


@pytest.mark.parametrize("kind", ["file", "directory", "link", "dangling"])
def test_another_reading_keeps_the_change_away_and_all_behind_it(
    session: Session, tmp_path: Path, kind: str
) -> None:
    path, ran = tmp_path / "a", tmp_path / "ran"
    match kind:
        case "file":
            path.write_text("somebody's")
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to(tmp_path)
        case _:
            path.symlink_to("nowhere")
    second = Guarded(probe=probe(ran), expected=ABSENT, change=Script(f"touch {ran}"))
    found = swapped(session, swap(path, f"touch {ran}"), swap(ran, f"touch {ran}"), second)
    assert [reply.verdict for reply in found] == [Verdict.STALE] * 3
    assert not ran.exists()
    seen = session.ask(probe(path))
    assert found[0].reading == seen
    assert seen.text.split()[0] == {"link": "directory"}.get(kind, kind)
    # the next batch starts afresh
    assert swapped(session, swap(ran, f"touch {ran}"))[0].verdict is Verdict.CHANGED
    assert ran.exists()


def test_the_same_reading_lets_the_change_through(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("before")
    seen = session.ask(probe(path))
    assert seen.text.startswith("file ")
    for expected in (f"={seen.text}0", digest(seen.stdout, 0)):
        (found,) = swapped(session, swap(path, "echo done", expected=expected))
        assert (found.verdict, found.change) == (
            Verdict.CHANGED,
            Reply(exit_status=0, stdout=b"done\n"),
        )
        assert found.reading is None


def test_a_group_that_a_directory_hands_down_is_part_of_what_is_absent(
    session: Session, tmp_path: Path
) -> None:
    """The short way knows nothing of it, so that it must not be taken."""
    tmp_path.chmod(0o2755)
    path = tmp_path / "a"
    seen = session.ask(probe(path))
    assert len(seen.text.split()) == 3
    assert swapped(session, swap(path, "echo done"))[0].verdict is Verdict.STALE
    (found,) = swapped(session, swap(path, "echo done", expected=f"={seen.text}0"))
    assert found.verdict is Verdict.CHANGED


@pytest.mark.parametrize("text", ["", "a b", "'\n\n", "ü\\n$x`y`"])
def test_what_is_held_is_in_the_variable_and_not_on_stdin(
    session: Session, tmp_path: Path, text: str
) -> None:
    show = 'printf "<%s>" "$kx_input" "$kx_bytes"; cat'
    change = Script(show, payload=text.encode(), in_variable=True)
    one = Guarded(probe=probe(tmp_path / "a"), expected=ABSENT, change=change, read_later=True)
    bare = Script('echo "${kx_input-none}"')
    plain, guarded, after = session.run((change, one, bare)).whole()
    wanted = Reply(exit_status=0, stdout=f"<{text}><->".encode())
    assert (plain, after) == (wanted, Reply(exit_status=0, stdout=b"none\n"))
    assert guarded == GuardedReply(verdict=Verdict.CHANGED, change=wanted)


@pytest.mark.parametrize("payload", [b"x" * 20_000, b"a\0b"])
def test_what_is_too_much_for_a_word_comes_on_stdin(session: Session, payload: bytes) -> None:
    script = Script('echo "${kx_input-none} $kx_bytes"; cat', payload=payload, in_variable=True)
    said = session.ask(script)
    assert said.stdout == f"none {len(payload)}\n".encode() + payload


def test_a_deadline_ends_the_change_and_the_session(session: Session, tmp_path: Path) -> None:
    result = session.run((swap(tmp_path / "a", "sleep 60"),), deadline_s=1, grace_s=1)
    assert isinstance(result.ended_by, DeadlineError)
    assert (result.replies, session.broken) == ((), True)


def test_a_process_that_is_killed_before_its_change_failed(
    session: Session, tmp_path: Path
) -> None:
    """As the kernel does when memory runs out."""
    die = Library(
        "die",
        "kx_die() {\n echo last words >&2\n read -r kx_pid _ </proc/self/stat\n"
        ' kill -s KILL "$kx_pid"\n}\n',
    )
    probe = Script("kx_content_state /nowhere -1", libraries=(STATE, die), answer="kx_die")
    change = Script(f"touch {quote(str(tmp_path / 'ran'))}")
    found = swapped(
        session,
        Guarded(probe=probe, expected=ABSENT, change=change, read_later=True),
        swap(tmp_path / "a", "echo done"),
    )
    assert [reply.verdict for reply in found] == [Verdict.FAILED, Verdict.SKIPPED]
    assert found[0].change is not None
    assert found[0].change.exit_status == 137
    assert found[0].change.stderr.startswith(b"last words\n")
    assert not (tmp_path / "ran").exists()


_DEAF = """
import os, signal, sys
if sys.argv[1] == "ignored":
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
else:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
os.execvp("env", ["env", *sys.argv[2:]])
"""


@pytest.mark.parametrize("how", ["ignored", "blocked"])
@pytest.mark.parametrize("kind", [*SHELLS, USERLAND])
def test_a_signal_that_never_comes_is_not_waited_for(tmp_path: Path, kind: str, how: str) -> None:
    """A shell cannot trap what was ignored when it started."""
    (tmp_path / "machine").mkdir()
    whole = machine(kind, tmp_path / "machine")
    deaf = replace(whole, prefix=(sys.executable, "-c", _DEAF, how, *whole.prefix))
    there, ran = tmp_path / "there", tmp_path / "ran"
    there.touch()
    with session_on(deaf) as session:
        found = swapped(session, swap(tmp_path / "a", "echo done"), swap(there, f"touch {ran}"))
        more = swapped(session, swap(there, f"touch {ran}"), swap(ran, f"touch {ran}"))
    assert [reply.verdict for reply in found] == [Verdict.CHANGED, Verdict.STALE]
    assert [reply.verdict for reply in more] == [Verdict.STALE, Verdict.STALE]
    assert not ran.exists()


def test_a_payload_stays_with_the_script_that_it_is_for(session: Session) -> None:
    reads, looks = Script("cat", payload=b"hello"), Script("echo x", in_variable=True)
    assert session.ask(reads.then(looks)).stdout == b"hellox\n"


def test_a_change_sees_no_token_and_leaves_the_loop_as_it_was(
    session: Session, tmp_path: Path
) -> None:
    show = 'echo "$PWD $(umask) $-"'
    texts = ('set; echo "${kx_token-none}"', "cd /tmp; umask 077; set -Cf", show)
    before = session.ask(Script(show))
    found = swapped(session, *(swap(tmp_path / "a", text) for text in texts))
    assert [reply.verdict for reply in found] == [Verdict.CHANGED] * 3
    assert found[2].change == before
    assert found[0].change is not None
    assert found[0].change.text.endswith("\nnone\n")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o755, 0o4711])
def test_a_new_file_leaves_the_umask_as_it_was(session: Session, tmp_path: Path, mode: int) -> None:
    path, after = tmp_path / "a", tmp_path / "after"
    op = FileContent(path=str(path), content="new", mode=mode)
    write = FILE.call("kx_replace", op.path, f"{mode:o}", payload=op.data, in_variable=True)
    both = write.then(Script(f"umask; echo x >{quote(str(after))}; echo y >|{quote(str(after))}"))
    (found,) = swapped(
        session, Guarded(probe=probe(path), expected=ABSENT, change=both, read_later=True)
    )
    assert found.change is not None
    assert (found.change.exit_status, found.change.stderr) == (0, b"")
    assert int(found.change.text, 8) == 0o022
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)
    assert stat.S_IMODE(after.stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", ["700", "750", "755", "711", "1777", "2750"])
def test_a_new_directory_has_its_mode_from_the_start_or_gets_it(
    session: Session, tmp_path: Path, mode: str
) -> None:
    for parent in (tmp_path / "plain", tmp_path / "setgid", tmp_path / "open"):
        parent.mkdir()
        parent.chmod({"plain": 0o755, "setgid": 0o2755, "open": 0o1777}[parent.name])
        path = parent / "new"
        said = session.ask(FILE.call("kx_directory", str(path), mode))
        assert (said.exit_status, said.stderr) == (0, b"")
        assert f"{stat.S_IMODE(path.stat().st_mode):o}" == mode
        assert path.stat().st_uid == os.getuid()
