"""Plans: what to do on which hosts, as data.

In: operations, procedures and selectors. Out: a `Plan`, which the engine walks. Nothing here
does I/O.
"""

from kubexm.plan.amount import Amount, checked, cut, exceeds
from kubexm.plan.context import RUN, Cluster, Shared, StepContext, UnpublishedError, Value, Values
from kubexm.plan.digest import digest
from kubexm.plan.model import Plan
from kubexm.plan.order import Limit, Placed, Rolling
from kubexm.plan.show import dot, tree
from kubexm.plan.step import NO_RETRY, Body, Condition, Item, Retry, Step, items_of

__all__ = [
    "NO_RETRY",
    "RUN",
    "Amount",
    "Body",
    "Cluster",
    "Condition",
    "Item",
    "Limit",
    "Placed",
    "Plan",
    "Retry",
    "Rolling",
    "Shared",
    "Step",
    "StepContext",
    "UnpublishedError",
    "Value",
    "Values",
    "checked",
    "cut",
    "digest",
    "dot",
    "exceeds",
    "items_of",
    "tree",
]
