"""What is known about a machine: one script, one parse.

In: the reply to `script()`, and whether the inventory calls the machine an image. Out: `Facts`,
a frozen value. Next: the runner picks a family and handlers by them.
"""

from kubexm.facts.model import (
    Cgroup,
    DefaultAddress,
    Facts,
    Firewall,
    FreeSpace,
    Init,
    Interface,
    JsonValue,
    Machine,
    Mount,
    OperatingSystem,
    PackageManager,
    Selinux,
    Swap,
)
from kubexm.facts.parse import FACTS, parse, script

__all__ = [
    "FACTS",
    "Cgroup",
    "DefaultAddress",
    "Facts",
    "Firewall",
    "FreeSpace",
    "Init",
    "Interface",
    "JsonValue",
    "Machine",
    "Mount",
    "OperatingSystem",
    "PackageManager",
    "Selinux",
    "Swap",
    "parse",
    "script",
]
