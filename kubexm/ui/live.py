"""A display that follows the run while it lasts, and leaves the final text behind."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TextIO

from kubexm.engine import Event, HostNotice, OutputReceived, RunEnded
from kubexm.ui.board import Board
from kubexm.ui.plain import Plain
from kubexm.ui.screen import Line, screen
from kubexm.ui.stream import say
from kubexm.ui.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.live import Live as RichLive
    from rich.text import Text

    from kubexm.ui.look import Look

_INTERVAL_S = 0.125
_HELD = 500
"""So many pieces of text wait for the next drawing; more of them are shown at once."""


def _now() -> datetime:
    return datetime.now(UTC)


class Live:
    """A listener for terminals: the run as it goes, then the same text as `Plain` writes.

    A context manager: leaving it gives the terminal back, whatever happened. Events only
    change the board; a thread of its own draws at most eight times a second, and only when
    what is to be seen has changed. `_lock` guards the board and what is held back, `_drawing`
    the display.

    Args:
        out: The terminal.
        err: For notices, where it is not the same terminal.
        look: For the final text; its colours are the display's too.
        clock: Tells the time as the events do.
        interval_s: Between two drawings; 0 leaves drawing to the caller.
        size: Columns and lines; `None` asks the terminal each time.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        look: Look,
        *,
        clock: Callable[[], datetime] = _now,
        interval_s: float = _INTERVAL_S,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._out = out
        self._err = err
        self._look = look
        self._clock = clock
        self._interval_s = interval_s
        self._size = size
        self._plain = Plain(out, err, look)
        self._board = Board()
        self._held: list[str] = []
        self._seen: tuple[Line, ...] = ()
        self._display: RichLive | None = None
        self._lock = threading.Lock()
        self._drawing = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw_on, name="kubexm-live", daemon=True)

    def __enter__(self) -> Self:
        if self._interval_s:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        match event:
            case HostNotice() if not self._err.isatty():
                say(self._err, self._plain.notice(event))
            case HostNotice():
                self._hold(self._plain.notice(event))
            case OutputReceived() if self._look.verbose:
                self._hold(self._plain.output(event))
            case RunEnded():
                self._close()
                self._plain.collect(event)
                return
            case _:
                self._plain.collect(event)
        with self._lock:
            self._board.on_event(event)

    def draw(self) -> None:
        """Show what has happened since the last time."""
        with self._drawing:
            if not self._over.is_set() and self._board.began is not None:
                self._show(self._started())

    def _draw_on(self) -> None:
        while not self._over.wait(self._interval_s):
            self.draw()

    def _started(self) -> RichLive:
        if self._display is None:
            from rich.console import Console
            from rich.live import Live as RichLive

            width, height = self._size or (None, None)
            console = Console(
                file=self._out,
                force_terminal=True,
                color_system="standard" if self._look.colour else None,
                width=width,
                height=height,
            )
            self._display = RichLive(
                console=console,
                auto_refresh=False,
                transient=True,
                redirect_stderr=self._err.isatty(),
            )
            self._display.start()
        return self._display

    def _show(self, display: RichLive) -> None:
        console = display.console
        with self._lock:
            held, self._held = self._held, []
            size = console.size
            lines = screen(self._board, self._clock(), width=size.width, height=size.height)
        if held:
            from rich.text import Text

            text = Text(printable("\n".join(held)))
            console.print(text, soft_wrap=True)
        if lines != self._seen:
            self._seen = lines
            display.update(_text(lines), refresh=True)

    def _hold(self, text: str) -> None:
        with self._lock:
            self._held.append(text)
            is_much = len(self._held) > _HELD
        if is_much:
            self.draw()

    def _close(self) -> None:
        """Take the display away; what was held back is written where it was."""
        self._over.set()
        with self._drawing:
            display, self._display = self._display, None
            if display is not None:
                display.stop()
            with self._lock:
                held, self._held = self._held, []
            if held:
                say(self._out, printable("\n".join(held)))


def _text(lines: tuple[Line, ...]) -> Text:
    from rich.text import Text

    shown = Text(no_wrap=True, overflow="crop", end="")
    for number, line in enumerate(lines):
        shown.append("\n" if number else "")
        for text, colour in line:
            shown.append(text, colour)
    return shown
