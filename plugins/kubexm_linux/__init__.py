"""Any Linux: files, names, the kernel, systemd. The distributions' families extend this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.runner import Family
from kubexm_linux.absent import PathsAbsent
from kubexm_linux.account import Accounts, Groups
from kubexm_linux.block import BlocksInFiles
from kubexm_linux.command import Commands
from kubexm_linux.directory import Directories
from kubexm_linux.file import FileContents
from kubexm_linux.hostname import Hostnames
from kubexm_linux.hosts import HostsFile
from kubexm_linux.line import LinesInFiles
from kubexm_linux.link import SymbolicLinks
from kubexm_linux.modules import KernelModuleLists
from kubexm_linux.swap import NoSwap
from kubexm_linux.sysctl import KernelParameters
from kubexm_linux.systemd import SystemdServices
from kubexm_linux.timezone import Timezones

if TYPE_CHECKING:
    from kubexm.facts import Facts


def _match(facts: Facts) -> int:
    """A fallback for every Linux that no other family knows."""
    del facts
    return 1


family = Family(
    name="linux",
    match=_match,
    handlers=(
        FileContents(),
        Directories(),
        PathsAbsent(),
        LinesInFiles(),
        BlocksInFiles(),
        HostsFile(),
        Hostnames(),
        Commands(),
        KernelModuleLists(),
        KernelParameters(),
        NoSwap(),
        SystemdServices(),
        SymbolicLinks(),
        Groups(),
        Accounts(),
        Timezones(),
    ),
)
