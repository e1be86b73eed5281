"""Listeners that write files, fed with a made-up run."""

from __future__ import annotations

import io
import json
import logging
import stat
import xml.etree.ElementTree as ET
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kubexm.engine import (
    Event,
    Listener,
    OperationEnded,
    RunEnded,
    StepEnded,
    StepReport,
    StepStatus,
    listener,
)
from kubexm.engine.trace import Trace, working_on
from kubexm.errors import UsageError
from kubexm.runner import Outcome, Status
from kubexm.runtime import WorkDirectory
from kubexm.ui.file.log import Log
from kubexm.ui.file.metrics import Metrics
from kubexm.ui.profile import Profile
from tests.unit.ui.story import CONFIGURATION, RUN, THREE, Story, at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SECRET = "hunter2"


def events() -> list[Event]:
    story = Story(hosts=THREE)
    return [*story.half(), *story.rest()]


def hear(heard: Listener, told: Iterable[Event]) -> None:
    with ExitStack() as stack:
        if isinstance(heard, AbstractContextManager):
            stack.enter_context(heard)
        for event in told:
            heard.on_event(event)


@pytest.fixture
def work(tmp_path: Path) -> WorkDirectory:
    return WorkDirectory(path=tmp_path / "work")


def test_every_listener_keeps_its_file_in_the_runs_directory_private(work: WorkDirectory) -> None:
    for name in ("json", "plain", "junit", "host-logs", "otlp"):
        hear(listener(name, work), events())
    files = [path for path in work.run(RUN).rglob("*") if path.is_file()]
    names = {path.relative_to(work.run(RUN)).parts[0] for path in files}
    assert names == {"events.jsonl", "report.txt", "junit.xml", "hosts", "otlp.jsonl"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in files} == {0o700}
    assert not [path for path in files if SECRET in path.read_text("utf-8")]


def test_a_target_that_is_named_is_appended_to(work: WorkDirectory, tmp_path: Path) -> None:
    target = tmp_path / "events.jsonl"
    for _ in range(2):
        hear(listener(f"json={target}", work), events())
    lines = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    assert [line["event"] for line in lines].count("run.ended") == 2


def document(path: Path) -> ET.Element:
    return ET.parse(path).getroot()  # noqa: S314 - our own


def test_junit_has_a_suite_for_each_host_and_a_case_for_each_operation(
    work: WorkDirectory, tmp_path: Path
) -> None:
    target = tmp_path / "junit.xml"
    hear(listener(f"junit={target}", work), events())
    suites = document(target)
    assert [suite.get("hostname") for suite in suites] == list(THREE)
    changed, failed, away = suites
    assert (changed.get("tests"), changed.get("failures"), changed.get("skipped")) == (
        "7",
        "0",
        "0",
    )
    assert (failed.get("tests"), failed.get("failures"), failed.get("skipped")) == ("7", "1", "2")
    assert (away.get("tests"), away.get("errors")) == ("1", "1")
    problem = failed.find("testcase/failure")
    assert problem is not None
    assert problem.get("type") == "CommandError"
    assert "404 Not Found" in (problem.text or "")


def test_junit_stays_xml_whatever_a_command_prints(work: WorkDirectory, tmp_path: Path) -> None:
    target = tmp_path / "junit.xml"
    story = Story(hosts=("h",))
    host = replace(
        story.host(0),
        outcomes=(
            (
                "s",
                Outcome(
                    operation=CONFIGURATION, status=Status.CHANGED, stdout="\x1b[1m<&]]>\x00\udcff"
                ),
            ),
        ),
    )
    ended = RunEnded(run=RUN, time=at(1), report=replace(story.report(), hosts=(host,)))
    hear(listener(f"junit={target}", work), [story.started(), ended])
    case = document(target).find("testsuite/testcase/system-out")
    assert case is not None
    assert case.text == "\ufffd[1m<&]]>\ufffd\ufffd"


def test_a_hosts_log_tells_its_part_alone(work: WorkDirectory, tmp_path: Path) -> None:
    hear(listener(f"host-logs={tmp_path / 'logs'}", work), events())
    log = (tmp_path / "logs" / "lab1.log").read_text("utf-8")
    assert "connected" in log
    assert f"kernel: {CONFIGURATION.label()}: changed" in log
    assert "    -vm.swappiness = 60" in log
    assert not [name for name in THREE[1:] if name in log]
    assert len(list((tmp_path / "logs").iterdir())) == 3


