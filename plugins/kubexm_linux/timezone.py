"""The time zone: the link /etc/localtime (localtime(5)), and Debian's /etc/timezone beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kubexm.errors import HostError, UnmetError, tail
from kubexm.runner import Change, fields_diff
from kubexm.runner.operations import Timezone
from kubexm.shell import FILE, Library, Reply, Script

if TYPE_CHECKING:
    from kubexm.facts import Facts

CLOCK = Library.load("kubexm_linux", "clock", FILE)
"""Functions about the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimezoneState:
    """Where the zone is written.

    Args:
        localtime: What /etc/localtime links to; "" when there is none, "a file" when it is one.
        timezone: What /etc/timezone says; `None` when the machine has no such file.
    """

    localtime: str
    timezone: str | None = None


class Timezones:
    """`Timezone` on any Linux; it takes effect for programs that start from now on."""

    operation = Timezone

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: Timezone, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del facts
        return CLOCK.call("kx_zone_state", op.name)

    def read(self, op: Timezone, reply: Reply, facts: Facts) -> TimezoneState:
        """See `Handler.read`.

        Raises:
            UnmetError: The tz database has no such zone, or is not installed.
        """
        del facts
        if reply.exit_status != 0:
            said = tail(reply.stderr.decode("utf-8", "replace")) or reply.exit_status
            message = f"cannot read the time zone: {said}"
            raise HostError(message)
        shown = dict(line.partition("=")[::2] for line in reply.text.splitlines())
        state = TimezoneState(localtime=shown["localtime"], timezone=shown.get("timezone"))
        if shown["zone"] != "yes":
            message = f"there is no time zone {op.name} in /usr/share/zoneinfo"
            raise UnmetError(message, assumed=state, hint="check the name, or install tzdata")
        return state

    def change(
        self, op: Timezone, state: TimezoneState, facts: Facts
    ) -> Change[TimezoneState] | None:
        """See `Handler.change`."""
        del facts
        wanted = f"/usr/share/zoneinfo/{op.name}"
        # a relative link leads to the same place
        same = state.localtime.removeprefix("..") == wanted
        after = replace(
            state,
            localtime=state.localtime if same else wanted,
            timezone=None if state.timezone is None else op.name,
        )
        if after == state:
            return None
        script = CLOCK.call("kx_zone_set", op.name)
        return Change(
            before=state,
            after=after,
            script=script,
            diff=fields_diff("time zone", state, after),
        )
