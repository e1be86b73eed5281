"""The laboratory as a whole: up, down, what is there."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tests.lab import requirement
from tests.lab.cgroup import ControlGroup
from tests.lab.command import LabError, note, run
from tests.lab.host import LabHost
from tests.lab.image import Suite, cached_image, check_overlay
from tests.lab.machine import Machine
from tests.lab.network import (
    Network,
    namespace_directory_is_mounted,
    remove_namespace_directory,
)
from tests.lab.tree import discard

_MOST_HOSTS = 200
_MOST_LABORATORIES = 100
_CHOSEN = 10
"""The numbers below are for KUBEXM_LAB_NUMBER and the processes of a test run (conftest.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Laboratory:
    """Some hosts on one bridge; they outlive the process that brought them up.

    Attributes:
        number: 0 to 99. Laboratories with different numbers know nothing of each other.
        suite: The release of Debian that its hosts get when they are made.
    """

    number: int = 0
    suite: Suite = Suite.BOOKWORM

    @classmethod
    def from_environment(cls) -> "Laboratory":
        """The laboratory that KUBEXM_LAB_NUMBER names, number 0 by default."""
        return cls(number=int(os.environ.get("KUBEXM_LAB_NUMBER", "0")))

    @classmethod
    def unused(cls, suite: Suite = Suite.BOOKWORM) -> "Laboratory":
        """A laboratory that nobody else has; it is taken until its `down`.

        Args:
            suite: Its hosts' release.

        Raises:
            LabError: All are taken.
        """
        # begun anywhere, so that hardly anybody gets the number that somebody just gave back
        count = _MOST_LABORATORIES - _CHOSEN
        first = secrets.randbelow(count)
        for step in range(count):
            number = _CHOSEN + (first + step) % count
            laboratory = cls(number=number, suite=suite)
            try:
                laboratory.directory.mkdir(mode=0o700, parents=True)
            except FileExistsError:
                continue
            return laboratory
        message = f"all {_MOST_LABORATORIES} laboratories are taken"
        raise LabError(message)

    @property
    def directory(self) -> Path:
        """Where everything is kept that is not cached; root only."""
        return self._root / str(self.number)

    @property
    def network(self) -> Network:
        """Its bridge and addresses."""
        return Network(number=self.number)

    @property
    def private_key(self) -> Path:
        """The key that logs in as every user of every host."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The host keys of all hosts, in OpenSSH's format."""
        return self.directory / "known_hosts"

    def hosts(self) -> tuple[LabHost, ...]:
        """The hosts that were brought up, in order, in whatever state they are."""
        found: list[LabHost] = []
        for record in self.directory.glob("lab*/machine.json"):
            machine = Machine.read(record.parent)
            found.append(LabHost(machine=machine, private_key=self.private_key))
        return tuple(sorted(found, key=lambda host: host.machine.link.index))

    def host(self, name: str) -> LabHost:
        """One of the hosts that were brought up.

        Args:
            name: `lab2`, or just `2`.

        Raises:
            LabError: There is no such host.
        """
        by_name = {host.name: host for host in self.hosts()}
        found = by_name.get(name) or by_name.get(f"lab{name}")
        if found is None:
            message = (
                f"{name}: not a host of the laboratory, which has {', '.join(by_name) or 'none'}"
            )
            raise LabError(message)
        return found

    def up(self, hosts: int = 3) -> tuple[LabHost, ...]:
        """Bring hosts up and wait until they are ready; healthy ones are left as they are.

        Args:
            hosts: How many are wanted; more that are up already stay up.

        Returns:
            The first `hosts` hosts: lab1, lab2 and so on.

        Raises:
            CommandError: A program failed, while the image was built for example.
            LabError: A host does not come up.
            MissingError: This machine cannot carry a laboratory.
        """
        if not 0 <= self.number < _MOST_LABORATORIES:
            message = f"laboratory {self.number}: there are 0 to {_MOST_LABORATORIES - 1}"
            raise LabError(message)
        if not 1 <= hosts <= _MOST_HOSTS:
            message = f"{hosts} hosts: from 1 to {_MOST_HOSTS} fit"
            raise LabError(message)
        requirement.provide()
        with self._locked():
            self._prepare()
            image = cached_image(self._building, self.suite)
            made = tuple(
                Machine(
                    name=f"lab{index}",
                    directory=self.directory / f"lab{index}",
                    link=self.network.link(index),
                    layers=image.layers,
                )
                for index in range(1, hosts + 1)
            )
            wanted = tuple(LabHost(machine=each, private_key=self.private_key) for each in made)
            requirement.check_room(sum(not host.is_running for host in wanted))
            with ThreadPoolExecutor(max_workers=8) as pool:
                ready = tuple(pool.map(_make_healthy, wanted))
            self._write_known_hosts()
        return ready

    def down(self) -> None:
        """Remove every process, mount, link, namespace and file of the laboratory but its image.

        Works after a crash in the middle of `up` too.
        """
        if not self.directory.exists() and not self._group.exists():
            self.network.down()
            return
        with self._locked():
            self._building.remove()
            for host in self.hosts():
                host.machine.stop()
            self._group.remove()
            self.network.down()
            if self._made_namespaces.exists() and remove_namespace_directory():
                self._made_namespaces.unlink()
            discard(self.directory)
            with suppress(OSError):
                self._root.rmdir()

    def ssh_command(self, host: LabHost, user: str = "root", *command: str) -> tuple[str, ...]:
        """The system's ssh client, with the laboratory's key and no configuration of anybody's."""
        options = {
            "BatchMode": "yes",
            "ControlPath": "none",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "yes",
            "GlobalKnownHostsFile": "/dev/null",
            "UserKnownHostsFile": str(self.known_hosts),
        }
        flags = tuple(f"-o{name}={value}" for name, value in options.items())
        key = ("-F", "none", "-i", str(self.private_key))
        return ("ssh", *key, *flags, f"{user}@{host.address}", *command)

    @property
    def _root(self) -> Path:
        return Path(os.environ.get("KUBEXM_LAB_STATE") or "/var/lib/kubexm-lab")

    @property
    def _made_namespaces(self) -> Path:
        """Exists when /run/netns was no mount point before the first laboratory."""
        return self._root / "made-netns"

    @property
    def _group(self) -> ControlGroup:
        return ControlGroup(name=f"kubexm-lab-{self.number}")

    @property
    def _building(self) -> ControlGroup:
        return ControlGroup(name=f"{self._group.name}/building")

    def _prepare(self) -> None:
        check_overlay(self.directory)
        self._building.remove()
        self._group.make()
        if not namespace_directory_is_mounted():
            self._made_namespaces.touch()
        self.network.up()
        if not self.private_key.with_suffix(".pub").exists():
            self.private_key.unlink(missing_ok=True)
            comment = self.network.bridge
            run(
                "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", self.private_key
            )

    def _write_known_hosts(self) -> None:
        lines = [f"{host.address} {key}\n" for host in self.hosts() for key in host.host_keys]
        draft = self.directory / "known_hosts.new"
        draft.write_text("".join(lines), "utf-8")
        draft.replace(self.known_hosts)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time; `down` deletes the file, so it may have to be made anew."""
        path = self.directory / "lock"
        while True:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if path.exists() and path.stat().st_ino == os.fstat(lock.fileno()).st_ino:
                    yield
                    return


def _make_healthy(host: LabHost) -> LabHost:
    """Boot a host afresh unless it is well; a healthy one keeps the image that it has."""
    try:
        present = replace(host, machine=Machine.read(host.machine.directory))
    except (OSError, ValueError, KeyError):
        present = None
    if present is None or not present.is_healthy():
        host.reset()
        return host
    if present != host:
        note(f"{host.name} keeps its older image; lab.down and lab.up give it the present one")
    return present
