"""`inv node.*`: the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.collection import Collection

from kubexm.tasks.flags import fleet_task

if TYPE_CHECKING:
    from kubexm.tasks.fleet import Fleet


@fleet_task
def prepare(fleet: Fleet) -> None:
    """Make machines ready for Kubernetes: kernel, swap, names, packages, services."""
    from kubexm.profiles import prepare as plan

    fleet.run(plan(fleet.inventory, fleet.hosts))


ns = Collection("node")
ns.add_task(prepare)
