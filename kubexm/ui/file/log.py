"""Structured logs: a JSON object a line, each with the ids of run, host, step and trace.

What happens in a run is in it as events, and so is what Python's logging gets from kubexm, its
plugins and libraries meanwhile.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Self, TextIO

from kubexm.engine import (
    Event,
    HostEnded,
    HostNotice,
    OperationEnded,
    OutputReceived,
    RunEnded,
    RunInterrupted,
    RunStarted,
    StepEnded,
    as_json,
)
from kubexm.engine.trace import Trace, current
from kubexm.errors import UsageError
from kubexm.ui.file import place
from kubexm.ui.stream import say

_NAME = "kubexm.run"
_KEPT = (
    "plan",
    "check",
    "hosts",
    "operation",
    "status",
    "changed",
    "failed",
    "reason",
    "owes",
    "exit_status",
    "duration_s",
    "trips",
    "error",
    "kind",
    "hint",
)
"""Of an event's keys: not its diffs and outputs, which would drown the rest."""


class LogLevel(StrEnum):
    """From which level on something is logged."""

    DEBUG = "debug"
    """Also what was so already, and what commands print."""
    INFO = "info"
    """Runs, hosts and changes."""
    WARNING = "warning"
    ERROR = "error"

    @property
    def number(self) -> int:
        """As Python's logging counts."""
        return logging.getLevelNamesMapping()[self.value.upper()]


class Log:
    """A listener, and the root logger's handler while it is entered.

    Args:
        target: A file, to which is appended; "-" is stderr.
        level: From which level on.

    Raises:
        UsageError: The file cannot be opened, or there is no such level.
    """

    def __init__(self, target: str, level: str = LogLevel.INFO) -> None:
        try:
            self._level = LogLevel(level.lower())
        except ValueError:
            message = f"the log level is one of {', '.join(LogLevel)}, not {level!r}"
            raise UsageError(message) from None
        self._handler = _handler(target)
        self._handler.setLevel(self._level.number)
        self._handler.setFormatter(_Lines())
        self._plan = ""

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._before = root.level
        # a root logger without handlers says warnings on stderr; with ours it must go on to
        self._others = [] if root.handlers or logging.lastResort is None else [logging.lastResort]
        for handler in (self._handler, *self._others):
            root.addHandler(handler)
        root.setLevel(min(root.level, self._level.number))
        return self

    def __exit__(self, *error: object) -> None:
        root = logging.getLogger()
        root.setLevel(self._before)
        for handler in (self._handler, *self._others):
            root.removeHandler(handler)
        self._handler.close()

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        level = _level(event)
        if level < self._handler.level:
            return
        found = as_json(event)
        record = logging.LogRecord(_NAME, level, "", 0, _message(event, found), None, None)
        record.created = event.time.timestamp()
        record.kubexm = {
            "event": found["event"],
            **_ids(Trace(run=event.run, host=_text(found, "host"), step=_text(found, "step"))),
            **{key: found[key] for key in _KEPT if key in found},
        }
        self._handler.handle(record)


class _Lines(logging.Formatter):
    """A record as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        found: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace = current()
        more = getattr(record, "kubexm", None)
        found |= more if isinstance(more, dict) else _ids(trace) if trace is not None else {}
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str)


def _ids(trace: Trace) -> dict[str, object]:
    ids = {
        "run": trace.run,
        "host": trace.host,
        "step": trace.step,
        "trace_id": trace.trace_id,
        "span_id": trace.span_id,
    }
    return {name: value for name, value in ids.items() if value}


def _level(event: Event) -> int:
    level = logging.DEBUG
    match event:
        case OperationEnded(outcome=outcome) if outcome.failed:
            level = logging.ERROR
        case StepEnded(report=report) if report.error is not None:
            level = logging.ERROR
        case HostEnded(report=report) if report.error is not None:
            level = logging.ERROR
        case RunInterrupted() | HostNotice():
            level = logging.WARNING
        case RunStarted() | RunEnded() | HostEnded():
            level = logging.INFO
        case OperationEnded(outcome=outcome) if outcome.changed:
            level = logging.INFO
        case _:
            pass
    return level


def _message(event: Event, found: dict[str, object]) -> str:
    said = f"{found['event']}"
    match event:
        case RunStarted():
            said = f"{event.plan} begins on {len(event.hosts)} hosts"
        case HostNotice():
            said = event.message
        case OperationEnded():
            said = f"{event.step}: {event.outcome.label}: {event.outcome.status.value}"
        case StepEnded(report=report):
            reason = f" ({report.reason})" if report.reason else ""
            said = f"{report.step}: {report.status.value}{reason}"
        case OutputReceived():
            said = f"{event.stream}: {event.text.rstrip()}"
        case HostEnded(report=report):
            said = f"{report.host}: {report.status.value}"
        case _:
            pass
    return said


def _text(found: dict[str, object], key: str) -> str:
    value = found.get(key, "")
    return value if isinstance(value, str) else ""


def _handler(target: str) -> logging.Handler:
    if target == "-":
        return logging.StreamHandler(sys.stderr)
    place.append(Path(target)).close()
    return _PrivateFile(target)


class _PrivateFile(WatchedFileHandler):
    """A file that may be rotated by others; the first fault that it has is told, and the last."""

    def _open(self) -> TextIO:  # type: ignore[override] # a file opened for text is one
        return place.append(Path(self.baseFilename))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that the log has ended, and end it: it never fails or floods a run."""
        del record
        self.setLevel(logging.CRITICAL + 1)
        say(sys.stderr, f"warning: the log {self.baseFilename} ends here: {sys.exception()}")
