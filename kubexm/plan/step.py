"""Steps: what to do on which hosts, and the policy for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kubexm.errors import PlanError
from kubexm.plan.amount import Amount, checked
from kubexm.plan.context import StepContext
from kubexm.runner import Operation, Procedure

if TYPE_CHECKING:
    from kubexm.runner import Outcome

Item: TypeAlias = Operation | Procedure
"""What a step asks of a host."""

Body: TypeAlias = tuple[Item, ...] | Callable[[StepContext], Iterable[Item]]
"""Items in order, or a function that says which a host needs."""

Condition: TypeAlias = Callable[[StepContext], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A step that failed is tried again; what it had done already costs nothing.

    Args:
        times: At most so often after the first attempt.
        delay_s: Before the first repetition.
        backoff: Each later delay is so many times the one before.
        until: Looks at the outcomes of an attempt that did not fail; while it is false the
            step counts as failed.
    """

    times: int = 3
    delay_s: float = 1
    backoff: float = 2
    until: Callable[[tuple[Outcome, ...]], bool] | None = None

    def __post_init__(self) -> None:
        if self.times < 0 or self.delay_s < 0 or self.backoff < 1:
            message = f"not a way to try again: {self}"
            raise PlanError(message, hint="times and delay_s from 0, backoff from 1")

    def delay_before(self, repetition: int) -> float:
        """Seconds to wait before a repetition, counted from 1."""
        return self.delay_s * self.backoff ** (repetition - 1)


NO_RETRY = Retry(times=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One named part of a plan.

    Args:
        name: Unique among its neighbours; `--only` and `--skip` take it.
        body: Operations and procedures, or a function that says which a host needs.
        selector: Which hosts, in the words of `--limit`; the default is every host.
        needs: Steps that must be done on the same host; `None` stands for all before it. A
            step that names its needs goes on when something else has failed.
        awaits: Steps that must be done on all their hosts before this one begins on any: a
            barrier.
        when: Whether a host needs it; asked when its turn comes.
        waves: Hosts take the step in rolling parts of these sizes, the last one repeated; the
            next part begins when the one before is through. Empty: everybody at once.
        max_fail: So many of its hosts may fail before the next wave, or a step that awaits it,
            is called off.
        retry: Whether and how a failure is tried again.
        timeout_s: For the step on one host, repetitions included; 0 for none.
        run_once: On the first of its hosts only.
        on_change: What is owed when the step has changed a host (a restart). Of several steps
            that owe the same it is done once, when those that share round trips are through.
        undo: Takes the step back; see `Plan.undone`.
        tags: Further words for `--only` and `--skip`.

    Raises:
        PlanError: A number makes no sense.
    """

    name: str
    body: Body
    selector: str = "all"
    needs: tuple[str, ...] | None = None
    awaits: tuple[str, ...] = ()
    when: Condition | None = None
    waves: tuple[Amount, ...] = ()
    max_fail: Amount | None = None
    retry: Retry = NO_RETRY
    timeout_s: float = 0
    run_once: bool = False
    on_change: Body = ()
    undo: Body | None = None
    tags: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_policy(f"the step {self.name}", self.waves, self.max_fail, self.timeout_s)

    @property
    def stands_alone(self) -> bool:
        """Whether its policy keeps it from sharing round trips with its neighbours."""
        return self.timeout_s > 0 or self.retry.until is not None

    def items(self, context: StepContext) -> tuple[Item, ...]:
        """What the step asks of one host."""
        return items_of(self.body, context)


def items_of(body: Body, context: StepContext) -> tuple[Item, ...]:
    """What a body asks of one host."""
    return body if isinstance(body, tuple) else tuple(body(context))


def check_policy(
    name: str, waves: tuple[Amount, ...], max_fail: Amount | None, timeout_s: float
) -> None:
    """Refuse amounts and times that are none.

    Raises:
        PlanError: One is not.
    """
    for amount in waves:
        checked(amount, f"a wave of {name}", least=1)
    if max_fail is not None:
        checked(max_fail, f"max_fail of {name}", least=0)
    if not timeout_s >= 0:  # nor a NaN
        message = f"{name} has a timeout of {timeout_s:g} seconds"
        raise PlanError(message, hint="0 stands for none")
