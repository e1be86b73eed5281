"""Waiting until somebody listens."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import HostError
from kubexm.runner.procedure import Done, Procedure
from kubexm.shell import Script

if TYPE_CHECKING:
    from kubexm.runner.host import Host
    from kubexm.runner.operation import Scope

_PORTS = range(1, 65536)
_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForPort(Procedure):
    """A TCP port is listened on: on the host itself, or at an address that this machine reaches.

    Args:
        port: 1 to 65535.
        address: Empty looks at the host's own sockets, which needs no program there and sees
            listeners on its loopback too; an address is connected to from the control node.
        timeout_s: For how long.
        interval_s: Between two looks.
    """

    port: int
    address: str = ""
    timeout_s: float = 300
    interval_s: float = 1

    def __post_init__(self) -> None:
        if self.port not in _PORTS:
            message = f"not a TCP port: {self.port}"
            raise ValueError(message)

    def label(self) -> str:
        """See `Procedure.label`."""
        place = f"{self.address} " if self.address else ""
        return f"wait for {place}port {self.port}"

    @property
    def repeatable(self) -> bool:
        """Waiting changes nothing."""
        return True

    def alters(self) -> Scope:
        """Nothing."""
        return frozenset()

    def preview(self, host: Host) -> Done:
        """It would wait, and change nothing."""
        del host
        return Done(changed=False)

    def run(self, host: Host) -> Done:
        """See `Procedure.run`.

        Raises:
            HostError: Nobody listens when the time is up.
        """
        limit = time.monotonic() + self.timeout_s
        while not (self._answers() if self.address else self._is_listened_on(host)):
            left = limit - time.monotonic()
            if left <= 0:
                message = f"{self.label()}: nobody listens after {self.timeout_s:g} s"
                raise HostError(message, hint="look at the service that should, and at its log")
            host.pause(min(self.interval_s, left))
        return Done(changed=False)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), _CONNECT_S):
                return True
        except OSError:
            return False

    def _is_listened_on(self, host: Host) -> bool:
        """Whether /proc/net/tcp or tcp6 has a socket in state 0A, LISTEN (proc_net_tcp.txt)."""
        pattern = f"^ *[0-9]*: [0-9A-F]*:{self.port:04X} [0-9A-F]*:0000 0A "
        files = ("/proc/net/tcp", "/proc/net/tcp6")
        reply = host.session.ask(
            Script.command("grep", "-qs", pattern, *files), deadline_s=host.deadline_s
        )
        # grep exits 2 when a file is missing, as tcp6 is without IPv6
        if reply.exit_status not in (0, 1, 2):
            message = f"{self.label()}: {reply.stderr.decode('utf-8', 'replace')}"
            raise HostError(message)
        return reply.exit_status == 0
