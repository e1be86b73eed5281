"""One look at many paths answers as looking at each of them does, and is no look at what is new."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import DeadlineError, SessionLostError
from kubexm.shell import Guarded, Reply, Script, Session, expectation
from kubexm.shell.frame import digest
from kubexm_linux.state import probe_state
from tests.integration.wire import SHELLS, USERLAND, machine, session_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

CONTENT = b"known\n"


@pytest.fixture(params=[*SHELLS, USERLAND])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    with session_on(machine(request.param, tmp_path / "machine")) as session:
        yield session


@pytest.fixture(autouse=True)
def directory(tmp_path: Path) -> Path:
    (tmp_path / "machine").mkdir()
    home = tmp_path / "home"
    home.mkdir()
    (home / "known").write_bytes(CONTENT)
    (home / "other").write_bytes(b"other\n")
    (home / "known.more").write_bytes(b"")
    (home / "with blank").write_bytes(CONTENT)
    (home / "sub").mkdir(mode=0o1750)
    (home / "shared").mkdir()
    (home / "shared").chmod(0o2775)
    (home / "link").symlink_to("known")
    (home / "lost").symlink_to("nowhere")
    (home / "spaced").symlink_to(" two  words * ")
    os.mkfifo(home / "pipe")
    return home


NAMES = (
    *("known", "other", "known.more", "with blank", "sub", "sub/nothing", "shared/nothing"),
    *("link", "lost", "spaced", "pipe", "nothing", "nothing/at/all", "known/below"),
)


def probes(directory: Path) -> list[Script]:
    return [
        probe_state(str(directory / name), known=known, limit=limit, follow=follow)
        for name in NAMES
        for known in (None, CONTENT)
        for limit in (-1, 3, 65_536)
        for follow in (True, False)
    ]


def test_it_answers_as_looking_at_each_does(session: Session, directory: Path) -> None:
    asked = probes(directory)
    alone = [replace(script, looks=(), answer="") for script in asked]
    assert sum(bool(script.answer) for script in asked) > len(asked) / 2
    assert answers(session, asked) == answers(session, alone)


def answers(session: Session, scripts: list[Script]) -> list[tuple[bytes, bytes, int]]:
    replies = session.run(scripts).whole()
    return [(r.stdout, r.stderr, r.exit_status) for r in replies if isinstance(r, Reply)]


def test_a_target_with_a_newline_keeps_others_from_being_known(
    session: Session, directory: Path
) -> None:
    (directory / "odd").symlink_to("one\ntwo")
    asked = [
        probe_state(str(directory / name), follow=follow)
        for name in ("odd", "link", "known")
        for follow in (True, False)
    ]
    alone = [replace(script, looks=(), answer="") for script in asked]
    assert answers(session, asked) == answers(session, alone)


def test_it_answers_without_a_process(session: Session, directory: Path) -> None:
    """Nothing that could be started is there any more."""
    asked = [probe_state(str(directory / name), known=CONTENT) for name in ("known", "nothing")]
    asked.insert(0, replace(asked[0], text="exit 7", answer="kx_seen_state x; PATH=/nowhere; true"))
    (_, *told) = answers(session, asked)
    assert [status for _, _, status in told] == [0, 0]
    assert told[1][0] == b"absent\n"


def test_a_change_and_what_follows_it_are_looked_at_anew(session: Session, directory: Path) -> None:
    path = directory / "known"
    probe = probe_state(str(path), known=CONTENT)
    (before,) = session.run([probe]).whole()
    assert isinstance(before, Reply)
    change = Script(f"echo changed >{path}")
    guarded, after = session.run(
        [Guarded(probe=probe, expected=expectation(before), change=change), probe]
    ).whole()
    assert isinstance(after, Reply)
    assert after.stdout.endswith(b"\nchanged\n")
    assert getattr(guarded, "reading", None) == after
    path.write_bytes(b"somebody else\n")
    stale, _ = session.run(
        [Guarded(probe=probe, expected=expectation(before), change=change), probe]
    ).whole()
    assert str(getattr(stale, "verdict", "")) == "stale"
    assert path.read_bytes() == b"somebody else\n"


def test_content_that_hides_markers_is_content(session: Session, directory: Path) -> None:
    """A file may hold lines that look like what the look says of another."""
    trap = directory / "trap"
    trap.write_text(f"{directory}/known absent\n0000  {directory}/known\n")
    asked = [probe_state(str(trap)), probe_state(str(directory / "known"), known=CONTENT)]
    alone = [replace(script, looks=(), answer="") for script in asked]
    assert answers(session, asked) == answers(session, alone)


def test_its_time_does_not_grow_with_the_square_of_the_paths(
    session: Session, tmp_path: Path
) -> None:
    for number in range(400):
        (tmp_path / f"file{number}").write_bytes(CONTENT)

    def seconds(count: int) -> float:
        asked = [probe_state(str(tmp_path / f"file{n}"), known=CONTENT) for n in range(count)]
        began = time.monotonic()
        session.run(asked).whole()
        return time.monotonic() - began

    few = min(seconds(40) for _ in range(3))
    many = min(seconds(400) for _ in range(2))
    assert many < 60 * few  # 100 would be the square


def test_a_change_is_known_to_be_done_while_a_look_behind_it_takes_its_time(
    session: Session, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(3 << 30)
    change = Guarded(
        probe=Script("true"), expected=digest(b"", 0), change=Script(f"echo x >{done}")
    )

    def cut() -> None:
        limit = time.monotonic() + 20
        while not done.exists() and time.monotonic() < limit:
            time.sleep(0.02)
        time.sleep(1)
        session.kill()

    cutter = threading.Thread(target=cut)
    cutter.start()
    result = session.run([change, probe_state(str(large))])
    cutter.join()
    large.unlink()
    assert isinstance(result.ended_by, SessionLostError)
    assert [str(getattr(reply, "verdict", "")) for reply in result.replies] == ["changed"]


def test_a_script_with_a_deadline_of_its_own_does_not_pay_for_a_look(
    session: Session, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(3 << 30)
    result = session.run([Script("echo quick").within(1), probe_state(str(large)).within(2)])
    session.kill()
    large.unlink()
    assert isinstance(result.ended_by, DeadlineError)
    assert [reply.text for reply in result.replies if isinstance(reply, Reply)] == ["quick\n"]
