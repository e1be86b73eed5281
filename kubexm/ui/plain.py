"""Text for people: what cannot wait as it happens, and the rest when the run has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from kubexm.engine import (
    CommandEnded,
    Event,
    FactsRead,
    HostEnded,
    HostNotice,
    OutputReceived,
    RunEnded,
    RunInterrupted,
)
from kubexm.ui.look import Look
from kubexm.ui.stream import say
from kubexm.ui.summary import interruption, summary
from kubexm.ui.text import printable

if TYPE_CHECKING:
    from kubexm.facts import Facts


class Plain:
    """A listener that prints lines.

    What it writes to `out` is the same however the hosts' threads ran, apart from times and,
    under -v, from output that is shown while it comes.

    Args:
        out: For the results.
        err: For notices and failures as they happen, so that `out` can be piped.
        look: What is shown, and how.
    """

    def __init__(self, out: TextIO, err: TextIO, look: Look | None = None) -> None:
        self._out = out
        self._err = err
        self._look = look or Look()
        self._commands: dict[str, CommandEnded] = {}
        self._facts: dict[str, Facts] = {}

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        match event:
            case HostNotice():
                say(self._err, self.notice(event))
            case RunInterrupted():
                say(self._err, interruption(event))
            case OutputReceived() if self._look.verbose:
                self._write(self.output(event))
            case HostEnded() if event.report.error is not None:
                say(self._err, self._failed(event))
            case _:
                self.collect(event)

    def collect(self, event: Event) -> None:
        """Keep what the final text needs, and write it when the run has ended."""
        match event:
            case CommandEnded():
                self._commands[event.host] = event
            case FactsRead():
                self._facts[event.host] = event.facts
            case RunEnded():
                paragraphs = summary(
                    event.report, self._look, commands=self._commands, facts=self._facts
                )
                self._write("\n".join(paragraphs))
            case _:
                pass

    def notice(self, event: HostNotice) -> str:
        """A notice as a line."""
        return self._safe(f"{event.host}: {event.message}")

    def output(self, event: OutputReceived) -> str:
        """Lines that a command has printed, each with its host."""
        name = self._look.host(event.host)
        return "\n".join(f"{name} | {line}" for line in event.text.splitlines())

    def _failed(self, event: HostEnded) -> str:
        report = event.report
        labels = [outcome.label for _, outcome in report.outcomes if outcome.failed]
        said = f"{labels[0]}: failed" if labels else report.status.value
        return self._safe(f"! {report.host}: {said}")

    def _write(self, text: str) -> None:
        say(self._out, self._safe(text))

    def _safe(self, text: str) -> str:
        return text if self._look.columns is None else printable(text)
