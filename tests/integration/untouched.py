"""What a machine is like, so that it can be compared with itself later."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import time
from pathlib import Path

_LISTED = (
    *("/", "/bin", "/boot", "/etc", "/home", "/lib", "/opt", "/sbin", "/srv", "/usr", "/var"),
    *("/usr/bin", "/usr/lib", "/usr/local", "/usr/local/bin", "/usr/sbin", "/usr/share"),
    *("/usr/lib/systemd/system", "/var/lib", "/var/lib/apt", "/var/lib/apt/lists"),
    *("/var/lib/dpkg", "/var/lib/dpkg/info", "/var/cache/apt/archives", "/var/spool"),
)
_READ = ("/var/lib/dpkg/status", "/var/lib/dpkg/lock", "/var/lib/apt/extended_states")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "kmsg", "mem", "ptmx")
_COUNTERS = re.compile(
    # what counts and what others, such as laboratory hosts, bring and take
    r"fs/(dentry-state|file-nr|inode-|quota/)|kernel/(random|ns_last_pid|pty/nr|tainted|hung_task)"
    r"|kernel/sched_domain|nf_conntrack_count|net/ipv[46]/(conf|neigh)/(?!all|default|lo)"
)
_NEIGHBOURS = re.compile(r"kxlab|/run/netns|veth|-peer|kubexm-lab|linkdown|/tmp/")


def machine() -> dict[str, object]:
    """Everything of this machine that a sandbox must leave alone, by a name for it.

    What others do to it meanwhile (counters, laboratory hosts) is left out.
    """
    return {
        "/etc": _tree(Path("/etc")),
        "listings": {path: _listing(Path(path)) for path in _LISTED},
        "contents": {path: _digest(Path(path)) for path in _READ},
        "devices": {name: _status(Path("/dev", name)) for name in _DEVICES},
        "disks": sorted(Path("/proc/partitions").read_text("ascii").splitlines()),
        "kernel parameters": _parameters(),
        "modules": sorted(line.split()[0] for line in _lines(Path("/proc/modules"))),
        "swaps": _lines(Path("/proc/swaps")),
        "host name": socket.gethostname(),
        "clock": round(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text("ascii"),
        "mounts": _without_neighbours(_lines(Path("/proc/self/mounts"))),
        "addresses": _told("ip", "-o", "addr"),
        "links": _told("ip", "-o", "link"),
        "routes": _told("ip", "route", "show", "table", "all"),
        "rules": _told("ip", "rule"),
        "packet filter": _told("iptables-save") + _told("nft", "list", "ruleset"),
    }


def differences(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """What is not as it was, in words that say where to look."""
    found = []
    for name, was in before.items():
        now = after[name]
        if name == "clock":
            assert isinstance(was, int)
            assert isinstance(now, int)
            if abs(was - now) > 1:
                found.append(f"the clock was moved by {now - was} s")
        elif isinstance(was, dict) and isinstance(now, dict):
            keys = was.keys() | now.keys()
            if name == "kernel parameters":
                keys = was.keys() & now.keys()
            found += [
                f"{name}: {key}: {was.get(key)!r} -> {now.get(key)!r}"
                for key in sorted(keys)
                if was.get(key) != now.get(key)
            ]
        elif was != now:
            found.append(f"{name}: {was!r} -> {now!r}")
    return found


def processes_with(text: str) -> list[int]:
    """The processes of this machine whose command line or mounts mention a text."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                known = (folder / "cmdline").read_bytes() + (folder / "mountinfo").read_bytes()
            except OSError:
                continue
            if text.encode() in known:
                found.append(int(folder.name))
    return found


def _tree(root: Path) -> dict[str, str]:
    return {
        str(path): f"{_status(path)} {_digest(path)}"
        for path in sorted(root.rglob("*"))
        if not path.is_dir()
    }


def _listing(folder: Path) -> list[str]:
    """Names with kind, mode, owner and, of files, size and time."""
    return sorted(f"{path.name} {_status(path)}" for path in folder.glob("*"))


def _status(path: Path) -> str:
    try:
        status = path.lstat()
    except OSError as error:
        return str(error.strerror)
    plain = stat.S_ISREG(status.st_mode)
    content = f" {status.st_size} {status.st_mtime_ns}" if plain else ""
    return f"{status.st_mode:o} {status.st_uid} {status.st_gid} {status.st_rdev}{content}"


def _digest(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except OSError as error:
        return str(error.strerror)


def _parameters() -> dict[str, str]:
    found = {}
    for path in Path("/proc/sys").rglob("*"):
        name = str(path.relative_to("/proc/sys"))
        if _COUNTERS.search(name) or not path.is_file():
            continue
        try:
            found[name] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _told(*command: str) -> list[str]:
    """A program's lines, sorted; nothing where it is not installed."""
    if shutil.which(command[0]) is None:
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    # remaining lifetimes and packet counters
    text = re.sub(r"(valid_lft|preferred_lft|expires) \S+|\[\d+:\d+\]|^#.*", "", done.stdout)
    return _without_neighbours(text.splitlines())


def _without_neighbours(lines: list[str]) -> list[str]:
    return sorted(line for line in lines if not _NEIGHBOURS.search(line))
