"""Deadlines: enforced on the machine, whatever it is that runs there."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import DeadlineError
from kubexm.shell import BatchReply, Guarded, Reply, Script, Session, quote
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
    from collections.abc import Sequence
    from pathlib import Path

    from tests.integration.wire import Machine

pytestmark = pytest.mark.integration

GRACE_S = 1
OK = Reply(exit_status=0, stdout=b"ok\n")
names = count()


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


def late(session: Session, frames: Sequence[Script | Guarded], deadline_s: float = 1) -> BatchReply:
    """A batch that must run out of time, and leave nothing of itself."""
    mark = mark_of(session)
    began = time.monotonic()
    result = session.run(frames, deadline_s=deadline_s, grace_s=GRACE_S)
    assert time.monotonic() - began < 15
    assert isinstance(result.ended_by, DeadlineError), result
    assert eventually(lambda: not processes(mark), within_s=3), processes(mark)
    assert session.broken
    return result


def test_what_runs_at_the_deadline_is_ended_and_nothing_is_started_later(
    hosts: dict[str, Machine], tmp_path: Path
) -> None:
    def scenario(session: Session) -> None:
        trace = tmp_path / str(next(names))
        scripts = [
            Script(f"echo one >>{trace}"),
            Script(f"echo two >>{trace}; sleep {unique()}; echo not this >>{trace}"),
            Script(f"echo three >>{trace}"),
        ]
        assert late(session, scripts).replies == (Reply(exit_status=0),)
        assert trace.read_text() == "one\ntwo\n"

    everywhere(hosts, scenario)


WANDERERS = (
    "setsid sleep SECONDS",
    "setsid sh -c 'sleep SECONDS; echo' & wait",
    "setsid sh -c 'setsid sleep SECONDS & sleep SECONDS' </dev/null >/dev/null 2>&1 &\n",
    "(sleep SECONDS & (sleep SECONDS & ) ) & sleep SECONDS",
    "sh -c 'sleep SECONDS & exec sh -c \"sleep SECONDS; echo\"'",
    "while :; do sleep 0.05; done & sleep SECONDS",
    "exec sleep SECONDS",
    "cat | cat | sleep SECONDS | cat",
)


def test_children_are_found_wherever_they_went(hosts: dict[str, Machine]) -> None:
    def scenario(session: Session) -> None:
        seconds = unique()
        together = " & ".join(f"({script})" for script in WANDERERS)
        text = f"{together} & sleep {seconds}".replace("SECONDS", seconds)
        late(session, [Script(text), Script("true")])
        assert not processes(seconds)

    everywhere(hosts, scenario)


def test_what_ignores_term_is_killed_after_the_grace(hosts: dict[str, Machine]) -> None:
    def scenario(session: Session) -> None:
        seconds = unique()
        stubborn = f"trap '' TERM HUP; sleep {seconds}; sleep {seconds}"
        text = f"setsid sh -c {quote(stubborn)} & trap 'echo no' TERM; while :; do sleep 0.1; done"
        began = time.monotonic()
        late(session, [Script(f"({text}) & {stubborn}")])
        assert time.monotonic() - began > 1 + GRACE_S
        assert not processes(seconds)

    everywhere(hosts, scenario)


def test_term_lets_a_script_tidy_up(hosts: dict[str, Machine], tmp_path: Path) -> None:
    def scenario(session: Session) -> None:
        done = tmp_path / str(next(names))
        text = f"trap 'echo tidy >{done}; exit 1' TERM; sleep {unique()} & wait $!"
        late(session, [Script(text)])
        assert done.read_text() == "tidy\n"

    everywhere(hosts, scenario)


def test_no_script_goes_on_after_its_command_was_ended(
    hosts: dict[str, Machine], tmp_path: Path
) -> None:
    """Whichever process the signal reaches first: the shell must not see its child die."""

    def scenario(session: Session, payload: bytes | None = None) -> None:
        wrong = tmp_path / str(next(names))
        nest = f"sleep {unique()}; echo >{wrong}"
        for _ in range(4):
            nest = f"sh -c {quote(nest)}; echo >{wrong}"
        scripts = [Script(f"cat >/dev/null; {nest}", payload=payload), Script(f"echo >{wrong}")]
        late(session, scripts)
        assert not wrong.exists()

    everywhere(hosts, scenario, lambda session: scenario(session, b"x" * 3_000_000))


def test_a_deadline_in_a_guard_applies_nothing(hosts: dict[str, Machine], tmp_path: Path) -> None:
    """The probe takes longer now: its reading is cut, and what was decided is not applied."""

    def scenario(session: Session) -> None:
        trace = tmp_path / str(next(names))
        slow = Script(f"echo same; sleep {unique()}")
        change = Script(f"echo >{trace}; cat", payload=b"x" * 100_000)
        frame = Guarded(probe=slow, expected="=same\n0", change=change)
        assert len(late(session, [Script("echo first"), frame, frame]).replies) == 1
        assert not trace.exists()

    everywhere(hosts, scenario)


def test_a_deadline_in_a_change_is_no_reply(hosts: dict[str, Machine]) -> None:
    def scenario(session: Session) -> None:
        frames = [
            Guarded(probe=Script("echo same"), expected="=same\n0", change=Script(text))
            for text in ("echo done", f"echo x; sleep {unique()}", "echo never")
        ]
        assert len(late(session, frames).replies) == 1

    everywhere(hosts, scenario)


def test_much_output_at_the_deadline_does_not_hurt(hosts: dict[str, Machine]) -> None:
    def scenario(session: Session) -> None:
        noise = Script("while :; do echo noise; echo noise >&2; done")
        result = late(session, [Script("echo ok"), noise, Script(":")])
        assert result.replies == (OK,)

    everywhere(hosts, scenario)


def test_a_payload_that_nobody_takes_does_not_outlast_the_deadline(
    hosts: dict[str, Machine],
) -> None:
    def scenario(session: Session) -> None:
        idle = Script(f"sleep {unique()}", payload=b"x" * 5_000_000)
        late(session, [idle, Script("cat", payload=b"y" * 99)])

    everywhere(hosts, scenario)


def test_the_deadline_of_a_script_replaces_the_batchs(hosts: dict[str, Machine]) -> None:
    """The others have the whole of the batch's, before and behind it."""

    def scenario(session: Session) -> None:
        scripts = [
            Script("sleep 0.4"),
            Script("sleep 1.2").within(20),
            Script("sleep 0.4"),
            Script("sleep 0.8"),
        ]
        assert len(late(session, scripts).replies) == 3

    everywhere(hosts, scenario)


