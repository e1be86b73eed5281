"""A log for each host, with all that happened there: `--listener host-logs`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

from kubexm.engine import (
    CommandEnded,
    Event,
    HostConnected,
    HostEnded,
    HostNotice,
    HostStarted,
    HostWaiting,
    ListenerOptions,
    OperationEnded,
    OutputReceived,
    RunStarted,
    StepEnded,
    StepStatus,
)
from kubexm.errors import UsageError
from kubexm.ui.fault import explain
from kubexm.ui.file import place
from kubexm.ui.text import indent

if TYPE_CHECKING:
    from kubexm.engine import Listener
    from kubexm.runner import Outcome

_UNSAFE = re.compile(r"[^\w.@:+-]")


class HostLogs:
    """A listener that keeps a file for each host, 0600, open as long as the host is at work.

    Args:
        options: The target is a directory, to whose files all runs are appended; without one
            each run has a directory in its own.
    """

    def __init__(self, options: ListenerOptions) -> None:
        self._options = options
        self._directory = Path(options.target)
        self._files: dict[str, TextIO] = {}
        self._head = ""
        if options.target:
            try:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                message = f"{self._directory} cannot be made: {error.strerror}"
                raise UsageError(message, hint="name another directory") from error
            place.check(self._directory / "log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        match event:
            case RunStarted():
                check = ", check mode" if event.check else ""
                self._head = f"run {event.run}: {event.plan}{check}"
                if not self._options.target:
                    self._directory = self._options.directory.make("runs", event.run, "hosts")
            case HostStarted():
                self._say(event, event.host, self._head)
            case HostConnected():
                self._say(event, event.host, "connected")
            case HostNotice():
                self._say(event, event.host, event.message)
            case OperationEnded():
                self._say(event, event.host, _outcome(event.step, event.outcome))
            case StepEnded(report=report) if report.status not in (
                StepStatus.OK,
                StepStatus.CHANGED,
            ):
                fault = f"\n{indent(explain(report.error))}" if report.error is not None else ""
                reason = f": {report.reason}" if report.reason else ""
                said = f"{report.step}: step {report.status.value}{reason}{fault}"
                self._say(event, event.host, said)
            case HostWaiting():
                self._say(event, event.host, "waits for other hosts")
            case OutputReceived():
                self._say(event, event.host, f"{event.stream}\n{indent(event.text)}")
            case CommandEnded():
                status = event.reply.exit_status
                self._say(event, event.host, f"command: exit status {status}: {event.command}")
            case HostEnded(report=report):
                ended = f"{report.status.value} after {report.duration_s:.1f} s"
                fault = f"\n{indent(explain(report.error))}" if report.error is not None else ""
                self._say(event, report.host, ended + fault)
                self._files.pop(report.host).close()
            case _:
                pass

    def _say(self, event: Event, host: str, text: str) -> None:
        if host not in self._files:
            self._files[host] = place.append(self._directory / f"{_UNSAFE.sub('_', host)}.log")
        time = event.time.isoformat(timespec="milliseconds")
        self._files[host].write(f"{time} {text.rstrip()}\n")
        self._files[host].flush()


def _outcome(step: str, outcome: Outcome) -> str:
    took = f" ({outcome.duration_s:.3f} s)" if outcome.duration_s else ""
    said = [f"{step}: {outcome.label}: {outcome.status.value}{took}"]
    said += [indent(text) for text in (outcome.diff, outcome.stdout, outcome.stderr) if text]
    if outcome.error is not None:
        said.append(indent(explain(outcome.error)))
    return "\n".join(said)


def plugin(options: ListenerOptions) -> Listener:
    """See `ListenerFactory`; the target is a directory."""
    return HostLogs(options)
