"""Traces for OpenTelemetry: `--listener otlp`, in the OTLP file format.

A line is a `TracesData` in OTLP's JSON encoding, one for each run, as the collector's
`otlpjsonfile` receiver reads it. A run is a span, a host's part in it is its child, and each step
that a host took is a child of that.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from kubexm import __version__
from kubexm.engine import (
    Event,
    HostEnded,
    HostStarted,
    ListenerOptions,
    RunEnded,
    RunStarted,
    StepEnded,
)
from kubexm.engine.trace import Trace, parent
from kubexm.ui.file import place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from kubexm.engine import Listener
    from kubexm.errors import KubexmError

Json: TypeAlias = "dict[str, object]"

_INTERNAL = 1
_OK, _ERROR = 1, 2


class Otlp:
    """A listener that appends the spans of each run as one line.

    Args:
        options: The target is the file, to which all runs are appended; without one each run
            has a file in its own directory.
    """

    def __init__(self, options: ListenerOptions) -> None:
        self._options = options
        if options.target:
            place.append(Path(options.target)).close()
        self._spans: list[Json] = []
        self._hosts: dict[str, datetime] = {}
        self._began: datetime | None = None
        self._plan = ""

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        match event:
            case RunStarted(time=time, plan=plan):
                self._began, self._plan = time, plan
                self._spans, self._hosts = [], {}
            case HostStarted(host=host, time=time):
                self._hosts[host] = time
            case StepEnded(host=host, report=report, time=time):
                self._add(
                    Trace(run=event.run, host=host, step=report.step),
                    report.step,
                    (time - timedelta(seconds=report.duration_s), time),
                    {"kubexm.status": report.status.value, "kubexm.reason": report.reason},
                    error=report.error,
                )
            case HostEnded(report=report, time=time):
                self._add(
                    Trace(run=event.run, host=report.host),
                    report.host,
                    (self._hosts.get(report.host, time), time),
                    {"kubexm.status": report.status.value, "kubexm.round_trips": report.trips},
                    error=report.error,
                )
            case RunEnded(report=report, time=time):
                code = int(report.exit_code())
                self._add(
                    Trace(run=event.run),
                    self._plan,
                    (self._began or time, time),
                    {"kubexm.check": report.check, "kubexm.exit_code": code},
                    failed=code != 0,
                )
                self._write(event.run)
            case _:
                pass

    def _add(
        self,
        trace: Trace,
        name: str,
        times: tuple[datetime, datetime],
        attributes: Mapping[str, str | int | bool],
        *,
        error: KubexmError | None = None,
        failed: bool = False,
    ) -> None:
        everything = {"kubexm.run": trace.run, "kubexm.host": trace.host, **attributes}
        status: Json = {"code": _ERROR if failed or error is not None else _OK}
        if error is not None:
            status["message"] = str(error)
        span: Json = {
            "traceId": trace.trace_id,
            "spanId": trace.span_id,
            "parentSpanId": _parent(trace),
            "name": name,
            "kind": _INTERNAL,
            "startTimeUnixNano": _nanoseconds(times[0]),
            "endTimeUnixNano": _nanoseconds(times[1]),
            "attributes": [_attribute(key, value) for key, value in everything.items() if value],
            "status": status,
        }
        self._spans.append(span)

    def _write(self, run: str) -> None:
        resource = {"service.name": "kubexm", "service.version": __version__}
        scope = {"scope": {"name": "kubexm", "version": __version__}, "spans": self._spans}
        found = {
            "resourceSpans": [
                {
                    "resource": {"attributes": [_attribute(*item) for item in resource.items()]},
                    "scopeSpans": [scope],
                }
            ]
        }
        target = self._options.target
        with place.append(Path(target) if target else self._options.file(run, "otlp.jsonl")) as out:
            out.write(f"{json.dumps(found)}\n")


def _parent(trace: Trace) -> str:
    """The span around it; of a run the one that TRACEPARENT names, if any."""
    if trace.step:
        return Trace(run=trace.run, host=trace.host).span_id
    if trace.host:
        return Trace(run=trace.run).span_id
    _, span = parent()
    return span


def _attribute(key: str, value: str | int | bool) -> Json:  # noqa: FBT001 - a value, not a switch
    """OTLP's JSON encoding: 64-bit integers are texts."""
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"stringValue": value}}


def _nanoseconds(time: datetime) -> str:
    return str(int(time.timestamp() * 1_000_000) * 1_000)


def plugin(options: ListenerOptions) -> Listener:
    """See `ListenerFactory`; the target is the file."""
    return Otlp(options)
