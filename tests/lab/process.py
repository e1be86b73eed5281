"""Processes, named so that a recycled process id is never taken for the old process."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process of this machine, for all time."""

    pid: int
    started: int
    """Clock ticks after the kernel's boot; field 22 of /proc/PID/stat, proc(5)."""
    boot_id: str
    """The machine's own, so that a record from before its reboot matches nothing."""

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """The identity of a living process, or None when there is none with this number."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except OSError:
            return None
        # The second field is the program's name in parentheses and may hold anything.
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None
        return cls(pid=pid, started=int(fields[19]), boot_id=_boot_id())

    @classmethod
    def read(cls, path: Path) -> "ProcessIdentity | None":
        """The identity that `write` left in a file, or None when there is no such record."""
        try:
            record = json.loads(path.read_text("utf-8"))
            return cls(
                pid=int(record["pid"]),
                started=int(record["started"]),
                boot_id=str(record["boot_id"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Keep the identity in a file, which never holds half of it."""
        record = {"pid": self.pid, "started": self.started, "boot_id": self.boot_id}
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(record), "utf-8")
        draft.replace(path)

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return self == ProcessIdentity.of(self.pid)

    def kill(self) -> None:
        """Send SIGKILL, unless the process is gone already."""
        if self.is_alive:
            send(self.pid, signal.SIGKILL)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that has just ended is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def init_below(pid: int) -> int | None:
    """The child of a process that is process 1 of a namespace of its own."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return None
    for child in children:
        try:
            status = Path(f"/proc/{child}/status").read_text("utf-8", "replace")
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("NSpid:") and len(line.split()) > 2 and line.split()[-1] == "1":
                return int(child)
    return None


def in_namespace_of(leader: int) -> tuple[tuple[int, str], ...]:
    """Every process in the process-id namespace of `leader`: its id on this machine, its name."""
    try:
        namespace = Path(f"/proc/{leader}/ns/pid").readlink()
    except OSError:
        return ()
    found: list[tuple[int, str]] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "ns/pid").readlink() == namespace:
                found.append((int(entry.name), (entry / "comm").read_text("utf-8").strip()))
        except OSError:
            continue
    return tuple(sorted(found))


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal, or gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "TtZX"
