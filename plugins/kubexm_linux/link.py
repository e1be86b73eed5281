"""Symbolic links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import HostError, tail
from kubexm.runner import Change, fields_diff
from kubexm.runner.operations import SymbolicLink
from kubexm.shell import FILE, Reply, Script
from kubexm_linux.state import probe_state

if TYPE_CHECKING:
    from kubexm.facts import Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """Where a link points; "" when nothing is there."""

    target: str


class SymbolicLinks:
    """`SymbolicLink` on any Linux."""

    operation = SymbolicLink

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: SymbolicLink, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del facts
        return probe_state(op.path, limit=-1, follow=False)

    def read(self, op: SymbolicLink, reply: Reply, facts: Facts) -> LinkState:
        """See `Handler.read`.

        Raises:
            HostError: Something else is in the way.
        """
        del facts
        if reply.exit_status != 0:
            said = tail(reply.stderr.decode("utf-8", "replace")) or reply.exit_status
            message = f"cannot read {op.path}: {said}"
            raise HostError(message)
        head, _, target = reply.text.partition("\n")
        kind = head.partition(" ")[0]
        if kind == "absent":
            return LinkState(target="")
        if kind != "link":
            message = f"{op.path} is not a symbolic link but a {kind}"
            raise HostError(message, hint="remove it first, or choose another path")
        return LinkState(target=target.removesuffix("\n"))

    def change(self, op: SymbolicLink, state: LinkState, facts: Facts) -> Change[LinkState] | None:
        """See `Handler.change`."""
        del facts
        after = LinkState(target=op.target)
        if state == after:
            return None
        return Change(
            before=state,
            after=after,
            script=FILE.call("kx_link", op.path, op.target),
            diff=fields_diff(op.path, state, after),
        )
