"""A reboot, proved by the kernel's boot id."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.errors import (
    CommandError,
    ConnectError,
    DeadlineError,
    HostError,
    HostKeyError,
    UnreachableError,
)
from kubexm.runner.procedure import Done, Procedure
from kubexm.shell import Reply, Script

if TYPE_CHECKING:
    from kubexm.runner.host import Host

_REBOOT = Script("if [ -d /run/systemd/system ]; then systemctl reboot; else reboot; fi")
_ORDER_S = 60.0
_OWN_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboot(Procedure):
    """The host has booted again: it answers, and its boot id is another one.

    The session, sudo and the facts are made anew. Nothing is done to an image, which has not
    booted.

    Args:
        timeout_s: From the order to the first shell on the machine that has booted.
        interval_s: Between two attempts to connect.
    """

    timeout_s: float = 600
    interval_s: float = 1

    def label(self) -> str:
        """See `Procedure.label`."""
        return "reboot"

    @property
    def repeatable(self) -> bool:
        """A second reboot costs time and nothing else."""
        return True

    def preview(self, host: Host) -> Done:
        """See `Procedure.preview`."""
        if not host.facts.machine.is_booted:
            return Done(changed=False, notes=("not rebooted: nothing has booted here",))
        self._boot_id(host)
        return Done()

    def run(self, host: Host) -> Done:
        """See `Procedure.run`.

        Raises:
            CommandError: The host refused.
            UnreachableError: It did not come back in time.
        """
        foreseen = self.preview(host)
        if not foreseen.changed:
            return foreseen
        before = self._boot_id(host)
        began = time.monotonic()
        result = host.session.run((_REBOOT,), deadline_s=_ORDER_S)
        for reply in result.replies:
            if isinstance(reply, Reply) and reply.exit_status != 0:
                stderr = reply.stderr.decode("utf-8", "replace")
                message = f"the host refused to reboot (exit status {reply.exit_status})"
                raise CommandError(message, exit_status=reply.exit_status, stderr=stderr)
        self._wait(host, before, began + self.timeout_s)
        return Done(notes=(f"rebooted in {time.monotonic() - began:.0f} s",))

    def _wait(self, host: Host, before: str, limit: float) -> None:
        """Connect until the boot id has changed; an sshd on its way down still answers."""
        said = "the old system still answered"
        while time.monotonic() < limit:
            host.pause(self.interval_s)
            try:
                host.reconnect()
            except HostKeyError:
                raise
            except (ConnectError, DeadlineError) as error:
                said = str(error)
                continue
            if host.facts.boot_id not in ("", before):
                return
        message = f"the host was told to reboot and is not back after {self.timeout_s:g} s: {said}"
        raise UnreachableError(message, hint="look at its console")

    @staticmethod
    def _boot_id(host: Host) -> str:
        found = host.facts.boot_id
        if not found:
            message = "the host does not tell its boot id, so no reboot could be proved"
            raise HostError(message, hint="it needs /proc/sys/kernel/random/boot_id")
        if _OWN_BOOT_ID.exists() and _OWN_BOOT_ID.read_text().strip() == found:
            message = "this is the machine that kubexm runs on: it will not reboot itself"
            raise HostError(message, hint="leave it out with --limit")
        return found
