"""One virtual machine as data: where its files are and how it boots."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cgroup import ControlGroup
from tests.lab.command import PATH, MissingError, find, run
from tests.lab.image import USERS, host_key_directory
from tests.lab.process import ProcessIdentity
from tests.lab.tree import discard, write_tree
from tests.lab.vm_image import VirtualImage

LOOPBACK = "127.0.0.1"
_PROJECT = Path(__file__).resolve().parents[2]
_KERNEL_OPTIONS = (
    *("root=/dev/vda", "rw", "console=ttyS0", "net.ifnames=0"),
    # What costs time under emulation and is nothing that a test looks at.
    *("mitigations=off", "nowatchdog", "quiet", "loglevel=4"),
)
_MEMORY_MIB = 1024
_PROCESSORS = 2
_PROCESSOR = "max,la57=off,svm=off"
"""All that can be emulated, but no fifth level of page tables and no virtual machines in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMachine:
    """What is needed to boot one machine with a kernel of its own.

    Attributes:
        name: `vm1` for example; its host name before anybody changes it.
        directory: Its own files: disks, key, console log, records.
        laboratory: The number of the laboratory that it belongs to.
        port: Of this machine's loopback address; leads to the machine's port 22.
        image: What it boots from.
    """

    name: str
    directory: Path
    laboratory: int
    port: int
    image: VirtualImage

    @classmethod
    def read(cls, directory: Path) -> VirtualMachine:
        """The machine that `install` described.

        Raises:
            OSError: It did not.
            ValueError: The record is damaged.
        """
        record = json.loads((directory / "vm.json").read_text("utf-8"))
        return cls(
            name=str(record["name"]),
            directory=directory,
            laboratory=int(record["laboratory"]),
            port=int(record["port"]),
            image=VirtualImage(directory=Path(record["image"])),
        )

    @property
    def group(self) -> ControlGroup:
        """The control group of its qemu; the laboratory's end is its end too."""
        return ControlGroup(name=f"kubexm-lab-{self.laboratory}/{self.name}")

    @property
    def console(self) -> Path:
        """The log of what the console showed since the directory was made."""
        return self.directory / "console.log"

    @property
    def boot_record(self) -> Path:
        """The file that names the qemu that runs it."""
        return self.directory / "boot.json"

    @property
    def private_key(self) -> Path:
        """The key that logs in as root and as every user of the hosts' image."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Its host keys, in OpenSSH's format."""
        return self.directory / "known_hosts"

    @property
    def is_running(self) -> bool:
        """Whether its qemu exists."""
        process = ProcessIdentity.read(self.boot_record)
        return process is not None and process.is_alive

    def boot_command(self) -> tuple[str, ...]:
        """The program and the arguments that are the machine; a reboot stays inside.

        Always emulated: on some machines /dev/kvm can be opened, and then nothing happens.
        """
        disk = "if=virtio,format={},file={},cache=unsafe,discard=unmap"
        forward = f"hostfwd=tcp:{LOOPBACK}:{self.port}-:22"
        return (
            "qemu-system-x86_64",
            *("-name", self.name, "-machine", "q35", "-accel", "tcg", "-cpu", _PROCESSOR),
            *("-smp", str(_PROCESSORS), "-m", str(_MEMORY_MIB)),
            *("-nodefaults", "-no-user-config", "-display", "none"),
            *("-kernel", str(self.image.kernel), "-initrd", str(self.directory / "initrd")),
            *("-append", " ".join(_KERNEL_OPTIONS)),
            *("-chardev", f"file,id=console,path={self.console},append=on"),
            *("-serial", "chardev:console"),
            *("-drive", disk.format("qcow2", self.directory / "disk.qcow2")),
            *("-drive", disk.format("qcow2", self.directory / "swap.qcow2")),
            *("-nic", f"user,model=virtio-net-pci,restrict=on,ipv6=off,{forward}"),
            *("-device", "virtio-rng-pci"),
        )

    def install(self) -> None:
        """Put fresh disks in; the machine's own names and keys are copied at its first boot."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.private_key.with_suffix(".pub").exists():
            self.private_key.unlink(missing_ok=True)
            words = ("-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", self.private_key)
            run("ssh-keygen", *words)
        self._write_initrd()
        for disk in (self.image.disk, self.image.swap):
            backing = ("-b", disk, "-F", "raw")
            overlay = self.directory / f"{disk.name}.qcow2"
            overlay.unlink(missing_ok=True)
            run("qemu-img", "create", "-q", "-f", "qcow2", *backing, overlay)
        keys = (self.directory / "own/etc/ssh").glob("ssh_host_*_key.pub")
        lines = [" ".join(key.read_text("utf-8").split()[:2]) for key in sorted(keys)]
        place = f"[{LOOPBACK}]:{self.port}"
        self.known_hosts.write_text("".join(f"{place} {line}\n" for line in lines), "utf-8")
        record = {
            "name": self.name,
            "laboratory": self.laboratory,
            "port": self.port,
            "image": str(self.image.directory),
        }
        draft = self.directory / "vm.json.new"
        draft.write_text(json.dumps(record), "utf-8")
        draft.replace(self.directory / "vm.json")

    def start(self) -> None:
        """Turn it on; it outlives this process."""
        self.group.make()
        environment = ("env", "-i", f"PATH={PATH}", "PYTHONDONTWRITEBYTECODE=1")
        supervisor = (sys.executable, "-m", "tests.lab.vm_supervisor", str(self.directory))
        setsid = find("setsid")
        if setsid is None:
            message = "setsid: not on this machine"
            raise MissingError(message)
        with self.console.open("ab") as console:
            subprocess.run(
                [setsid, "--fork", *environment, *supervisor],
                cwd=_PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                umask=0o022,
                check=True,
            )

    def stop(self) -> None:
        """Pull the plug; the disks stay."""
        self.group.remove()
        self.boot_record.unlink(missing_ok=True)

    def _write_initrd(self) -> None:
        """Add the machine's own files to the image's first file system: archives may be joined."""
        own = self.directory / "own"
        discard(own)
        own.mkdir()
        key = self.private_key.with_suffix(".pub").read_text("utf-8")
        homes = {"root": 0} | {f"home/{user}": number for user, number in USERS.items()}
        names = f"127.0.0.1\tlocalhost\n127.0.1.1\t{self.name}\n\n::1\tlocalhost ip6-localhost\n"
        write_tree(
            own,
            {
                "etc/hostname": (0o644, f"{self.name}\n"),
                "etc/hosts": (0o644, names),
                "etc/machine-id": (0o444, f"{secrets.token_hex(16)}\n"),
            }
            | {f"{home}/.ssh/authorized_keys": (0o600, key) for home in homes},
        )
        for home, number in homes.items():
            os.chown(own / home / ".ssh/authorized_keys", number, number)
        shutil.copytree(host_key_directory(self.name), own / "etc/ssh")
        archive = self.directory / "own.cpio"
        pack = 'cd "$1" && find own | "$2" cpio -o -H newc >"$3" 2>/dev/null'
        run("sh", "-c", pack, "sh", self.directory, self.image.busybox, archive)
        with (self.directory / "initrd").open("wb") as initrd:
            for part in (self.image.initrd, archive):
                content = part.read_bytes()
                # initramfs: each archive begins at a multiple of four bytes.
                initrd.write(content + b"\0" * (-len(content) % 4))


def free_port() -> int:
    """A port of the loopback address that nothing listens on now."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])
