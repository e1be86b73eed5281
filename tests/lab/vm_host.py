"""A running virtual machine as tests see it, and the way in that has nothing of kubexm's."""

from __future__ import annotations

import fcntl
import shlex
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab import requirement
from tests.lab.cgroup import ControlGroup
from tests.lab.command import PATH, CommandError, LabError, run
from tests.lab.vm import LOOPBACK, VirtualMachine, free_port
from tests.lab.vm_image import ADDRESS, cached_virtual_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.laboratory import Laboratory

BOOT_S = 600.0
"""How long a boot may take: half a minute on an idle machine."""

_POLL_S = 0.5
_BOOT_ID = ("cat", "/proc/sys/kernel/random/boot_id")
_SETTLED = frozenset({"running", "degraded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualHost:
    """One virtual machine of a laboratory.

    Attributes:
        machine: How it boots.
    """

    machine: VirtualMachine

    @classmethod
    def all(cls, laboratory: Laboratory) -> tuple[VirtualHost, ...]:
        """The virtual machines that a laboratory has, in whatever state they are."""
        records = sorted(laboratory.directory.glob("vm*/vm.json"))
        return tuple(cls(machine=VirtualMachine.read(record.parent)) for record in records)

    @classmethod
    def fresh(cls, laboratory: Laboratory) -> VirtualHost:
        """The laboratory's virtual machine with fresh disks, off; `Laboratory.down` removes it.

        Raises:
            CommandError: A program failed, while the image was built for example.
            MissingError: This machine cannot carry a virtual machine.
        """
        requirement.provide_virtual()
        with _locked(laboratory):
            group = ControlGroup(name=f"kubexm-lab-{laboratory.number}/building")
            image = cached_virtual_image(group)
            machine = VirtualMachine(
                name="vm1",
                directory=laboratory.directory / "vm1",
                laboratory=laboratory.number,
                port=free_port(),
                image=image,
            )
            machine.stop()
            machine.install()
        return cls(machine=machine)

    @classmethod
    def up(cls, laboratory: Laboratory) -> VirtualHost:
        """The laboratory's virtual machine, booted; left as it is when it answers.

        Raises:
            LabError: It does not come up.
        """
        present = next((host for host in cls.all(laboratory) if host.is_healthy()), None)
        if present is not None:
            return present
        host = cls.fresh(laboratory)
        host.start()
        return host

    @property
    def name(self) -> str:
        """Its name in the laboratory, and its host name at first."""
        return self.machine.name

    @property
    def address(self) -> str:
        """Where its ssh server is reached, with `port`."""
        return LOOPBACK

    @property
    def port(self) -> int:
        """Leads to its port 22."""
        return self.machine.port

    @property
    def internal_address(self) -> str:
        """Its address as it knows it itself."""
        return ADDRESS

    @property
    def is_running(self) -> bool:
        """Whether it is switched on."""
        return self.machine.is_running

    def ssh_command(
        self, user: str = "root", *command: str, shared: bool = True
    ) -> tuple[str, ...]:
        """The system's ssh client, with the machine's key and no configuration of anybody's.

        Args:
            user: Whom to log in as.
            command: What to run; a login shell without one.
            shared: Go over the connection that is there, or leave one: a handshake costs an
                emulated processor a second.
        """
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "60",
            "ControlMaster": "auto" if shared else "no",
            "ControlPath": self._control if shared else "none",
            "ControlPersist": "60",
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlgorithms": "ssh-ed25519",
            "IdentitiesOnly": "yes",
            "KexAlgorithms": "curve25519-sha256",
            # qemu does not tell the client that the machine was reset.
            "ServerAliveCountMax": "4",
            "ServerAliveInterval": "15",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.machine.known_hosts),
        }
        flags = tuple(f"-o{name}={value}" for name, value in options.items())
        key = ("-F", "none", "-i", str(self.machine.private_key), "-p", str(self.port))
        return ("ssh", *key, *flags, f"{user}@{self.address}", *command)

    def exec(
        self,
        *argv: str,
        stdin: str = "",
        timeout_s: float = 180.0,
        check: bool = False,
        shared: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the machine as root, by the system's own ssh.

        Args:
            argv: The program and its arguments, as they are.
            stdin: What it reads.
            timeout_s: After this long the client is killed.
            check: Whether a status other than 0 is an error.
            shared: As in `ssh_command`.

        Returns:
            What it said; the status is 255 also when the machine does not answer.

        Raises:
            CommandError: The status was not 0, and `check` was asked for.
            subprocess.TimeoutExpired: It took too long.
        """
        environment = (f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb")
        words = shlex.join(("env", "-i", *environment, *argv))
        command = self.ssh_command("root", words, shared=shared)
        return run(*command, stdin=stdin, timeout_s=timeout_s, check=check)

    def boot_id(self) -> str:
        """The id of the present boot."""
        return self.exec(*_BOOT_ID, check=True).stdout.strip()

    def answers(self, timeout_s: float = 5.0) -> bool:
        """Whether an SSH server greets; qemu takes every connection, whoever is behind."""
        try:
            with socket.create_connection((self.address, self.port), timeout_s) as connection:
                connection.settimeout(timeout_s)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def state(self) -> str:
        """What `systemctl is-system-running` says, or "down"."""
        if not self.is_running:
            return "down"
        if not self.answers():
            return "silent"
        try:
            return self.exec("systemctl", "is-system-running").stdout.strip()
        except subprocess.TimeoutExpired:
            return "silent"

    def is_healthy(self) -> bool:
        """Whether it is up, settled and answers."""
        return self.state() in _SETTLED

    def wait_ready(self, timeout_s: float = BOOT_S) -> None:
        """Wait until it answers and systemd has settled.

        Raises:
            LabError: It did not, or it went down; the message ends with its console's last lines.
        """
        self._wait("ready", lambda: self.answers() and self._has_settled(timeout_s), timeout_s)

    def start(self, timeout_s: float = BOOT_S) -> None:
        """Turn it on, and wait until it is ready."""
        self.machine.start()
        self.wait_ready(timeout_s)

    def stop(self) -> None:
        """Pull the plug; `start` boots from the same disks."""
        self._hang_up()
        self.machine.stop()

    def reset(self, timeout_s: float = BOOT_S) -> None:
        """Throw all changes away, boot from fresh disks, and wait until ready."""
        self.stop()
        self.machine.install()
        self.start(timeout_s)

    def reboot(self, timeout_s: float = BOOT_S) -> None:
        """Reboot from inside, and wait until the next boot is ready."""
        before = self.boot_id()
        self.exec("systemctl", "reboot")
        self._hang_up()
        self._wait("rebooted", lambda: self._has_booted_since(before), timeout_s)
        self.wait_ready(timeout_s)

    @property
    def _control(self) -> str:
        return str(self.machine.directory / "ssh.sock")

    def _hang_up(self) -> None:
        """End the connection that `exec` keeps: it may not notice that the machine is gone."""
        control = f"-oControlPath={self._control}"
        run("ssh", "-F", "none", control, "-O", "exit", self.address, check=False)

    def _has_settled(self, timeout_s: float) -> bool:
        try:
            said = self.exec("systemctl", "is-system-running", "--wait", timeout_s=timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return said.stdout.strip() in _SETTLED

    def _has_booted_since(self, boot_id: str) -> bool:
        """Whether there is a later boot; the old one may answer too, or stop halfway."""
        if not self.answers():
            return False
        try:
            said = self.exec(*_BOOT_ID, timeout_s=30.0, check=True, shared=False)
        except (CommandError, subprocess.TimeoutExpired):
            return False
        return said.stdout.strip() != boot_id

    def _wait(self, state: str, is_so: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline:
                tail = self.machine.console.read_text("utf-8", "replace")[-1500:]
                message = f"{self.name} is not {state} after {timeout_s:g} s "
                message += f"(state: {self.state()}); its console ends: {tail}"
                raise LabError(message)
            time.sleep(_POLL_S)


@contextmanager
def _locked(laboratory: Laboratory) -> Iterator[None]:
    laboratory.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (laboratory.directory / "vm.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
