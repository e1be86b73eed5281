"""Users and groups with shadow's tools (useradd(8), groupadd(8))."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kubexm.errors import HostError, tail
from kubexm.runner import Change, fields_diff
from kubexm.runner.operations import UserAccount, UserGroup
from kubexm.shell import Library, Reply, Script

if TYPE_CHECKING:
    from kubexm.facts import Facts

ACCOUNT = Library.load("kubexm_linux", "account")
"""Functions about users and groups."""

_CHOSEN = "chosen by the host"
"""What a prediction says of a number that the host picks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """A group; `gid` is "" when there is none."""

    gid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """A user; all fields are empty when there is none.

    Args:
        uid: Its number.
        group: The name of its primary group.
        groups: All its groups.
        home: Its home directory.
        shell: Its login shell.
    """

    uid: str = ""
    group: str = ""
    groups: frozenset[str] = frozenset()
    home: str = ""
    shell: str = ""


class Groups:
    """`UserGroup` where groupadd is installed."""

    operation = UserGroup

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`: groupadd comes with useradd."""
        return "useradd" in facts.tools

    def probe(self, op: UserGroup, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del facts
        return replace(ACCOUNT.call("kx_group_state", op.name), lasting=True)

    def read(self, op: UserGroup, reply: Reply, facts: Facts) -> GroupState:
        """See `Handler.read`."""
        del facts
        return GroupState(gid=_text(op.label(), reply).strip())

    def change(self, op: UserGroup, state: GroupState, facts: Facts) -> Change[GroupState] | None:
        """See `Handler.change`."""
        del facts
        wanted = "" if op.gid is None else str(op.gid)
        if state.gid and state.gid == (wanted or state.gid):
            return None
        number = ("-g", wanted) if wanted else ()
        system = ("-r",) if op.system else ()
        make = ("groupmod", *number) if state.gid else ("groupadd", *system, *number)
        after = GroupState(gid=wanted or _CHOSEN)
        return Change(
            before=state,
            after=after,
            script=Script.command(*make, op.name),
            diff=fields_diff(op.label(), state, after),
        )


class Accounts:
    """`UserAccount` where useradd is installed."""

    operation = UserAccount

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        return "useradd" in facts.tools

    def probe(self, op: UserAccount, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del facts
        return replace(ACCOUNT.call("kx_account_state", op.name), lasting=True)

    def read(self, op: UserAccount, reply: Reply, facts: Facts) -> AccountState:
        """See `Handler.read`."""
        del facts
        lines = _text(op.label(), reply).splitlines()
        if not lines:
            return AccountState()
        entry, groups = lines[0].split(":"), lines[1].split()
        return AccountState(
            uid=entry[1],
            group=groups[0],
            groups=frozenset(groups),
            home=entry[-2],
            shell=entry[-1],
        )

    def change(
        self, op: UserAccount, state: AccountState, facts: Facts
    ) -> Change[AccountState] | None:
        """See `Handler.change`."""
        del facts
        if not state.uid:
            return self._made(op, state)
        after = replace(
            state,
            uid=state.uid if op.uid is None else str(op.uid),
            group=op.group or state.group,
            groups=state.groups | op.groups | ({op.group} if op.group else frozenset()),
            home=op.home or state.home,
            shell=op.shell or state.shell,
        )
        if after == state:
            return None
        flags: list[str] = []
        for flag, was, will in (
            ("-u", state.uid, after.uid),
            ("-g", state.group, after.group),
            ("-d", state.home, after.home),
            ("-s", state.shell, after.shell),
        ):
            flags += [flag, will] if was != will else []
        missing = op.groups - state.groups
        flags += ["-a", "-G", ",".join(sorted(missing))] if missing else []
        return Change(
            before=state,
            after=after,
            script=Script.command("usermod", *flags, op.name),
            diff=fields_diff(op.label(), state, after),
        )

    def _made(self, op: UserAccount, state: AccountState) -> Change[AccountState]:
        after = AccountState(
            uid=_CHOSEN if op.uid is None else str(op.uid),
            group=op.group or op.name,
            groups=op.groups | {op.group or op.name},
            home=op.home or f"/home/{op.name}",
            shell=op.shell or _CHOSEN,
        )
        flags = ["-m"] if op.create_home else ["-M"]
        flags += ["-r"] if op.system else []
        flags += ["-u", str(op.uid)] if op.uid is not None else []
        # without a primary group of its own choice the user gets one of its name (login.defs(5))
        flags += ["-g", op.group] if op.group else ["-U"]
        flags += ["-G", ",".join(sorted(op.groups))] if op.groups else []
        flags += ["-d", after.home]
        flags += ["-s", op.shell] if op.shell else []
        return Change(
            before=state,
            after=after,
            script=Script.command("useradd", *flags, op.name),
            diff=fields_diff(op.label(), state, after),
        )


def _text(label: str, reply: Reply) -> str:
    if reply.exit_status != 0:
        said = tail(reply.stderr.decode("utf-8", "replace")) or reply.exit_status
        message = f"cannot read {label}: {said}"
        raise HostError(message)
    return reply.text
