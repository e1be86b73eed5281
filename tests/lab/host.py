"""A running host as tests see it, and the way in that needs neither ssh nor kubexm."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.lab.command import PATH, CommandError, LabError, run
from tests.lab.machine import Machine
from tests.lab.process import in_namespace_of, is_stopped, send

_POLL_S = 0.02
_SETTLED = frozenset({"running", "degraded"})


class Part(StrEnum):
    """What of a host `LabHost.freeze` stops."""

    SSHD = "sshd"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabHost:
    """One host of the laboratory.

    Attributes:
        machine: How it boots.
        private_key: A file with the key that logs in as root, nopass, asks and plain.
    """

    machine: Machine
    private_key: Path

    @property
    def name(self) -> str:
        """Its host name."""
        return self.machine.name

    @property
    def address(self) -> str:
        """Its address; sshd listens on port 22."""
        return self.machine.link.address

    @property
    def host_keys(self) -> tuple[str, ...]:
        """Its public host keys, each a type and a key in base64."""
        files = sorted((self.machine.own_files / "etc/ssh").glob("ssh_host_*_key.pub"))
        return tuple(" ".join(file.read_text("utf-8").split()[:2]) for file in files)

    @property
    def is_running(self) -> bool:
        """Whether its process 1 exists."""
        return self.machine.leader() is not None

    def exec(
        self,
        *argv: str,
        stdin: str = "",
        timeout_s: float = 60.0,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the host as root, by entering its namespaces.

        Args:
            argv: The program and its arguments; no shell reads them.
            stdin: What it reads.
            timeout_s: After this long it is killed.
            check: Whether a status other than 0 is an error.

        Raises:
            CommandError: The status was not 0, and `check` was asked for.
            LabError: The host is down.
            subprocess.TimeoutExpired: It took too long.
        """
        leader = self.machine.leader()
        if leader is None:
            message = f"{self.name} is down; its console: {self.machine.console}"
            raise LabError(message)
        environment = (f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb")
        enter = ("nsenter", "--target", str(leader), "--all", "env", "-i", *environment)
        return run(
            *enter, "DEBIAN_FRONTEND=noninteractive", *argv,
            stdin=stdin, timeout_s=timeout_s, check=check,
        )  # fmt: skip

    def boot_id(self) -> str:
        """The id of the present boot; systemd-nspawn gives every boot its own."""
        shown = self.exec("cat", "/proc/sys/kernel/random/boot_id", check=True, timeout_s=5)
        return shown.stdout.strip()

    def state(self) -> str:
        """What `systemctl is-system-running` says, or "down"."""
        if not self.is_running:
            return "down"
        try:
            return self.exec("systemctl", "is-system-running", timeout_s=5.0).stdout.strip()
        except (LabError, subprocess.TimeoutExpired):
            return "silent"

    def answers(self, timeout_s: float = 1.0) -> bool:
        """Whether an SSH server greets on port 22."""
        try:
            with socket.create_connection((self.address, 22), timeout_s) as connection:
                connection.settimeout(timeout_s)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def is_healthy(self) -> bool:
        """Whether it is up, settled and answers."""
        return self.is_running and self.answers() and self.state() in _SETTLED

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Wait until it answers on port 22 and systemd has settled.

        Raises:
            LabError: It did not, or it went down; the message ends with its console's last lines.
        """
        self._wait("ready", lambda: self.answers() and self.state() in _SETTLED, timeout_s)

    def wait_booted_since(self, boot_id: str, timeout_s: float = 30.0) -> None:
        """Wait until a later boot than the given one is ready.

        Raises:
            LabError: It did not come.
        """
        self._wait("rebooted", lambda: self._has_booted_since(boot_id), timeout_s)
        self.wait_ready(timeout_s)

    def reboot(self, timeout_s: float = 30.0) -> None:
        """Reboot from inside, and wait until the next boot is ready."""
        before = self.boot_id()
        # What runs in the host dies with it, the client of this request too.
        self.exec("systemctl", "reboot")
        self.wait_booted_since(before, timeout_s)

    def power_cycle(self, timeout_s: float = 30.0) -> None:
        """Pull the plug without a word, boot again with the same disk, and wait until ready."""
        self.machine.stop()
        self.start(timeout_s)

    def start(self, timeout_s: float = 30.0) -> None:
        """Boot a host that was powered off, and wait until it is ready."""
        self.machine.start()
        self.wait_ready(timeout_s)

    def reset(self, timeout_s: float = 30.0, *, new_identity: bool = False) -> None:
        """Throw all changes away, boot from a fresh disk, and wait until ready.

        Args:
            timeout_s: How long the boot may take.
            new_identity: Whether host keys and machine-id change, as after a reinstallation; the
                laboratory's known_hosts keeps the old keys until the next `Laboratory.up`.
        """
        self.machine.stop()
        self.machine.install(_public(self.private_key), new_identity=new_identity)
        self.start(timeout_s)

    def freeze(self, part: Part = Part.EVERYTHING) -> None:
        """Stop sshd with all its sessions, or every process, by SIGSTOP; the network stays up.

        What `exec` starts later runs, but systemd does not answer it in a host frozen whole.
        """
        while running := [pid for pid in self._processes(part) if not is_stopped(pid)]:
            for pid in running:
                send(pid, signal.SIGSTOP)
            time.sleep(0.002)

    def thaw(self) -> None:
        """Let everything that `freeze` stopped go on."""
        for pid in self._processes(Part.EVERYTHING):
            send(pid, signal.SIGCONT)

    def unplug(self) -> None:
        """Pull the network cable out: from now on packets are lost, nobody is told."""
        self.machine.link.plug(is_in=False)

    def plug(self) -> None:
        """Put the network cable back in."""
        self.machine.link.plug(is_in=True)

    def _processes(self, part: Part) -> tuple[int, ...]:
        leader = self.machine.leader()
        if leader is None:
            return ()
        everything = part is Part.EVERYTHING
        return tuple(pid for pid, name in in_namespace_of(leader) if everything or name == "sshd")

    def _has_booted_since(self, boot_id: str) -> bool:
        try:
            return self.boot_id() != boot_id
        except (CommandError, LabError, subprocess.TimeoutExpired):
            # it is going down: entering a host that ends may hang
            return False

    def _wait(self, state: str, is_so: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline:
                tail = self.machine.console.read_text("utf-8", "replace")[-1500:]
                message = f"{self.name} is not {state} after {timeout_s:g} s "
                message += f"(state: {self.state()}); its console ends: {tail}"
                raise LabError(message)
            time.sleep(_POLL_S)


def _public(private_key: Path) -> str:
    return private_key.with_suffix(".pub").read_text("utf-8").strip()
