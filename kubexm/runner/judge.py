"""From what the machine made of a guarded operation to its outcome: pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kubexm.errors import CommandError, NotConvergedError, UnstableError, tail
from kubexm.runner.decide import Decision, decide
from kubexm.runner.outcome import Outcome, Status
from kubexm.shell import GuardedReply, Reply, Verdict

if TYPE_CHECKING:
    from kubexm.facts import Facts
    from kubexm.runner.operation import Operation


def judge(decision: Decision, reply: GuardedReply, facts: Facts) -> Outcome:
    """The outcome of an operation that the machine attempted.

    Args:
        decision: What was to be done.
        reply: Neither stale nor skipped. Of a change that was to be read later, and was not, nobody
            knows what it came to.
        facts: Those on which its probe was made, whatever its change altered since.
    """
    match reply.verdict:
        case Verdict.SAME:
            return decision.outcome(Status.OK)
        case Verdict.UNMET:
            return decision.outcome(Status.FAILED, error=decision.error)
        case Verdict.FAILED if reply.change is not None:
            error = _command_error(decision.bound.op, reply.change)
            return _with_output(decision.outcome(Status.FAILED, error=error), reply.change)
        case Verdict.CHANGED if reply.change is not None and reply.reading is None:
            outcome = decision.outcome(Status.UNKNOWN)
            notes = ("the change ended well, and was not read again",)
            return _with_output(replace(outcome, notes=notes), reply.change)
        case Verdict.CHANGED if reply.change is not None and reply.reading is not None:
            after = decide(decision.bound, reply.reading, facts)
            outcome = (
                decision.outcome(Status.CHANGED)
                if after.settled
                else decision.outcome(Status.FAILED, error=_not_converged(decision, after))
            )
            shown = None if decision.is_secret else after.state
            return _with_output(replace(outcome, after=shown, notes=after.notes), reply.change)
        case _:
            message = f"no outcome for {reply.verdict}"
            raise AssertionError(message)


def unstable(decision: Decision, fresh: Reply) -> UnstableError:
    """The error about a reading that is another one each time, with the last two."""
    is_secret = decision.is_secret or fresh.secret
    shown = "" if is_secret else f":\n{_short(decision.reading)}\nthen\n{_short(fresh)}"
    return UnstableError(
        f"the reading of {decision.bound.op.label()} changes by itself{shown}",
        hint="something else on the host keeps changing it; stop that first",
    )


def _command_error(op: Operation, reply: Reply) -> CommandError:
    return CommandError(
        f"{op.label()}: the change failed with exit status {reply.exit_status}",
        exit_status=reply.exit_status,
        stdout="" if reply.secret else reply.text,
        stderr="" if reply.secret else reply.stderr.decode("utf-8", "replace"),
        operation=op.label(),
        hint="the output is secret; run the step by hand on the host" if reply.secret else "",
    )


def _not_converged(decision: Decision, after: Decision) -> NotConvergedError:
    op = decision.bound.op
    if decision.is_secret:
        shown = ""
    elif after.error is not None:
        shown = f": {after.error}"
    else:
        still = after.change.diff if after.change is not None else ""
        shown = f"; what is still missing:\n{still.rstrip()}"
    return NotConvergedError(
        f"{op.label()}: the change ran without error and the host is still not so{shown}",
        operation=op.label(),
        hint="something on the host undoes it, or the change does not do what it says",
    )


def _with_output(outcome: Outcome, reply: Reply) -> Outcome:
    if reply.secret:
        return outcome
    return replace(
        outcome,
        stdout=reply.text,
        stderr=reply.stderr.decode("utf-8", "replace"),
        exit_status=reply.exit_status,
    )


def _short(reply: Reply) -> str:
    return tail(reply.text) or f"(exit status {reply.exit_status})"
