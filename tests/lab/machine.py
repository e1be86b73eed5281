"""One machine as data: where its files are and how it boots."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cgroup import ControlGroup
from tests.lab.command import PATH, MissingError, find, run
from tests.lab.image import USERS, generate_host_keys, host_key_directory
from tests.lab.network import Link, Network
from tests.lab.process import ProcessIdentity, init_below
from tests.lab.tree import discard, write_tree

REBOOT_STATUS = 133
"""How systemd-nspawn ends when the system in it asked for a reboot."""

_PROJECT = Path(__file__).resolve().parents[2]

_BOOT = """\
set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged"
if ! [ -e "$2/placed" ]; then
    tar -C "$2/own" -cf - . | tar -C "$2/merged" --no-overwrite-dir -xpf -
    : >"$2/placed"
fi
stat -c '%d %i' "$2/merged" >>"$2/roots"
cd /
shift 2
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is needed to boot one host.

    Attributes:
        name: Its host name.
        directory: Its own files: overlay, console log, records.
        link: Its network.
        layers: The image's directories, the uppermost first.
    """

    name: str
    directory: Path
    link: Link
    layers: tuple[Path, ...]

    @classmethod
    def read(cls, directory: Path) -> "Machine":
        """The machine that `write` described.

        Raises:
            OSError: It did not.
            ValueError: The record is damaged.
        """
        record = json.loads((directory / "machine.json").read_text("utf-8"))
        network = Network(number=int(record["network"]))
        return cls(
            name=str(record["name"]),
            directory=directory,
            link=network.link(int(record["index"])),
            layers=tuple(Path(layer) for layer in record["layers"]),
        )

    def write(self) -> None:
        """Describe the machine in its directory, for the supervisor and for later processes."""
        record = {
            "name": self.name,
            "network": self.link.network.number,
            "index": self.link.index,
            "layers": [str(layer) for layer in self.layers],
        }
        draft = self.directory / "machine.json.new"
        draft.write_text(json.dumps(record), "utf-8")
        draft.replace(self.directory / "machine.json")

    @property
    def group(self) -> ControlGroup:
        """The control group of everything that belongs to the machine."""
        return ControlGroup(name=f"kubexm-lab-{self.link.network.number}/{self.name}")

    @property
    def console(self) -> Path:
        """The log of what the console showed since the directory was made."""
        return self.directory / "console.log"

    @property
    def boot_record(self) -> Path:
        """The file that names the systemd-nspawn of the present boot."""
        return self.directory / "boot.json"

    @property
    def own_files(self) -> Path:
        """What is put over the image before the first boot: keys, names, machine-id."""
        return self.directory / "own"

    @property
    def nspawn_name(self) -> str:
        """The name that systemd-nspawn knows the machine by."""
        return f"kxlab-{self.link.network.number}-{self.name}"

    def boot_command(self) -> tuple[str, ...]:
        """The program and the arguments that boot the machine, and end when it ends.

        The overlay is mounted in a mount namespace of its own: it goes when the last process goes.
        """
        boot = ("unshare", "--mount", "--propagation", "slave", "sh", "-c", _BOOT, "sh")
        nspawn = (
            "systemd-nspawn",
            *("--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe"),
            f"--directory={self.directory / 'merged'}",
            f"--machine={self.nspawn_name}",
            f"--hostname={self.name}",
            f"--network-namespace-path={self.link.namespace_path}",
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
            "--capability=all",
            # Without this a `timedatectl` inside moves the clock of the machine itself.
            "--drop-capability=CAP_SYS_TIME",
            "--system-call-filter=@mount @swap keyctl bpf",
        )
        return (*boot, ":".join(map(str, self.layers)), str(self.directory), *nspawn)

    def boot_environment(self) -> dict[str, str]:
        """The environment of `boot_command`."""
        return {
            "PATH": PATH,
            "LC_ALL": "C.UTF-8",
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
            "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
        }

    def leader(self) -> int | None:
        """The process id, on this machine, of the host's process 1; None while it is down."""
        nspawn = ProcessIdentity.read(self.boot_record)
        if nspawn is None or not nspawn.is_alive:
            return None
        return init_below(nspawn.pid)

    def install(self, public_key: str, *, new_identity: bool = False) -> None:
        """Put a fresh disk in: an empty overlay, and the host's own names and keys.

        Args:
            public_key: Who may log in, a line of authorized_keys.
            new_identity: Whether host keys and machine-id change too.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        for name in ("upper", "work", "merged"):
            discard(self.directory / name)
            (self.directory / name).mkdir()
            (self.directory / name).chmod(0o755)
        (self.directory / "placed").unlink(missing_ok=True)
        if new_identity:
            discard(self.own_files)
        if not self.own_files.exists():
            self._place_own_files(public_key, new_keys=new_identity)
        self.write()

    def start(self) -> None:
        """Boot, under a supervisor that outlives this process and boots again after a reboot."""
        self.group.make()
        environment = ("env", "-i", f"PATH={PATH}", "PYTHONDONTWRITEBYTECODE=1")
        supervisor = (sys.executable, "-m", "tests.lab.supervisor", str(self.directory))
        with self.console.open("ab") as console:
            # setsid's fork leaves no child of ours that somebody would have to wait for.
            subprocess.run(
                [_program("setsid"), "--fork", *environment, *supervisor],
                cwd=_PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                umask=0o022,
                check=True,
            )

    def stop(self) -> None:
        """Pull the plug, and take away everything but the files."""
        self.group.remove()
        self._forget_roots()
        self.link.remove()
        self.boot_record.unlink(missing_ok=True)
        discard(Path("/run/systemd/nspawn/propagate", self.nspawn_name))

    def _place_own_files(self, public_key: str, *, new_keys: bool) -> None:
        own = self.directory / "own.new"
        discard(own)
        own.mkdir()
        own.chmod(0o755)
        login = {
            f"{home}/.ssh/authorized_keys": (0o600, f"{public_key}\n")
            for home in ("root", *(f"home/{user}" for user in USERS))
        }
        names = f"127.0.0.1\tlocalhost\n127.0.1.1\t{self.name}\n\n::1\tlocalhost ip6-localhost\n"
        write_tree(
            own,
            {
                "etc/hostname": (0o644, f"{self.name}\n"),
                "etc/hosts": (0o644, names),
                "etc/machine-id": (0o444, f"{secrets.token_hex(16)}\n"),
                **login,
            },
        )
        for home, uid in (("root", 0), *((f"home/{user}", uid) for user, uid in USERS.items())):
            (own / home / ".ssh").chmod(0o700)
            os.chown(own / home / ".ssh", uid, uid)
            os.chown(own / home / ".ssh/authorized_keys", uid, uid)
        if new_keys:
            generate_host_keys(own)
        else:
            name = f"{self.link.network.bridge}-{self.name}"
            shutil.copytree(host_key_directory(name), own / "etc/ssh")
        (own / "etc/ssh").chmod(0o755)
        own.rename(self.own_files)

    def _forget_roots(self) -> None:
        """Take away what a killed host leaves outside its directory and namespaces.

        That is systemd-nspawn's lock on its root directory, and loop devices of the machine whose
        file lies on the host's disk. Both are found by the root's device and inode numbers, which
        each boot has noted.
        """
        record = self.directory / "roots"
        if not record.exists():
            return
        roots = [line.split() for line in record.read_text("ascii").splitlines()]
        devices: set[str] = set()
        for device, inode in (root for root in roots if len(root) == 2):
            Path(f"/run/systemd/nspawn/locks/inode-{device}:{inode}").unlink(missing_ok=True)
            number = int(device)
            devices.add(f"{os.major(number)}:{os.minor(number)}")
        listed = run("losetup", "--noheadings", "--output", "BACK-MAJ:MIN,NAME").stdout
        for row in (line.split() for line in listed.splitlines()):
            if len(row) == 2 and row[0] in devices:
                run("losetup", "--detach", row[1], check=False)
        record.unlink()


def supervise(machine: Machine) -> int:
    """Boot a machine, and boot it again as long as it asks for reboots.

    Returns:
        How the last systemd-nspawn ended: 0 after a power-off.

    Raises:
        OSError: The machine was taken down before this process belonged to it.
        MissingError: A program is not there.
    """
    machine.group.join()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    program, *arguments = machine.boot_command()
    command = [_program(program), *arguments]
    while True:
        machine.link.make()
        with subprocess.Popen(
            command,
            env=machine.boot_environment(),
            stdin=subprocess.DEVNULL,
            cwd="/",
        ) as process:
            identity = ProcessIdentity.of(process.pid)
            if identity is not None:
                identity.write(machine.boot_record)
            status = process.wait()
        if status != REBOOT_STATUS:
            return status


def _program(name: str) -> str:
    path = find(name)
    if path is None:
        message = f"{name}: not on this machine"
        raise MissingError(message)
    return path