@pytest.mark.parametrize("name", ["json", "plain", "junit", "host-logs", "otlp"])
def test_a_target_that_cannot_be_written_is_told_before_anything_runs(
    work: WorkDirectory, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be"):
        listener(f"{name}={tmp_path / 'file' / 'x'}", work)


def test_a_listener_that_is_not_installed_is_told_with_those_that_are(work: WorkDirectory) -> None:
    with pytest.raises(UsageError, match="no listener 'junk'") as caught:
        listener("junk=x", work)
    assert "host-logs, json, junit, otlp, plain" in caught.value.hint


def test_traces_have_a_span_for_the_run_and_below_it_one_for_each_host_and_step(
    work: WorkDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{'a' * 32}-{'b' * 16}-01")
    step = StepReport(step="kernel", status=StepStatus.OK, duration_s=2)
    told = [*Story(hosts=THREE).half(), StepEnded(run=RUN, time=at(9), host="lab1", report=step)]
    hear(listener(f"otlp={tmp_path / 'spans'}", work), [*told, *Story(hosts=THREE).rest()])
    (line,) = logged(tmp_path / "spans")
    spans = json.loads(json.dumps(line))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    by_name = {span["name"]: span for span in spans}
    assert by_name.keys() == {"node.prepare", "kernel", *THREE}
    assert {span["traceId"] for span in spans} == {"a" * 32}
    run, host, kernel = by_name["node.prepare"], by_name["lab1"], by_name["kernel"]
    assert run["parentSpanId"] == "b" * 16
    assert (host["parentSpanId"], kernel["parentSpanId"]) == (run["spanId"], host["spanId"])
    assert int(kernel["endTimeUnixNano"]) - int(kernel["startTimeUnixNano"]) == 2_000_000_000
    assert [by_name[name]["status"]["code"] for name in THREE] == [1, 2, 2]


def test_metrics_count_runs_hosts_and_failed_steps(tmp_path: Path) -> None:
    target = tmp_path / "kubexm.prom"
    metrics = Metrics(str(target))
    for _ in range(2):
        hear(metrics, events())
    text = target.read_text("utf-8")
    for line in (
        'kubexm_runs_total{plan="node.prepare",check="false",exit_code="2"} 2',
        'kubexm_run_duration_seconds_sum{plan="node.prepare",check="false"} 126.8',
        'kubexm_step_failures_total{plan="node.prepare",step="packages"} 2',
        'kubexm_host_duration_seconds_count{plan="node.prepare",status="failed"} 2',
        'kubexm_hosts{plan="node.prepare",check="false",status="unreachable"} 1',
    ):
        assert f"{line}\n" in text
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["kubexm.prom"]


def logged(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_line_of_a_log_has_the_ids_of_run_and_trace(tmp_path: Path) -> None:
    target = tmp_path / "log"
    hear(Log(str(target), "debug"), events())
    lines = logged(target)
    assert {line["run"] for line in lines} == {RUN}
    assert {line["trace_id"] for line in lines} == {Trace(run=RUN).trace_id}
    operations = [line for line in lines if line["event"] == "operation.ended"]
    assert all(line["host"] and line["step"] for line in operations)
    assert {str(line["level"]) for line in lines} == {"debug", "info", "warning", "error"}
    assert SECRET not in target.read_text("utf-8")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_log_keeps_to_its_level(tmp_path: Path) -> None:
    hear(Log(str(tmp_path / "log"), "error"), events())
    assert {line["level"] for line in logged(tmp_path / "log")} == {"error"}
    with pytest.raises(UsageError, match="'loud'"):
        Log(str(tmp_path / "log"), "loud")


def test_what_libraries_log_meanwhile_is_in_it_with_what_the_thread_works_on(
    tmp_path: Path,
) -> None:
    logger = logging.getLogger("some.package")
    with Log(str(tmp_path / "log"), "info"), working_on(Trace(run="r", host="h")):
        try:
            int("a bug")
        except ValueError:
            logger.exception("it broke %s", "here")
        logger.debug("not this")
    logger.error("nor this")
    (line,) = logged(tmp_path / "log")
    assert (line["message"], line["run"], line["host"]) == ("it broke here", "r", "h")
    assert "ValueError: invalid literal" in str(line["traceback"])


def test_an_event_of_a_command_that_is_not_utf_8_does_not_end_a_log(tmp_path: Path) -> None:
    outcome = Outcome(operation=replace(CONFIGURATION, path="/\udcff"), status=Status.CHANGED)
    event = OperationEnded(run=RUN, time=at(0), host="h", step="s", outcome=outcome)
    hear(Log(str(tmp_path / "log")), [event])
    assert len(logged(tmp_path / "log")) == 1


def test_a_profile_names_the_slowest_hosts_first() -> None:
    out = io.StringIO()
    hear(Profile(out), events())
    hosts = out.getvalue().split("slowest hosts")[1].splitlines()[1:]
    assert hosts[0].split()[:3] == [THREE[1], "7.50", "s"]
