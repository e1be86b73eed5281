"""A terminal in memory: what was written to it, and what is to be seen on it."""

from __future__ import annotations

import io

import pyte


class Terminal(io.StringIO):
    """A stream that is a terminal, as far as who writes to it can tell.

    Args:
        columns: Its width.
        lines: Its height.
    """

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        super().__init__()
        self.size = (columns, lines)
        self.screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=0.5)
        self.screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self.screen)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._stream.feed(text)
        return super().write(text)

    @property
    def seen(self) -> str:
        """What is to be seen, without blanks at the ends."""
        return _text(list(self.screen.display))

    def hides_cursor(self) -> bool:
        """Whether who looks at it sees no cursor."""
        return bool(self.screen.cursor.hidden)

    @property
    def scroll(self) -> str:
        """What is to be seen when one scrolls up as far as it goes."""
        past = [_line(line, self.size[0]) for line in self.screen.history.top]
        return _text([*past, *self.screen.display])


def _line(line: dict[int, pyte.screens.Char], columns: int) -> str:
    return "".join(line[column].data for column in range(columns))


def _text(lines: list[str]) -> str:
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"
