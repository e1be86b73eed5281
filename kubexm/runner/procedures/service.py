"""A restart, for `on_change`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import CommandError, UnsupportedError
from kubexm.facts import Init
from kubexm.runner.operations import Service
from kubexm.runner.procedure import Done, Procedure
from kubexm.shell import Script, quote

if TYPE_CHECKING:
    from kubexm.facts import Facts
    from kubexm.runner.host import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartService(Procedure):
    """A service was restarted and has stayed up; one that did not run is started.

    Where the reason is a file that the service reads, `Service(restarted_after=...)` says so
    as a state, which needs no memory of what changed.

    Args:
        name: With or without ".service".
    """

    name: str

    def __post_init__(self) -> None:
        Service(name=self.name)  # refuses what is not a name

    def label(self) -> str:
        """See `Procedure.label`."""
        return f"restart {self.name}"

    @property
    def repeatable(self) -> bool:
        """A second restart costs a moment and nothing else."""
        return True

    def preview(self, host: Host) -> Done:
        """See `Procedure.preview`."""
        if not host.facts.machine.is_booted:
            return Done(changed=False, notes=(f"{self.name}: nothing runs in an image",))
        return Done()

    def run(self, host: Host) -> Done:
        """See `Procedure.run`.

        Raises:
            CommandError: The service manager refused.
            HostError: The service died right after its start.
        """
        foreseen = self.preview(host)
        if not foreseen.changed:
            return foreseen
        reply = host.session.ask(self._script(host.facts), deadline_s=host.deadline_s)
        if reply.exit_status != 0:
            message = f"{self.label()} ended with exit status {reply.exit_status}"
            stderr = reply.stderr.decode("utf-8", "replace")
            raise CommandError(message, exit_status=reply.exit_status, stderr=stderr)
        host.apply(Service(name=self.name, enabled=None, running=True))
        return Done(stdout=reply.text)

    def _script(self, facts: Facts) -> Script:
        name = quote(self.name)
        match facts.init:
            case Init.SYSTEMD:
                stale = f"$(systemctl show -p NeedDaemonReload --value -- {name})"
                reload = f'[ "{stale}" != yes ] || systemctl daemon-reload'
                return Script(f"{reload}\nsystemctl --no-ask-password restart -- {name}")
            case Init.OPENRC:
                return Script(f"rc-service {name} restart")
            case Init.SYSVINIT:
                return Script(f"service {name} restart")
            case _:
                message = f"{self.label()}: no service manager is known here"
                raise UnsupportedError(message)
