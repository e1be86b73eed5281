"""Operations on one open host.

In: operations (values) and a `Host`. Out: an `Outcome` for each. `converge` does it in one
round trip when nothing changes and in two when something does. Handlers come from plugins.

All but `converge`, which is called as its module is, is loaded when it is first asked for.
"""

from typing import TYPE_CHECKING

from kubexm.lazy import lazily
from kubexm.runner.converge import check, converge

if TYPE_CHECKING:
    from kubexm.runner.command import CommandOptions, Commands, LoginShell, execute
    from kubexm.runner.decide import Pending
    from kubexm.runner.diff import fields_diff, text_diff
    from kubexm.runner.family import Catalogue, Family, OperationPlugin
    from kubexm.runner.host import Host
    from kubexm.runner.lock import HostLock
    from kubexm.runner.look import PathStatus
    from kubexm.runner.operation import (
        EVERYTHING,
        AnyHandler,
        Change,
        Handler,
        Notes,
        Operation,
        Scope,
        overlaps,
        scope,
    )
    from kubexm.runner.outcome import Outcome, Status, first_error
    from kubexm.runner.procedure import Done, Plain, Procedure
    from kubexm.runner.template import render
    from kubexm.runner.transfer import PutOptions, Source, Transfer

__all__ = [
    "EVERYTHING",
    "AnyHandler",
    "Catalogue",
    "Change",
    "CommandOptions",
    "Commands",
    "Done",
    "Family",
    "Handler",
    "Host",
    "HostLock",
    "LoginShell",
    "Notes",
    "Operation",
    "OperationPlugin",
    "Outcome",
    "PathStatus",
    "Pending",
    "Plain",
    "Procedure",
    "PutOptions",
    "Scope",
    "Source",
    "Status",
    "Transfer",
    "check",
    "converge",
    "execute",
    "fields_diff",
    "first_error",
    "overlaps",
    "render",
    "scope",
    "text_diff",
]

__getattr__ = lazily(
    __name__,
    {
        "command": "CommandOptions Commands LoginShell execute",
        "decide": "Pending",
        "diff": "fields_diff text_diff",
        "family": "Catalogue Family OperationPlugin",
        "host": "Host",
        "lock": "HostLock",
        "look": "PathStatus",
        "operation": "EVERYTHING AnyHandler Change Handler Notes Operation Scope overlaps scope",
        "outcome": "Outcome Status first_error",
        "procedure": "Done Plain Procedure",
        "template": "render",
        "transfer": "PutOptions Source Transfer",
    },
)
