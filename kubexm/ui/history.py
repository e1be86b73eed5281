"""Runs of the past as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.engine.report import StepStatus
from kubexm.ui.look import SIGNS
from kubexm.ui.table import table
from kubexm.ui.text import indent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubexm.engine.journal import Comparison, OutcomeLine, RunLine, RunRecord, StepLine
    from kubexm.ui.look import Look

_QUIET = (StepStatus.OK, StepStatus.NOT_NEEDED, StepStatus.RESUMED)
_BEGUN = "begun"


def run_table(lines: Sequence[RunLine]) -> str:
    """A row for each run."""
    header = ("run", "task", "began (UTC)", "time", "hosts", "state", "owed")
    rows = [
        (
            line.run,
            f"{line.task or line.plan}{' --check' if line.check else ''}",
            f"{line.began:%Y-%m-%d %H:%M:%S}",
            "-" if line.duration_s is None else f"{line.duration_s:.1f} s",
            str(line.hosts),
            f"resumed by {line.resumed_by}" if line.resumed_by else line.state.value,
            str(line.owed or "-"),
        )
        for line in lines
    ]
    return table(header, rows, right=frozenset({3, 4, 6}))


def run_story(record: RunRecord, look: Look) -> Iterator[str]:
    """What a run came to, as lines: each step once for all hosts on which it went alike."""
    line = record.line
    everyone = [host.host for host in record.hosts]
    check = ", check mode" if line.check else ""
    yield f"run {line.run}: {line.task or line.plan}{check}, plan {line.plan}"
    took = "" if line.duration_s is None else f", {line.duration_s:.1f} s"
    yield f"began {line.began:%Y-%m-%d %H:%M:%S} UTC with {line.inventory}; {line.state}{took}"
    if line.resumes:
        yield f"went on with {line.resumes}"
    if line.resumed_by:
        yield f"has gone on as {line.resumed_by}"
    yield ""
    alike: dict[StepLine, list[str]] = {}
    for host in record.hosts:
        for step in host.steps:
            alike.setdefault(step, []).append(host.host)
    order = list(dict.fromkeys(step.step for host in record.hosts for step in host.steps))
    for step in sorted(alike, key=lambda line: order.index(line.step)):
        names = alike[step]
        if look.verbose or step.owed or step.status not in _QUIET:
            yield from _step(step, look.who(names, everyone), look, check=line.check)
    for host in record.hosts:
        if host.error and not any(step.error == host.error for step in host.steps):
            yield f"! {host.host}: {look.paint('failed', host.status)}: {host.error}"
            if host.hint:
                yield f"  hint: {host.hint}"
    yield ""
    rows = [
        (
            host.host,
            _word(host.status, check=line.check) or "not finished",
            *(str(sum(step.status == status for step in host.steps)) for status in _COUNTED),
            str(sum(step.owed for step in host.steps) or "-"),
        )
        for host in record.hosts
    ]
    counted = (
        "changes" if line.check and status is StepStatus.CHANGED else status.value
        for status in _COUNTED
    )
    header = ("host", "status", *counted, "owed")
    yield table(header, rows, right=frozenset(range(2, len(header))), most=look.columns)


_COUNTED = (StepStatus.OK, StepStatus.CHANGED, StepStatus.FAILED, StepStatus.UNKNOWN)
_SIGNS = {
    StepStatus.CHANGED.value: "~",
    StepStatus.FAILED.value: "!",
    StepStatus.UNKNOWN.value: "?",
    _BEGUN: "?",
    StepStatus.SKIPPED.value: "-",
    StepStatus.NOT_REACHED.value: "-",
}


def _word(status: str, *, check: bool) -> str:
    """A status as a run means it: a check changes nothing."""
    return "would change" if check and status == StepStatus.CHANGED else status


def _step(step: StepLine, who: str, look: Look, *, check: bool) -> Iterator[str]:
    word = "begun, and not seen to end" if step.status == _BEGUN else step.status
    word = _word(word, check=check)
    reason = f" ({step.reason})" if step.reason else ""
    carried = ", by the run before" if step.carried else ""
    owed = "; its restart or the like is owed" if step.owed else ""
    sign = _SIGNS.get(step.status, " ")
    yield f"{sign} {who}: {step.step}: {look.paint(step.status, word)}{carried}{reason}{owed}"
    for outcome in step.outcomes:
        yield from _outcome(outcome, look, check=check)
    if step.error and not any(outcome.error for outcome in step.outcomes):
        yield indent(step.error)
    if step.hint:
        yield f"    hint: {step.hint}"


def _outcome(outcome: OutcomeLine, look: Look, *, check: bool) -> Iterator[str]:
    sign = {status.value: sign for status, sign in SIGNS.items()}.get(outcome.status, " ")
    yield f"  {sign} {outcome.operation}: {_word(outcome.status, check=check)}"
    if outcome.error:
        yield indent(outcome.error)
    if look.diff:
        yield from _diff(outcome.diff, is_secret=outcome.is_secret)


def _diff(diff: str, *, is_secret: bool) -> Iterator[str]:
    if is_secret:
        yield "    (secret: not kept)"
    elif diff:
        yield indent(diff)


def drift_story(found: Comparison, before: RunLine, after: RunLine, look: Look) -> Iterator[str]:
    """What differs between two runs, as lines: each difference once for all hosts that have it."""
    yield f"- {before.run} {before.began:%Y-%m-%d %H:%M:%S} {_kind(before)}"
    yield f"+ {after.run} {after.began:%Y-%m-%d %H:%M:%S} {_kind(after)}"
    alike: dict[tuple[str, str, str, str, str, bool], list[str]] = {}
    for drift in found.drifts:
        shown = (
            drift.step,
            drift.operation,
            drift.before,
            drift.after,
            drift.diff,
            drift.is_secret,
        )
        alike.setdefault(shown, []).append(drift.host)
    everyone = list(dict.fromkeys(drift.host for drift in found.drifts))
    for (step, operation, was, now, diff, is_secret), names in alike.items():
        who = look.who(names, everyone) if look.verbose else ", ".join(map(look.host, names))
        changed = f"{was} -> {now}" if was != now else f"{now}, but otherwise"
        yield f"{who}: {step}: {operation}: {changed}"
        if look.diff:
            yield from _diff(diff, is_secret=is_secret)
    for host, reason in found.unseen:
        yield f"{host}: not compared: {reason}"
    if not found.drifts and not found.unseen:
        yield "no difference"


def _kind(line: RunLine) -> str:
    return "check" if line.check else "run"
