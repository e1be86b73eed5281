"""What the live display shows of a board: lines that fit the terminal, without drawing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from kubexm.engine import HostStatus
from kubexm.ui.board import Board, Phase, Row
from kubexm.ui.look import COLOURS
from kubexm.ui.text import columns, cut, cut_middle, left, printable, right

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


class Span(NamedTuple):
    """A piece of a line in one colour ("" for the terminal's own)."""

    text: str
    colour: str = ""


Line: TypeAlias = tuple[Span, ...]

_STATE_COLUMNS = 12
_NUMBER_COLUMNS = 4
_TIME_COLUMNS = 6
_MINUTE, _HOUR = 60, 3600


def screen(board: Board, now: datetime, *, width: int, height: int) -> tuple[Line, ...]:
    """The lines to show at a moment.

    Every host has a row where that fits; otherwise numbers stand for most of them, and rows
    for those that failed last and those at work for the longest.

    Args:
        board: Of the run.
        now: The time, as the events have it.
        width: Of the terminal; no line is longer.
        height: Of the terminal; there are fewer lines, because the cursor stands below them.
    """
    head = [_title(board, now)]
    if board.interruption:
        head.append(Span(board.interruption))
    room = height - 1 - len(head)
    if len(board.rows) + 1 <= room:
        rows: Sequence[Row] = tuple(board.rows.values())
    else:
        head += _numbers(board)
        room = height - 1 - len(head)
        rows = _chosen(board, room - 1)
    lines: list[Line] = [(Span(cut(span.text, width), span.colour),) for span in head]
    if rows:
        lines += _table(rows, board, now, width)
    return tuple(lines[: max(1, height - 1)])


def _title(board: Board, now: datetime) -> Span:
    check = ", check" if board.check else ""
    done = sum(board.counts[status] for status in HostStatus)
    spent = elapsed((now - board.began).total_seconds()) if board.began else ""
    return Span(f"{board.plan}{check}: {done} of {len(board.rows)} hosts done, {spent}")


def _numbers(board: Board) -> list[Span]:
    """Two lines, because all of it takes more than 80 columns."""

    def line(title: str, states: Iterable[Phase | HostStatus]) -> Span:
        parts = [f"{_word(state, board)} {board.counts[state]}" for state in states]
        return Span(f"{title}  {'  '.join(parts)}")

    ends = (HostStatus.OK, HostStatus.CHANGED, HostStatus.FAILED, HostStatus.UNREACHABLE)
    return [line("to do", Phase), line("done ", ends)]


def _chosen(board: Board, room: int) -> tuple[Row, ...]:
    """Half of the room at most for what failed, unless what is at work leaves more."""
    if room <= 0:
        return ()
    bad = min(len(board.failing), max(room // 2, room - len(board.at_work)))
    working = tuple(board.at_work.values())[: room - bad]
    return (*board.failing[len(board.failing) - bad :], *working)


def _table(rows: Sequence[Row], board: Board, now: datetime, width: int) -> list[Line]:
    names = min(max(columns(row.host) for row in rows), max(8, width * 3 // 10))
    numbers = _numbers_of(("ok", "chg", "fail")) if board.has_operations else ""
    title = f"{left('host', names)}  {left('state', _STATE_COLUMNS)}{numbers}  "
    title += right("time", _TIME_COLUMNS)
    room = width - len(title) - 2
    lines: list[Line] = [(Span(cut(title, width)),)]
    for row in rows:
        name = f"{left(cut_middle(printable(row.host), names), names)}  "
        state = left(_word(row.state, board), _STATE_COLUMNS)
        numbers = _numbers_of(_counts(row)) if board.has_operations else ""
        rest = f"{numbers}  {right(_time(row, now), _TIME_COLUMNS)}"
        if room > 0:
            colour = COLOURS.get(row.state.value, "")
            rest = f"{rest}  {cut(_said(row), room)}".rstrip()
            lines.append((Span(name), Span(state, colour), Span(rest)))
        else:
            lines.append((Span(cut(name + state + rest, width)),))
    return lines


def _numbers_of(cells: Iterable[str]) -> str:
    return "".join(f" {right(cell, _NUMBER_COLUMNS)}" for cell in cells)


def _word(state: Phase | HostStatus, board: Board) -> str:
    return "would change" if board.check and state is HostStatus.CHANGED else state.value


def _counts(row: Row) -> tuple[str, ...]:
    if not row.counts:
        return ("", "", "")
    failed = row.counts["failed"] + row.counts["unknown"]
    return tuple(str(number or "") for number in (row.counts["ok"], row.counts["changed"], failed))


def _time(row: Row, now: datetime) -> str:
    if row.report is not None:
        return elapsed(row.report.duration_s)
    return elapsed((now - row.began).total_seconds()) if row.began else ""


def _said(row: Row) -> str:
    """The error, else the last operation that did something, else what is at hand."""
    if row.report is not None and row.report.error is not None:
        said = str(row.report.error)
    elif row.last is not None:
        said = row.last.label
    else:
        said = row.said if row.report is None else ""
    return " ".join(printable(said).replace("\x1b", "").split())


def elapsed(seconds: float) -> str:
    """A time in at most six columns, exact enough to watch: "12 s", "3m05s", "1h02m"."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