def test_a_script_past_its_own_deadline_ends_the_batch(hosts: dict[str, Machine]) -> None:
    slow = Script(f"sleep {unique()}").within(1)

    def plain(session: Session) -> None:
        scripts = [Script("echo ok"), slow, Script("true")]
        assert late(session, scripts, deadline_s=60).replies == (OK,)

    def guarded(session: Session) -> None:
        frame = Guarded(probe=Script("true"), expected="=0", change=slow)
        assert late(session, [Script("echo ok"), frame], deadline_s=0).replies == (OK,)

    everywhere(hosts, plain, guarded)


def test_a_deadline_that_is_nearly_met_does_not_hurt_the_next_batch(
    hosts: dict[str, Machine],
) -> None:
    """The watchdog may fire when everything has been answered already."""
    pauses = ["0.96", "0.97", "0.98", "0.99", "1.00"]

    def scenario(session: Session) -> None:
        first = session.run([Script(f"sleep {pauses.pop()}")], deadline_s=1, grace_s=GRACE_S)
        if first.ended_by is None:
            again = [Script("sleep 0.05; echo ok")] * 5
            assert session.run(again, deadline_s=60).whole() == (OK,) * 5

    everywhere(hosts, scenario)


def test_a_daemon_of_an_earlier_batch_survives_a_deadline(hosts: dict[str, Machine]) -> None:
    def scenario(session: Session) -> None:
        seconds = unique()
        start = Script(f"setsid sleep {seconds} </dev/null >/dev/null 2>&1 & echo ok")
        for deadline_s in (0, 60):
            assert session.run([start], deadline_s=deadline_s).whole() == (OK,)
        other = unique()
        result = session.run([Script(f"sleep {other}")], deadline_s=1, grace_s=GRACE_S)
        left = end(seconds)
        assert isinstance(result.ended_by, DeadlineError)
        assert not processes(other)
        assert len(left) == 2

    everywhere(hosts, scenario)


def test_sessions_do_not_end_each_others_work(hosts: dict[str, Machine]) -> None:
    host = next(iter(hosts.values()))
    seconds = unique()
    with session_on(host) as session, session_on(host) as other:
        other.ask(Script(f"sleep {seconds} </dev/null >/dev/null 2>&1 &"))
        late(session, [Script(f"sleep {unique()}")])
        assert other.ask(Script("echo ok")) == OK
    assert len(end(seconds)) == 1
