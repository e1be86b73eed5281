"""From an inventory to connected hosts with facts. No execution logic.

In: an `Inventory`, a selection and the settings of a run. Out: open `runner.Host`s, each for
as long as the engine holds it.
"""

from kubexm.runtime.directory import WorkDirectory
from kubexm.runtime.runtime import Privilege, Runtime, Settings, Unreachable, is_image

__all__ = ["Privilege", "Runtime", "Settings", "Unreachable", "WorkDirectory", "is_image"]
