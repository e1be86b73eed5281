"""The texts that `--output` shows, written to a file: `--listener json` and `plain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

from kubexm.engine import Event, Listener, ListenerOptions, RunStarted
from kubexm.ui.file import place
from kubexm.ui.jsonl import JsonLines
from kubexm.ui.look import Look
from kubexm.ui.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Callable


class ToFile:
    """A listener that writes to a file what another one writes to a stream.

    Args:
        options: The target is the file, to which all runs are appended; without one each run
            has a file in its own directory.
        name: Of that file.
        inner: Makes the one that writes.
    """

    def __init__(
        self, options: ListenerOptions, name: str, inner: Callable[[TextIO], Listener]
    ) -> None:
        self._options = options
        self._name = name
        self._inner = inner
        self._out: TextIO | None = None
        self._writer: Listener | None = None
        if options.target:
            self._open(Path(options.target))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._out is not None:
            self._out.close()

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        if isinstance(event, RunStarted) and not self._options.target:
            self._open(self._options.file(event.run, self._name))
        if self._writer is not None:
            self._writer.on_event(event)

    def _open(self, path: Path) -> None:
        if self._out is not None:
            self._out.close()
        self._out = place.append(path)
        self._writer = self._inner(self._out)


def json(options: ListenerOptions) -> Listener:
    """JSON lines, with all that commands print."""
    return ToFile(options, "events.jsonl", lambda out: JsonLines(out, verbose=1))


def plain(options: ListenerOptions) -> Listener:
    """Text for people, with diffs."""
    return ToFile(options, "report.txt", lambda out: Plain(out, out, Look(diff=True)))
