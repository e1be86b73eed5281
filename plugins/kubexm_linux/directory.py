"""Directories, with mode and owner."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kubexm.errors import HostError
from kubexm.runner import Change
from kubexm.runner.operations import Directory
from kubexm.shell import FILE, Reply, Script
from kubexm_linux.state import Kind, PathState, attributes, probe_state, read_state, state_diff

if TYPE_CHECKING:
    from kubexm.facts import Facts

_NO_CONTENT = -1


class Directories:
    """`Directory` on any Linux; a symbolic link to a directory counts as one."""

    operation = Directory

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: Directory, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del facts
        return probe_state(op.path, limit=_NO_CONTENT)

    def read(self, op: Directory, reply: Reply, facts: Facts) -> PathState:
        """See `Handler.read`."""
        del facts
        return read_state(op.path, reply, limit=_NO_CONTENT, owner=op.owner, group=op.group)

    def change(self, op: Directory, state: PathState, facts: Facts) -> Change[PathState] | None:
        """See `Handler.change`.

        Raises:
            HostError: Something else is in the way.
        """
        if state.kind not in (Kind.DIRECTORY, Kind.ABSENT):
            message = f"{op.path} is not a directory but a {_called(state.kind)}"
            raise HostError(message, hint="remove it first, or choose another path")
        after = replace(
            state,
            kind=Kind.DIRECTORY,
            mode=op.mode,
            owner=op.owner or state.owner or facts.user,
            group=op.group or state.group or facts.group,
        )
        if state == after:
            return None
        return Change(
            before=state,
            after=after,
            script=FILE.call("kx_directory", *attributes(op.path, op.mode, op.owner, op.group)),
            diff=state_diff(op.path, state, after),
        )


def _called(kind: Kind) -> str:
    return "symbolic link that leads nowhere" if kind is Kind.DANGLING else kind.value
