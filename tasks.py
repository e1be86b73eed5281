"""The tasks of this checkout: kubexm's own, and those that only its contributors need."""

from kubexm.tasks import ns
from tests.benchmarks.tasks import bench
from tests.docs import ns as docs
from tests.lab.tasks import ns as lab
from tests.tasks import check_everything

__all__ = ["ns"]

ns.add_collection(docs, "docs")
ns.add_collection(lab, "lab")
ns.add_task(check_everything)
ns.add_task(bench)
