"""Plans: what to do on which hosts, as data.

In: operations and selectors. Out: a `Plan`, which the engine walks. Nothing here does I/O.
"""

from kubexm.plan.model import Body, Cluster, Plain, Plan, Step, StepContext

__all__ = ["Body", "Cluster", "Plain", "Plan", "Step", "StepContext"]
