"""The operations that kubexm ships, as values: what should be, never how.

In: plain arguments. Out: frozen values that a family's handlers understand. How a Debian or a
Red Hat host gets there is the handlers' business, in the packages under `plugins/`.
"""

from kubexm.runner.operations.account import UserAccount, UserGroup
from kubexm.runner.operations.clock import Timezone
from kubexm.runner.operations.command import CommandRun
from kubexm.runner.operations.file import (
    BlockInFile,
    Directory,
    FileContent,
    LineInFile,
    PathAbsent,
    SymbolicLink,
)
from kubexm.runner.operations.kernel import KernelModules, SwapOff, SysctlSettings
from kubexm.runner.operations.network import HostEntries, HostEntry, Hostname
from kubexm.runner.operations.package import PackagesInstalled, PackagesRemoved
from kubexm.runner.operations.service import Service

__all__ = [
    "BlockInFile",
    "CommandRun",
    "Directory",
    "FileContent",
    "HostEntries",
    "HostEntry",
    "Hostname",
    "KernelModules",
    "LineInFile",
    "PackagesInstalled",
    "PackagesRemoved",
    "PathAbsent",
    "Service",
    "SwapOff",
    "SymbolicLink",
    "SysctlSettings",
    "Timezone",
    "UserAccount",
    "UserGroup",
]
