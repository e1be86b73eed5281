"""JSON lines: one event a line, nothing else on the stream."""

from __future__ import annotations

import json
from typing import TextIO

from kubexm.engine import Event, OutputReceived, TransferProgressed, as_json
from kubexm.ui.stream import say


class JsonLines:
    """A listener that writes the schema `kubexm.event/1`.

    Args:
        out: Flushed after every line, so that a reader sees events as they happen.
        verbose: Above 0 also what commands print while they print it, and how far transfers
            have come; the end of a command has all of it in any case.
    """

    def __init__(self, out: TextIO, *, verbose: int = 0) -> None:
        self._out = out
        self._verbose = verbose

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        if isinstance(event, OutputReceived | TransferProgressed) and not self._verbose:
            return
        line = json.dumps(as_json(event), ensure_ascii=False)
        # a byte of a command line that is not UTF-8 has no place in JSON
        say(self._out, line.encode("utf-8", "replace").decode())
