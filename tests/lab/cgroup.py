"""A control group: the kernel's own list of what belongs to a host, which no crash can lose."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.lab.command import LabError, MissingError
from tests.lab.process import send


def hierarchies() -> tuple[Path, ...]:
    """Where this machine has the unified hierarchy, and systemd's named one on hybrid machines.

    systemd in a host uses exactly these; resource controllers are left alone.
    """
    found: list[Path] = []
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        is_systemd = kind == "cgroup" and "name=systemd" in options.split(",")
        if kind == "cgroup2" or is_systemd:
            found.append(Path(before.split()[4]))
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGroup:
    """One group, under the same name in every hierarchy of `hierarchies`."""

    name: str

    @property
    def directories(self) -> tuple[Path, ...]:
        """The group in each hierarchy."""
        return tuple(root / self.name for root in hierarchies())

    def exists(self) -> bool:
        """Whether any hierarchy has the group."""
        return any(directory.is_dir() for directory in self.directories)

    def make(self) -> None:
        """Create the group."""
        if not self.directories:
            message = "this machine has neither a cgroup2 nor a systemd control group hierarchy"
            raise MissingError(message)
        for directory in self.directories:
            directory.mkdir(parents=True, exist_ok=True)

    def join(self) -> None:
        """Move this process in.

        Raises:
            OSError: The group is gone: its owner was taken down meanwhile.
        """
        for directory in self.directories:
            (directory / "cgroup.procs").write_text(f"{os.getpid()}\n", "ascii")

    def processes(self) -> frozenset[int]:
        """The ids of all processes in the group and below it."""
        found: set[int] = set()
        for directory in self.directories:
            # os.walk passes over what vanishes meanwhile: the scope of a session that ends
            for group, _, _ in os.walk(directory):
                with suppress(OSError):
                    members = Path(group, "cgroup.procs").read_text("ascii")
                    found.update(int(pid) for pid in members.split())
        # 0 stands for a process that this process-id namespace cannot see.
        return frozenset(found - {0, os.getpid()})

    def remove(self, *, timeout_s: float = 10.0) -> None:
        """Kill what is in the group and below it, then delete the group.

        Raises:
            LabError: Something survives SIGKILL.
        """
        deadline = time.monotonic() + timeout_s
        while members := self.processes():
            if time.monotonic() > deadline:
                message = f"{self.name}: processes {sorted(members)} survive SIGKILL"
                raise LabError(message)
            for pid in members:
                send(pid, signal.SIGKILL)
            time.sleep(0.005)
        while not self._delete():
            if time.monotonic() > deadline:
                message = f"{self.name}: the control group stays busy"
                raise LabError(message)
            time.sleep(0.005)

    def _delete(self) -> bool:
        for directory in self.directories:
            for path, _, _ in os.walk(directory, topdown=False):
                try:
                    Path(path).rmdir()
                except FileNotFoundError:
                    continue
                except OSError:
                    return False
        return True
