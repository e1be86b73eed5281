"""Processes on a copy of this machine, apart from its own: a program that the sandbox starts.

`hold BASE KEPT SECONDS` makes the copy and says so in one line of JSON; it ends, and with it
every process and mount of the copy, when its stdin does, so that nothing outlives the controller.
`enter PID IDENTITY COMMAND` runs a command line there.

Nothing of the copy is executed or imported before all privileges are gone. Network and kernel
are shared with the machine: this guards against mistakes, not against malice.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.connector import syscall
from kubexm.connector.replica import NoReplicaError, Replica

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSED_ON = re.compile(
    r"LANG|LANGUAGE|LC_\w+|TERM|TZ|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|\w+_proxy|\w+_PROXY"
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAMESPACES = ("uts", "ipc", "cgroup", "mnt")
_SIGNALLED = 128
_LOST = 254
_LOCK_TURN_S = 0.05
_ELSEWHERE = "name a directory on a local disk with the connection option `directory`"
_NO_RIGHT = "run kubexm as root on the machine itself, or name machines to reach by ssh"


def hold(base: str, kept: str, patience_s: float) -> int:
    """Make the copy and wait for the end of stdin.

    Args:
        base: What holds all copies.
        kept: Where this one keeps its changes.
        patience_s: How long another process may still be busy with it.
    """
    try:
        Path(kept).mkdir(parents=True, exist_ok=True)
        Path(kept).chmod(0o700)
        lock = _lock(f"{kept}/lock", patience_s)
    except NoReplicaError as error:
        return _tell(error=str(error), hint=error.hint)
    except OSError as error:
        return _tell(error=f"nothing can be kept in {kept}: {error.strerror}", hint=_ELSEWHERE)
    try:
        flags = syscall.NEWPID | syscall.NEWUTS | syscall.NEWIPC | syscall.NEWCGROUP
        syscall.unshare(flags)
    except OSError as error:
        message = f"no namespaces for a copy of this machine: {error.strerror}"
        return _tell(error=message, hint=_NO_RIGHT)
    child = os.fork()
    if child == 0:
        _become_first(base, kept)
    _let_go()
    # The lock outlives all processes and mounts of the copy: they are gone when this returns.
    os.waitpid(child, 0)
    os.close(lock)
    return 0


def enter(pid: int, identity: int, command: str) -> int:
    """Run a command line with the copy's shell and pass its exit status on.

    Args:
        pid: Process 1 of the copy, as the machine counts.
        identity: The inode of its mount namespace, in case the number is another's by now.
        command: For sh.
    """
    home = str(Path("~root").expanduser())
    try:
        folder = os.open(f"/proc/{pid}/ns", os.O_RDONLY | os.O_DIRECTORY)
        spaces = [os.open(name, os.O_RDONLY, dir_fd=folder) for name in _NAMESPACES]
        processes = os.open("pid", os.O_RDONLY, dir_fd=folder)
        if os.fstat(spaces[-1]).st_ino != identity:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        syscall.hide_memory()
        syscall.enter(processes)
        child = os.fork()
        if child == 0:
            _run(spaces, home, command)
    except OSError as error:
        return _complain(f"the sandbox has ended: {error.strerror}")
    _let_go()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else _SIGNALLED - status


def environment(given: Mapping[str, str], home: str) -> dict[str, str]:
    """What a login of root's would have, and how to reach the network."""
    passed_on = {name: value for name, value in given.items() if _PASSED_ON.fullmatch(name)}
    return passed_on | {
        "HOME": home,
        "LOGNAME": "root",
        "PATH": _PATH,
        "SHELL": "/bin/sh",
        # systemctl asks no manager: there is none (systemctl(1), ENVIRONMENT)
        "SYSTEMD_OFFLINE": "1",
        "USER": "root",
    }


def _lock(path: str, patience_s: float) -> int:
    """Take the copy for this process alone.

    Raises:
        NoReplicaError: Another process has it.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    limit = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > limit:
                holder = os.pread(lock, 20, 0).decode() or "another process"
                message = f"{holder} is at work in this sandbox"
                raise NoReplicaError(message, "let it finish, or end it") from None
            time.sleep(_LOCK_TURN_S)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {os.getppid()}".encode(), 0)
            return lock


def _become_first(base: str, kept: str) -> None:
    """Be process 1 of the copy; never returns."""
    try:
        syscall.die_with_parent()
        syscall.hide_memory()
        syscall.unshare(syscall.NEWNS)
        pid = Path("/proc/self").readlink().name
        identity = Path("/proc/self/ns/mnt").stat().st_ino
        replica = Replica(base, kept)
        replica.make()
        _name_host()
        syscall.drop_privileges()
    except NoReplicaError as error:
        os._exit(_tell(error=str(error), hint=error.hint))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        message = f"the copy of this machine in {kept} cannot be made: {error.strerror}{where}"
        os._exit(_tell(error=message, hint=f"remove {kept} to start anew, or see dmesg"))
    # The kernel reaps what is orphaned here when nobody wants to know (wait(2), NOTES).
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _tell(pid=pid, identity=str(identity), left_out=replica.left_out)
    _let_go(stdin=False)
    while os.read(0, 1):
        pass
    os._exit(0)


def _run(spaces: list[int], home: str, command: str) -> None:
    """Become the command; never returns."""
    try:
        syscall.die_with_parent()
        for space in spaces:
            syscall.enter(space)
        syscall.drop_privileges()
        os.chdir("/")
        with contextlib.suppress(OSError):
            os.chdir(home)
        os.umask(0o022)
        # Python ignores them, and what is ignored stays so.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        variables = environment(os.environ, home)
        os.execve("/bin/sh", ["sh", "-c", command], variables)  # noqa: S606 - it is the shell
    except OSError as error:
        os._exit(_complain(f"no shell in the sandbox: {error.strerror}"))


def _name_host() -> None:
    """The copy's own name, where it has one; else it keeps the machine's."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/etc/hostname", os.O_RDONLY)
        lines = os.read(descriptor, 4096).splitlines()
        os.close(descriptor)
        names = [line.strip() for line in lines if line.strip() and not line.startswith(b"#")]
        if names:
            syscall.set_host_name(names[0])


def _let_go(*, stdin: bool = True) -> None:
    """Leave the pipes to those who use them."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2) if stdin else (1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _tell(**answer: object) -> int:
    os.write(1, json.dumps(answer).encode() + b"\n")
    return 1 if "error" in answer else 0


def _complain(message: str) -> int:
    os.write(2, f"kubexm: {message}\n".encode())
    return _LOST


def main(arguments: list[str]) -> int:
    """Do what the first word says."""
    match arguments:
        case ["hold", base, kept, patience_s]:
            return hold(base, kept, float(patience_s))
        case ["enter", pid, identity, command]:
            return enter(int(pid), int(identity), command)
        case _:
            return 2
