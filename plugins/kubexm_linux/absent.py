"""Paths with nothing there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.runner import Change
from kubexm.runner.operations import PathAbsent
from kubexm.shell import FILE, Reply, Script
from kubexm_linux.state import Kind, PathState, probe_state, read_state, state_diff

if TYPE_CHECKING:
    from kubexm.facts import Facts

_NO_CONTENT = -1
_NOTHING = PathState(kind=Kind.ABSENT)


class PathsAbsent:
    """`PathAbsent` on any Linux. A symbolic link is removed, not what it leads to."""

    operation = PathAbsent

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: PathAbsent, facts: Facts) -> Script:
        """See `Handler.probe`; what goes away may be a key, so its content is not answered."""
        del facts
        return probe_state(op.path, limit=_NO_CONTENT, follow=False)

    def read(self, op: PathAbsent, reply: Reply, facts: Facts) -> PathState:
        """See `Handler.read`."""
        del facts
        state = read_state(op.path, reply, limit=_NO_CONTENT)
        return _NOTHING if state.kind is Kind.ABSENT else state

    def change(self, op: PathAbsent, state: PathState, facts: Facts) -> Change[PathState] | None:
        """See `Handler.change`."""
        del facts
        if state == _NOTHING:
            return None
        return Change(
            before=state,
            after=_NOTHING,
            script=FILE.call("kx_remove", op.path),
            diff=state_diff(op.path, state, _NOTHING),
        )
