"""Text for people, without a terminal: complete, in order, free of escape sequences."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from itertools import chain

import pytest

from kubexm.engine import (
    CommandEnded,
    Event,
    FactsRead,
    HostNotice,
    HostReport,
    HostStatus,
    OutputReceived,
    RunEnded,
    RunInterrupted,
    RunReport,
    as_json,
)
from kubexm.errors import CommandError, HostError
from kubexm.facts import Facts
from kubexm.runner import Outcome, Status
from kubexm.runner.operations import Directory
from kubexm.shell import Reply
from kubexm.ui import JsonLines, Look, Plain
from tests.unit.ui.story import MANY, PACKAGES, RUN, START, THREE, Story, at


def shown(*events: Event, look: Look | None = None) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    listener = Plain(out, err, look)
    for event in events:
        listener.on_event(event)
    return out.getvalue(), err.getvalue()


def ended(*hosts: HostReport, check: bool = False, interrupted: bool = False) -> RunEnded:
    report = RunReport(run=RUN, hosts=hosts, check=check, interrupted=interrupted, duration_s=1.25)
    return RunEnded(run=RUN, time=START, report=report)


def host(name: str, *outcomes: Outcome, error: HostError | None = None) -> HostReport:
    failed = HostStatus.FAILED if error else HostStatus.OK
    return HostReport(
        host=name, status=failed, outcomes=tuple(("s", o) for o in outcomes), error=error
    )


def changed(path: str, diff: str = "", stdout: str = "", stderr: str = "") -> Outcome:
    return Outcome(
        operation=Directory(path=path),
        status=Status.CHANGED,
        diff=diff,
        stdout=stdout,
        stderr=stderr,
    )


def answer(name: str, text: str, status: int = 0, *, truncated: bool = False) -> CommandEnded:
    reply = Reply(exit_status=status, stdout=text.encode(), truncated=truncated)
    return CommandEnded(run=RUN, time=at(4), host=name, command="c", reply=reply, duration_s=1)


def test_the_final_text_does_not_depend_on_the_hosts_pace() -> None:
    story = Story(hosts=MANY[:40], check=True)
    parts = [list(story.whole(number)) for number in range(40)]
    last = list(story.rest())[-1]
    look = Look(diff=True)
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(parts)  # noqa: S311 - an order, not a secret
        texts.add(shown(story.started(), *chain(*parts), last, look=look)[0])
    assert len(texts) == 1


def test_identical_changes_of_many_hosts_are_shown_once_with_all_their_names() -> None:
    event = ended(host("a", changed("/x", "-1\n+2\n")), host("b", changed("/x", "-1\n+2\n")))
    text, _ = shown(event, look=Look(diff=True))
    assert text.startswith("~ a, b: directory /x: changed\n    -1\n    +2\n\nhost")


def test_changes_that_differ_stand_apart_at_the_place_of_their_operation() -> None:
    event = ended(
        host("a", changed("/x", "+1\n"), changed("/y", "+1\n")),
        host("b", changed("/x", "+2\n"), changed("/y", "+1\n")),
    )
    text, _ = shown(event)
    assert text.splitlines()[:3] == [
        "~ a: directory /x: changed",
        "~ b: directory /x: changed",
        "~ a, b: directory /y: changed",
    ]


def test_operations_of_single_hosts_stand_where_their_own_plan_has_them() -> None:
    event = ended(
        host("a", changed("/1"), changed("/own/a"), changed("/9")),
        host("b", changed("/1"), changed("/own/b"), changed("/9")),
        host("c", changed("/0"), changed("/9"), changed("/last")),
    )
    text, _ = shown(event)
    paths = [line.split()[-2].rstrip(":") for line in text.splitlines() if line.startswith("~")]
    assert paths == ["/1", "/own/a", "/own/b", "/0", "/9", "/last"]


def test_an_operation_that_comes_twice_in_a_step_is_shown_twice() -> None:
    text, _ = shown(ended(host("a", changed("/x", "+1\n"), changed("/x", "+2\n"))))
    assert text.count("~ a: directory /x: changed") == 2


@pytest.mark.parametrize(
    ("number", "said"),
    [(6, "n0, n1, n2, n3, n4, n5: "), (7, "all 7 hosts: "), (300, "all 300 hosts: ")],
)
def test_many_names_are_said_in_short(number: int, said: str) -> None:
    hosts = [host(f"n{n}", changed("/x")) for n in range(number)]
    assert shown(ended(*hosts))[0].startswith(f"~ {said}directory /x: changed\n")


def test_names_are_told_by_who_is_missing_when_these_are_few() -> None:
    hosts = [host(f"n{n}", *([] if n in (3, 5) else [changed("/x")])) for n in range(20)]
    assert shown(ended(*hosts))[0].startswith("~ all 20 hosts but n3, n5: directory /x: changed\n")
    hosts = [host(f"n{n}", *([] if n % 2 else [changed("/x")])) for n in range(20)]
    assert shown(ended(*hosts))[0].startswith("~ n0, n2, n4 and 7 more: directory /x")
    text, _ = shown(ended(*hosts), look=Look(verbose=1))
    assert text.startswith("~ n0, n2, n4, n6, n8, n10, n12, n14, n16, n18: directory /x")


def test_every_failed_host_is_named_with_its_error_however_many_there_are() -> None:
    errors = [HostError("no space left", hint="make some") for _ in MANY]
    reports = [host(name, error=error) for name, error in zip(MANY, errors, strict=True)]
    text, err = shown(ended(*reports))
    rows = text.split("\nhost ")[1].split("\n\n")[0].splitlines()[1:]
    assert [row.split()[0] for row in rows] == list(MANY)
    assert f"! {', '.join(MANY)}: no space left\n  hint: make some\n" in text
    assert text.count("hint:") == 1
    assert err == ""


def test_failures_are_told_at_once_beside_the_results() -> None:
    story = Story(hosts=THREE)
    text, err = shown(story.started(), *story.whole(1), *story.whole(2))
    assert text == ""
    assert err.splitlines() == [
        f"! {THREE[1]}: {PACKAGES.label()}: failed",
        f"! {THREE[2]}: unreachable",
    ]


def test_without_a_terminal_nothing_is_cut_or_coloured() -> None:
    name = f"{'very-' * 30}long"
    text, _ = shown(ended(host(name, changed(f"/{'x' * 300}"))))
    assert f"~ {name}: directory /{'x' * 300}: changed\n" in text
    assert "\x1b" not in text
    assert "…" not in text


def test_on_a_terminal_what_came_from_a_host_cannot_steer_it() -> None:
    event = ended(host("a", changed("/x", "+\x1b[2Jgone\x07\n+\x9b2J\n")))
    text, _ = shown(event, look=Look(diff=True, columns=80, colour=True))
    assert "+�[2Jgone�" in text
    assert "+�2J" in text
    assert "\x1b[33mchanged\x1b[0m" in text


def test_commands_that_answer_alike_share_their_answer() -> None:
    events = (answer("b", "6.1\n"), answer("c", "6.2\n"), answer("a", "6.1\n"))
    text, _ = shown(*events, ended(host("a"), host("b"), host("c")))
    assert text.startswith(
        "a, b: exit status 0\n    6.1\nc: exit status 0\n    6.2\n\nhost  status   time\n"
    )


def test_a_failed_commands_output_is_shown_once() -> None:
    error = CommandError("the command ended with exit status 7", exit_status=7, stdout="no good\n")
    text, _ = shown(answer("a", "no good\n", 7), ended(host("a", error=error)))
    assert text.count("no good") == 1
    assert "! a: the command ended with exit status 7\n" in text


def test_output_that_was_cut_is_said_to_be() -> None:
    text, _ = shown(answer("a", "x\n", truncated=True), ended(host("a")))
    assert "only the beginning" in text


def test_verbose_output_comes_line_by_line_with_its_host_and_not_again() -> None:
    one = OutputReceived(run=RUN, time=START, host="a", stream="stdout", text="one\ntwo\n")
    events = (one, replace(one, host="b"), answer("a", "one\ntwo\n"), ended(host("a")))
    assert "one" not in shown(*events[:2])[0]
    text, _ = shown(*events, look=Look(verbose=1))
    assert text.startswith("a | one\na | two\nb | one\nb | two\na: exit status 0\n\n")


def test_very_verbose_shows_what_changes_printed() -> None:
    reports = (
        host("a", changed("/x", stdout="done\n")),
        host("b", changed("/x", stdout="done\n")),
        host("c", changed("/x", stderr="other\n")),
    )
    assert "done" not in shown(ended(*reports), look=Look(verbose=1))[0]
    text, _ = shown(ended(*reports), look=Look(verbose=2))
    assert (
        "~ a, b: directory /x: changed\n    done\n~ c: directory /x: changed\n    other\n" in text
    )


def test_facts_are_shown_in_the_inventorys_order() -> None:
    events = [FactsRead(run=RUN, time=START, host=name, facts=Facts()) for name in ("b", "a")]
    text, _ = shown(*events, ended(host("a"), host("b")))
    assert text.index("a: {") < text.index("b: {")


def test_notices_and_an_interrupt_are_told_beside_the_results() -> None:
    notice = HostNotice(run=RUN, time=START, host="a", message="a new key")
    away = HostReport(host="a", status=HostStatus.INTERRUPTED)
    text, err = shown(notice, RunInterrupted(run=RUN, time=START), ended(away, interrupted=True))
    assert err.splitlines()[0] == "a: a new key"
    assert "Ctrl-C again" in err
    assert text.splitlines()[-2:] == [
        "interrupted: hosts marked so were not finished; run again to go on",
        "1 host: 1 interrupted; 1.2 s",
    ]


def test_what_the_encoding_does_not_have_is_replaced() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="latin-1")
    listener = Plain(out, out)
    listener.on_event(answer("узел", "主\n"))
    listener.on_event(ended(host("узел")))
    assert raw.getvalue().startswith(b"????: exit status 0\n    ?\n")


def test_json_has_output_as_it_comes_only_when_asked() -> None:
    event = OutputReceived(run=RUN, time=START, host="a", stream="stderr", text="x\n")
    for verbose, lines in ((0, 0), (1, 1)):
        out = io.StringIO()
        JsonLines(out, verbose=verbose).on_event(event)
        assert len(out.getvalue().splitlines()) == lines
    assert json.loads(out.getvalue()) == as_json(event)
    assert as_json(event)["stream"] == "stderr"
    assert as_json(event)["text"] == "x\n"
