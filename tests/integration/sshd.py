"""A real sshd on the loopback, private to a test: its own port, host keys and authorized keys."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from kubexm.connector import Endpoint

_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
_CONFIG = """\
Port {port}
ListenAddress {address}
{host_keys}
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
# The login files of whoever runs the tests stay out.
SetEnv HOME={directory} KUBEXM_STATE={directory}/state
"""


def find_sshd() -> str | None:
    """The server's path: it is in an sbin directory, which users do not have in PATH."""
    return shutil.which("sshd", path=_PATH)


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new private key, with its public half beside it."""
    for old in (path, Path(f"{path}.pub")):
        old.unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "kubexm", "-f", str(path)],
        check=True,
    )
    return path


def free_port() -> int:
    """A TCP port of the loopback that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(kw_only=True)
class SshServer:
    """One sshd. Start it with `start`; `stop` ends it with everything it has started.

    Args:
        directory: For its configuration, keys and log; known_hosts too.
        settings: Further lines of sshd_config(5).
        host_keys: The kinds of host keys to have.
        address: One of the loopback's.
    """

    directory: Path
    settings: str = ""
    host_keys: tuple[str, ...] = ("ed25519",)
    address: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def private_key(self) -> Path:
        """A key that may log in as the user who runs the tests."""
        return self.directory / "id_test"

    @property
    def known_hosts(self) -> Path:
        """Where endpoints look for the host key; empty at first."""
        return self.directory / "known_hosts"

    @property
    def log(self) -> str:
        """What sshd has said so far."""
        return (self.directory / "log").read_text("utf-8", "replace")

    def endpoint(self, **changes: object) -> Endpoint:
        """How to connect to it, with changes."""
        endpoint = Endpoint(
            name="test",
            address=self.address,
            port=self.port,
            user=getpass.getuser(),
            private_key=str(self.private_key),
            known_hosts=str(self.known_hosts),
            connect_timeout_s=5,
        )
        return replace(endpoint, **changes)  # type: ignore[arg-type] # the caller's to know

    def start(self) -> "SshServer":
        """Start it and wait until it answers."""
        sshd = find_sshd()
        assert sshd is not None
        self.directory.mkdir(exist_ok=True)
        if not self.private_key.exists():
            self.authorize(make_key(self.private_key))
        for kind in self.host_keys:
            if not self.host_key(kind).exists():
                make_key(self.host_key(kind), kind=kind)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's sshd wants to chroot there
        config = self.directory / "sshd_config"
        config.write_text(
            _CONFIG.format(
                address=self.address,
                port=self.port,
                directory=self.directory,
                host_keys="\n".join(f"HostKey {self.host_key(kind)}" for kind in self.host_keys),
            )
            + self.settings
        )
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sshd, "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_banner()
        return self

    def host_key(self, kind: str = "ed25519") -> Path:
        """The private host key of a kind."""
        return self.directory / f"host_{kind}"

    def authorize(self, key: Path) -> None:
        """Let a key log in."""
        with (self.directory / "authorized_keys").open("a") as authorized:
            authorized.write(Path(f"{key}.pub").read_text())

    def stop(self) -> None:
        """Kill it and all that it has started, sessions included. Harmless when repeated."""
        if self._process is None:
            return
        # Stopped first, so that nothing forks between the listing and the killing.
        self.freeze()
        for pid in self._family():
            _send(pid, signal.SIGKILL)
        self._process.wait(timeout=10)
        self._process = None

    def stop_sessions(self) -> None:
        """Kill every session of it, while it goes on to take new connections."""
        assert self._process is not None
        for pid in self._family():
            if pid != self._process.pid:
                _send(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it and all that it has started: the kernel still answers, nobody else does."""
        for pid in self._family():
            _send(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        for pid in self._family():
            _send(pid, signal.SIGCONT)

    def restart(self) -> None:
        """Stop and start it on the same port, with what has become of its settings and keys."""
        self.stop()
        self.start()

    def _family(self) -> list[int]:
        """The process and its descendants, whatever sessions they are in; parents first."""
        assert self._process is not None
        parents: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        family = [self._process.pid]
        for pid in family:
            family += parents.get(pid, [])
        return family

    def _await_banner(self) -> None:
        assert self._process is not None
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            assert self._process.poll() is None, f"sshd did not start: {self.log}"
            with (
                contextlib.suppress(OSError),
                socket.create_connection((self.address, self.port), timeout=1) as probe,
            ):
                if probe.recv(4) == b"SSH-":
                    return
            time.sleep(0.02)
        message = f"sshd does not answer: {self.log}"
        raise TimeoutError(message)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@dataclass(frozen=True, kw_only=True)
class Agent:
    """An ssh-agent that holds the keys it is given."""

    socket: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, path: Path) -> "Agent":
        """Start it and wait until it listens on `path`."""
        process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
        limit = time.monotonic() + 10
        while not path.is_socket():
            assert time.monotonic() < limit, "ssh-agent does not listen"
            time.sleep(0.01)
        return cls(socket=path, process=process)

    def add(self, key: Path) -> None:
        """Hand it a key that needs no passphrase, with the certificate beside it."""
        self._ssh_add("-q", str(key))

    def forget(self, public: Path) -> None:
        """Take back the key of a public half, but not its certificate."""
        self._ssh_add("-q", "-d", str(public))

    def _ssh_add(self, *words: str) -> None:
        environment = {**os.environ, "SSH_AUTH_SOCK": str(self.socket)}
        subprocess.run(["ssh-add", *words], check=True, env=environment)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=10)
