"""File content, with mode and owner."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from kubexm.errors import HostError
from kubexm.runner import Change
from kubexm.runner.operations import FileContent
from kubexm.shell import FILE, Reply, Script
from kubexm_linux.state import (
    CONTENT_LIMIT,
    Kind,
    PathState,
    attributes,
    probe_state,
    read_state,
    state_diff,
)

if TYPE_CHECKING:
    from kubexm.facts import Facts


class FileContents:
    """`FileContent` on any Linux: POSIX tools and GNU or busybox stat."""

    operation = FileContent

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: FileContent, facts: Facts) -> Script:
        """See `Handler.probe`; a secret's content is never sent back, only its digest."""
        del facts
        limit = _limit(op)
        return probe_state(op.path, limit=limit, known=_known(op, limit))

    def read(self, op: FileContent, reply: Reply, facts: Facts) -> PathState:
        """See `Handler.read`."""
        del facts
        limit, owners = _limit(op), {"owner": op.owner, "group": op.group}
        return read_state(op.path, reply, limit=limit, known=_known(op, limit), **owners)

    def change(self, op: FileContent, state: PathState, facts: Facts) -> Change[PathState] | None:
        """See `Handler.change`."""
        after = self._wanted(op, state, facts)
        if state == after:
            return None
        if state.kind not in (Kind.FILE, Kind.ABSENT):
            raise HostError(
                f"{op.path} is a {state.kind} link"
                if state.kind is Kind.DANGLING
                else f"{op.path} is not a regular file but a {state.kind}",
                hint="remove it first, or choose another path",
            )
        wanted = (op.path, op.mode, op.owner, op.group)
        if state.digest == after.digest:
            script = FILE.call("kx_attributes", *attributes(*wanted))
        else:
            words = attributes(*wanted, op.validate)
            script = FILE.call("kx_replace", *words, payload=op.data, in_variable=True)
        return Change(
            before=state, after=after, script=script, diff=state_diff(op.path, state, after)
        )

    def _wanted(self, op: FileContent, state: PathState, facts: Facts) -> PathState:
        data = op.data
        digest = hashlib.sha256(data).hexdigest()
        shown = data if len(data) <= _limit(op) else None
        return replace(
            state,
            kind=Kind.FILE,
            mode=op.mode,
            owner=op.owner or state.owner or facts.user,
            group=op.group or state.group or facts.group,
            digest=digest,
            content=shown,
        )


def _limit(op: FileContent) -> int:
    return -1 if op.is_secret else CONTENT_LIMIT


def _known(op: FileContent, limit: int) -> bytes | None:
    """The wanted content, unless it is never answered anyway."""
    data = op.data
    return data if len(data) <= limit else None
