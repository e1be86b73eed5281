"""The wire: scripts go in, replies come out, over one persistent `sh` per machine and user.

In: `Script` and `Guarded` values. Out: `Reply` and `GuardedReply` values, in order.
A connector (next layer up) supplies the `Process` whose three pipes carry the bytes.
"""

from kubexm.shell.content import Content, Slice, Slices
from kubexm.shell.elevation import elevate
from kubexm.shell.escalation import Become, Escalation
from kubexm.shell.frame import (
    BatchReply,
    Frame,
    Guarded,
    GuardedReply,
    Reply,
    Verdict,
    expectation,
)
from kubexm.shell.process import Exchange, Process
from kubexm.shell.script import Library, Script, is_plain, quote, quote_for_login
from kubexm.shell.session import FILE, LOCK, STATE, TRANSFER, OutputListener, Session

__all__ = [
    "FILE",
    "LOCK",
    "STATE",
    "TRANSFER",
    "BatchReply",
    "Become",
    "Content",
    "Escalation",
    "Exchange",
    "Frame",
    "Guarded",
    "GuardedReply",
    "Library",
    "OutputListener",
    "Process",
    "Reply",
    "Script",
    "Session",
    "Slice",
    "Slices",
    "Verdict",
    "elevate",
    "expectation",
    "is_plain",
    "quote",
    "quote_for_login",
]
