"""YAML → frozen values: which machines there are and how to reach them. No network, no templates.

In: a file of Ansible's YAML format, extra variables and the access flags of the command line.
Out: an `Inventory` of `Host`s, each with the `Endpoint` and `Escalation` that it comes to; or
every fault of the file at once, with line, column and what to do. The runtime opens the hosts.

The way through, all of it in `loader.load`: `source` (file → text), `document` (text → nodes),
`draft` (nodes → groups and hosts as written; `variable` and `value` check what is set, by the
table in `definition`), `hierarchy` and `inheritance` (→ `model`). Then `select` (`--limit`) and
`access` (command-line flags).
"""

from kubexm.inventory.access import AccessOverrides, override
from kubexm.inventory.definition import DEFINITIONS, Definition
from kubexm.inventory.loader import load
from kubexm.inventory.model import (
    BecomeMode,
    Group,
    Host,
    Inventory,
    MachineMode,
    Origin,
    control_node,
)
from kubexm.inventory.problem import InventoryErrors

__all__ = [
    "DEFINITIONS",
    "AccessOverrides",
    "BecomeMode",
    "Definition",
    "Group",
    "Host",
    "Inventory",
    "InventoryErrors",
    "MachineMode",
    "Origin",
    "control_node",
    "load",
    "override",
]
