"""Errors for people: what happened, on which hosts, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.errors import CommandError, KubexmError, tail
from kubexm.ui.text import indent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from kubexm.engine import HostReport
    from kubexm.ui.look import Look


def explain(error: KubexmError) -> str:
    """An error with its output's tail and the way out."""
    said = _said(error)
    return f"{said}\n  hint: {error.hint}" if error.hint else said


def faults(hosts: Iterable[HostReport], look: Look, shown: Collection[str]) -> Iterator[str]:
    """Every error once, with the names of all hosts that have it; one hint for its errors.

    Args:
        hosts: In inventory order.
        look: How.
        shown: Hosts whose command has been shown with all its output.
    """
    hints: dict[str, dict[str, list[str]]] = {}
    for host in hosts:
        for error, label in _errors(host):
            is_shown = isinstance(error, CommandError) and host.host in shown
            said = error.message if is_shown else _said(error)
            text = f"{label}: {said}" if label else said
            hints.setdefault(error.hint, {}).setdefault(text, []).append(host.host)
    for hint, texts in hints.items():
        yield ""
        for text, names in texts.items():
            first, *output = f"! {look.paint('failed', ', '.join(names))}: {text}".split("\n")
            yield "\n".join([look.fold(first), *output])
        if hint:
            yield look.fold(f"  hint: {hint}")


def _said(error: KubexmError) -> str:
    if not isinstance(error, CommandError):
        return str(error)
    output = tail(error.stderr) or tail(error.stdout)
    return f"{error.message}:\n{indent(output)}" if output else error.message


def _errors(host: HostReport) -> Iterator[tuple[KubexmError, str]]:
    """Every error of a host once, with the operation it belongs to."""
    seen: list[KubexmError] = []
    for _, outcome in host.outcomes:
        if outcome.error is not None:
            seen.append(outcome.error)
            label = "" if str(outcome.error).startswith(outcome.label) else outcome.label
            yield outcome.error, label
    for report in host.steps:
        if report.error is not None and not any(report.error is error for error in seen):
            seen.append(report.error)
            yield report.error, "" if report.step in str(report.error) else report.step
    if host.error is not None and not any(host.error is error for error in seen):
        yield host.error, ""
