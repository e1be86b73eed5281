"""What a terminal shows, against `golden/*.txt`; KUBEXM_GOLDEN=write writes them anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.engine import (
    HostConnected,
    HostNotice,
    HostStarted,
    OutputReceived,
    RunInterrupted,
)
from kubexm.ui import Live, Look
from tests.unit.ui.story import MANY, RUN, THREE, Story, at
from tests.unit.ui.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.engine import Event

GOLDEN = Path(__file__).parent / "golden"
FLEETS = {"three": THREE, "many": MANY}


@pytest.fixture(autouse=True)
def _terminal_of_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")


def live(terminal: Terminal, look: Look | None = None, *, seconds: float = 20) -> Live:
    look = look or Look(diff=True, columns=terminal.size[0])
    return Live(
        terminal, terminal, look, clock=lambda: at(seconds), interval_s=0, size=terminal.size
    )


def feed(listener: Live, events: Iterable[Event]) -> None:
    for event in events:
        listener.on_event(event)


def compare(name: str, seen: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("KUBEXM_GOLDEN") == "write":
        path.write_text(seen)
    assert seen == path.read_text()


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("fleet", FLEETS)
def test_the_display_follows_the_run_and_fits_the_terminal(fleet: str, columns: int) -> None:
    terminal = Terminal(columns)
    with live(terminal) as listener:
        feed(listener, Story(hosts=FLEETS[fleet]).half())
        listener.draw()
        compare(f"live_{fleet}_{columns}", terminal.scroll)


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("fleet", FLEETS)
def test_the_display_leaves_the_final_text_behind(fleet: str, columns: int, *, check: bool) -> None:
    terminal = Terminal(columns)
    story = Story(hosts=FLEETS[fleet], check=check)
    with live(terminal) as listener:
        feed(listener, story.half())
        listener.draw()
        feed(listener, story.rest())
    compare(f"{'check' if check else 'final'}_{fleet}_{columns}", terminal.scroll)
    assert "hunter2" not in terminal.getvalue()
    assert not terminal.hides_cursor()


@pytest.mark.parametrize(("columns", "lines"), [(20, 2), (40, 5), (80, 8), (10, 24), (60, 400)])
@pytest.mark.parametrize("fleet", FLEETS)
def test_no_terminal_is_too_small(fleet: str, lines: int, columns: int) -> None:
    terminal = Terminal(columns, lines)
    with live(terminal) as listener:
        feed(listener, Story(hosts=FLEETS[fleet]).half())
        for _ in range(3):
            listener.on_event(HostNotice(run=RUN, time=at(20), host="x", message="y"))
            listener.draw()
        notices, _, shown = terminal.scroll.partition("node.prepare")
        assert notices.count("x: y\n") == 3
        assert "node.prepare" not in shown
        assert len(terminal.seen.splitlines()) <= lines


def test_an_interrupt_is_told_and_the_terminal_is_given_back() -> None:
    terminal = Terminal()
    with live(terminal) as listener:
        feed(listener, Story(hosts=THREE).half())
        listener.draw()
        assert terminal.hides_cursor()
        listener.on_event(RunInterrupted(run=RUN, time=at(20)))
        listener.draw()
        assert "Ctrl-C again" in terminal.seen
    assert not terminal.hides_cursor()
    assert terminal.seen.strip() == "lab1: accepted the new host key SHA256:0l2x…"


def test_output_stands_above_the_display_with_its_host() -> None:
    terminal = Terminal()
    with live(terminal, Look(verbose=1, columns=80)) as listener:
        listener.on_event(Story(hosts=("a", "b")).started())
        for host in ("a", "b"):
            listener.on_event(HostStarted(run=RUN, time=at(1), host=host))
            listener.on_event(HostConnected(run=RUN, time=at(2), host=host))
            listener.on_event(said(host, "one\n\x1b[2Jtwo\n"))
            listener.draw()
        assert terminal.seen.splitlines()[:4] == [
            "a | one",
            "a | �[2Jtwo",
            "b | one",
            "b | �[2Jtwo",
        ]
        assert terminal.seen.splitlines()[-1].split() == ["b", "working", "19", "s", "�[2Jtwo"]


def test_the_last_line_of_a_command_is_seen_without_asking_for_all_of_them() -> None:
    terminal = Terminal()
    with live(terminal) as listener:
        listener.on_event(Story(hosts=("a",)).started())
        listener.on_event(HostStarted(run=RUN, time=at(1), host="a"))
        listener.on_event(said("a", "one\ntwo\n"))
        listener.draw()
        assert terminal.seen.splitlines()[-1].endswith("two")
        assert "one\n" not in terminal.seen


def test_nothing_is_written_while_nothing_changes() -> None:
    terminal = Terminal()
    with live(terminal) as listener:
        feed(listener, Story(hosts=MANY).half())
        listener.draw()
        before = terminal.getvalue()
        listener.draw()
        assert terminal.getvalue() == before


def test_colours_are_written_only_where_they_are_wanted() -> None:
    for colour in (False, True):
        terminal = Terminal()
        with live(terminal, Look(columns=80, colour=colour)) as listener:
            feed(listener, Story(hosts=THREE).half())
            listener.draw()
            feed(listener, Story(hosts=THREE).rest())
        assert ("\x1b[31m" in terminal.getvalue()) is colour


def test_rich_is_loaded_by_the_first_drawing_only() -> None:
    script = (
        "import sys\n"
        "from kubexm.ui import Live, Look\n"
        "from tests.unit.ui.story import THREE, Story\n"
        "from tests.unit.ui.terminal import Terminal\n"
        "terminal = Terminal()\n"
        "with Live(terminal, terminal, Look(), interval_s=0, size=(80, 24)) as listener:\n"
        "    for event in Story(hosts=THREE).half(): listener.on_event(event)\n"
        "    before = 'rich' in sys.modules\n"
        "    listener.draw()\n"
        "print(before, 'rich' in sys.modules)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]


def said(host: str, text: str) -> OutputReceived:
    return OutputReceived(run=RUN, time=at(3), host=host, stream="stdout", text=text)
