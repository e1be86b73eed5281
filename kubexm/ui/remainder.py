"""What a run has left undone: steps that were not begun, with the reason, and what is owed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.engine import StepStatus
from kubexm.ui.look import some

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubexm.engine import HostReport
    from kubexm.ui.look import Look

_LEFT_OUT = (StepStatus.SKIPPED, StepStatus.NOT_REACHED, StepStatus.UNPREDICTED)


def remainder(hosts: Sequence[HostReport], look: Look, everyone: Sequence[str]) -> Iterator[str]:
    """Every reason once, with its steps and hosts; then owed work.

    Args:
        hosts: In inventory order.
        look: How.
        everyone: All names.
    """
    left: dict[tuple[str, tuple[str, ...], StepStatus], list[str]] = {}
    owed: dict[tuple[str, ...], list[str]] = {}
    for host in hosts:
        mine: dict[tuple[str, StepStatus], list[str]] = {}
        for report in host.steps:
            if report.status in _LEFT_OUT:
                mine.setdefault((report.reason, report.status), []).append(report.step)
        for (reason, status), steps in mine.items():
            left.setdefault((reason, tuple(steps), status), []).append(host.host)
        if owing := tuple(report.step for report in host.steps if report.owes):
            owed.setdefault(owing, []).append(host.host)
    for (reason, names, status), where in left.items():
        who = look.who(where, everyone)
        yield look.fold(f"- {who}: {some(names)}: {status.value}: {reason}")
    for names, where in owed.items():
        who = look.who(where, everyone)
        yield look.fold(f"! {who}: {some(names)}: changed, and what that calls for is still owed")
