"""Files and directories between this machine and a host, over the host's session.

In: a `Source` of this machine, or a path of the host. Out: a `Transfer` that says what moved.
Content goes through the session's own pipes, so that every transport and every privilege has it;
it is read from disk while it is sent, checked by SHA-256, and put in place at once.
"""

from kubexm.runner.transfer.get import get
from kubexm.runner.transfer.model import Progress, PutOptions, Transfer
from kubexm.runner.transfer.put import put
from kubexm.runner.transfer.source import Entry, EntryKind, Source

__all__ = [
    "Entry",
    "EntryKind",
    "Progress",
    "PutOptions",
    "Source",
    "Transfer",
    "get",
    "put",
]
