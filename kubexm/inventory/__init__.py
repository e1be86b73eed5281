"""YAML → frozen values: which machines there are and how to reach them. No network.

In: sources (files of Ansible's YAML and INI formats, directories, programs, lists of hosts, what
plugins know), extra variables, passwords of Ansible Vault and the access flags of the command line.
Out: an `Inventory` of `Host`s, each with the `Endpoint` and `Escalation` that it comes to; or
every fault of every file at once, with line, column and what to do. The runtime opens the hosts.

The way through, all of it in `loader.load`: `source` and `sources` (what is named → documents, by
`document` or `ini`), `draft` (→ groups and hosts as written; `variable` and `value` check what is
set, by the table in `definition`), `adjacent` (`group_vars`, `host_vars`), `hierarchy`, `level` and
`inheritance` (→ `model`). A host's `variables` evaluate templates (`template`) and fetch secrets
(`sealed`, `safe`, `provider`, `vault`) when they are read. Then `select` (`--limit`) and `access`
(command-line flags).
"""

from kubexm.inventory.access import AccessOverrides, override
from kubexm.inventory.definition import DEFINITIONS, Definition
from kubexm.inventory.loader import load
from kubexm.inventory.model import (
    Assignment,
    BecomeMode,
    Group,
    Host,
    Inventory,
    MachineMode,
    Origin,
    control_node,
)
from kubexm.inventory.problem import InventoryErrors
from kubexm.inventory.safe import VaultKey, vault_key
from kubexm.inventory.sealed import Sealed
from kubexm.inventory.source import Document, Reading, Source
from kubexm.inventory.variables import Variables

__all__ = [
    "DEFINITIONS",
    "AccessOverrides",
    "Assignment",
    "BecomeMode",
    "Definition",
    "Document",
    "Group",
    "Host",
    "Inventory",
    "InventoryErrors",
    "MachineMode",
    "Origin",
    "Reading",
    "Sealed",
    "Source",
    "Variables",
    "VaultKey",
    "control_node",
    "load",
    "override",
    "vault_key",
]
