"""JUnit's XML, which build servers show: `--listener junit`.

A host of a run is a suite, an operation is a case in the class of its step. What failed is a
failure, a host that could not be reached an error, what was not attempted is skipped.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from kubexm.engine import Event, HostStatus, ListenerOptions, RunEnded, RunStarted, StepStatus
from kubexm.runner import Status
from kubexm.ui.file import place

if TYPE_CHECKING:
    from datetime import datetime

    from kubexm.engine import HostReport, Listener, StepReport
    from kubexm.errors import KubexmError
    from kubexm.runner import Outcome

_ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0, section 2.2."""


class Junit:
    """A listener that writes one document with all runs of a task, anew after each of them."""

    def __init__(self, options: ListenerOptions) -> None:
        self._options = options
        self._path = place.check(Path(options.target)) if options.target else None
        self._suites = Element("testsuites", name="kubexm")
        self._plan = ""
        self._began: datetime | None = None

    def on_event(self, event: Event) -> None:
        """See `Listener.on_event`."""
        match event:
            case RunStarted():
                self._plan, self._began = event.plan, event.time
            case RunEnded(report=report, run=run):
                for host in report.hosts:
                    self._suite(host)
                path = self._path or self._options.file(run, "junit.xml")
                place.replace(path, _document(self._suites))
            case _:
                pass

    def _suite(self, host: HostReport) -> None:
        suite = SubElement(
            self._suites,
            "testsuite",
            name=_legal(f"{self._plan}.{host.host}"),
            hostname=_legal(host.host),
            time=f"{host.duration_s:.3f}",
        )
        if self._began is not None:
            suite.set("timestamp", self._began.isoformat(timespec="seconds"))
        for step, outcome in host.outcomes:
            _case(suite, step, outcome)
        told: list[KubexmError | None] = [outcome.error for _, outcome in host.outcomes]
        for report in host.steps:
            if report.error is not None and not any(error is report.error for error in told):
                told.append(report.error)
                _problem(_whole(suite, report), "failure", report.error)
            elif report.status in (StepStatus.SKIPPED, StepStatus.NOT_REACHED):
                SubElement(_whole(suite, report), "skipped", message=_legal(report.reason))
        if host.error is not None and not any(error is host.error for error in told):
            case = SubElement(suite, "testcase", classname="host", name=host.status.value)
            is_away = host.status is HostStatus.UNREACHABLE
            _problem(case, "error" if is_away else "failure", host.error)
        elif host.status is HostStatus.INTERRUPTED and not host.steps:
            case = SubElement(suite, "testcase", classname="host", name=host.status.value)
            SubElement(case, "skipped", message="the run was interrupted")
        cases = list(suite)
        suite.set("tests", str(len(cases)))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped",) * 2):
            suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))


def _case(suite: Element, step: str, outcome: Outcome) -> None:
    case = SubElement(
        suite,
        "testcase",
        classname=_legal(step),
        name=_legal(outcome.label),
        time=f"{outcome.duration_s:.3f}",
    )
    if outcome.failed:
        _problem(case, "failure", outcome.error, outcome.status.value)
    elif outcome.status is Status.SKIPPED:
        SubElement(case, "skipped", message="an operation before it failed")
    printed = "\n".join(part for part in (outcome.diff, outcome.stdout) if part)
    if printed:
        SubElement(case, "system-out").text = _legal(printed)
    if outcome.stderr:
        SubElement(case, "system-err").text = _legal(outcome.stderr)


def _whole(suite: Element, report: StepReport) -> Element:
    """A case for a step that none of its operations tells about."""
    return SubElement(suite, "testcase", classname=_legal(report.step), name="step")


def _problem(case: Element, tag: str, error: KubexmError | None, status: str = "") -> None:
    found = SubElement(case, tag)
    if error is None:
        found.set("message", status)
        return
    found.set("message", _legal(error.message))
    found.set("type", type(error).__name__)
    found.text = _legal(f"{error}\n{error.hint}".rstrip())


def _document(suites: Element) -> str:
    indent(suites)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{tostring(suites, encoding='unicode')}\n"


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)


def plugin(options: ListenerOptions) -> Listener:
    """See `ListenerFactory`; the target is the file."""
    return Junit(options)
