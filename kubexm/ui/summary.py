"""The text at the end of a run: the same for every listener that writes for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kubexm.ui.fault import faults
from kubexm.ui.group import Group, grouped
from kubexm.ui.look import SIGNS, Look, some_of
from kubexm.ui.remainder import remainder
from kubexm.ui.tally import tally, total
from kubexm.ui.text import columns, cut, indent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kubexm.engine import CommandEnded, RunInterrupted, RunReport
    from kubexm.facts import Facts

_LEAST_LABEL = 24


def interruption(event: RunInterrupted) -> str:
    """What becomes of the hosts at work, as soon as somebody has typed Ctrl-C."""
    if event.at_once:
        return "interrupted: the hosts at work are dropped"
    return "interrupted: the hosts at work finish; Ctrl-C again drops them"


def summary(
    report: RunReport,
    look: Look,
    *,
    commands: Mapping[str, CommandEnded],
    facts: Mapping[str, Facts],
) -> Iterator[str]:
    """What the run came to: results, changes, the table, notes, errors, and the total.

    Args:
        report: Of the run.
        look: How much of it, and how.
        commands: What users' commands came to, by host.
        facts: What was read to be shown, by host.

    Yields:
        Paragraphs; the order rests on the plan and the inventory alone.
    """
    everyone = [host.host for host in report.hosts]
    yield from _commands(commands, look, everyone)
    yield from (
        f"{name}: {json.dumps(facts[name].to_dict(), indent=2)}"
        for name in everyone
        if name in facts
    )
    for group in grouped(report.hosts, unchanged=look.verbose > 0, output=look.verbose > 1):
        yield from _group(group, report, look, everyone)
    yield ""
    yield tally(report, look)
    yield from _notes(report, look, everyone)
    yield from faults(report.hosts, look, commands.keys())
    yield from remainder(report.hosts, look, everyone)
    yield ""
    if report.interrupted:
        yield "interrupted: hosts marked so were not finished; run again to go on"
    yield total(report)


def _commands(
    commands: Mapping[str, CommandEnded], look: Look, everyone: list[str]
) -> Iterator[str]:
    """Every answer once; under -v its output has been seen already, host by host."""
    answers: dict[tuple[int, bytes, bool], list[str]] = {}
    for name in everyone:
        if name in commands:
            reply = commands[name].reply
            output = b"" if look.verbose else reply.stdout + reply.stderr
            answers.setdefault((reply.exit_status, output, reply.truncated), []).append(name)
    for (status, output, truncated), names in answers.items():
        shown = look.paint("failed" if status else "ok", f"exit status {status}")
        yield f"{look.who(names, everyone)}: {shown}"
        if output:
            yield indent(output.decode("utf-8", "replace"))
        if truncated:
            yield "    (there was more; only the beginning is kept)"


def _group(group: Group, report: RunReport, look: Look, everyone: list[str]) -> Iterator[str]:
    outcome = group.outcome
    word = "would change" if report.check and outcome.changed else outcome.status.value
    start = f"{SIGNS[outcome.status]} {look.who(group.hosts, everyone)}: "
    label = group.label
    if look.columns is not None and not look.verbose:
        label = cut(label, max(_LEAST_LABEL, look.columns - columns(f"{start}: {word}")))
    line = f"{start}{label}: {look.paint(outcome.status.value, word)}"
    if outcome.rests_on:
        rests = f"(rests on {some_of(outcome.rests_on)})"
        is_wide = look.columns is not None and columns(f"{line}  {rests}") > look.columns
        line += f"\n    {rests}" if is_wide else f"  {rests}"
    yield line
    if look.diff and outcome.diff:
        yield indent(outcome.diff)
    elif look.diff and outcome.changed and outcome.operation.is_secret:
        yield "    (secret: not shown)"
    printed = outcome.stdout + outcome.stderr
    if look.verbose > 1 and printed:
        yield indent(printed)


def _notes(report: RunReport, look: Look, everyone: list[str]) -> Iterator[str]:
    notes: dict[str, dict[str, None]] = {}
    for host in report.hosts:
        for _, outcome in host.outcomes:
            for note in outcome.notes:
                notes.setdefault(note, {})[host.host] = None
    for note, names in notes.items():
        yield look.fold(f"note: {note} ({look.who(tuple(names), everyone)})")
