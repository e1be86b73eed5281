"""The hosts: addresses of one laboratory host, reached within its own network namespace.

Every 127.1.a.b of that namespace is the host's own sshd, so a thousand "hosts" cost one machine,
and nothing of it can be reached from outside. The tools run in the namespace too, on this
machine's files. What a host is asked to have lies in a directory of its own (`job.items`).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.job import BASE
from tests.benchmarks.relay import address
from tests.lab.command import run
from tests.lab.image import apt_sources
from tests.lab.laboratory import Laboratory
from tests.tasks import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.host import LabHost

_SSHD = """\
MaxStartups 1000
MaxSessions 20
UseDNS no
LoginGraceTime 0
PerSourcePenalties no
"""
_RELAY_PORT = 2222
_NEEDED = ("python3", "python3-apt", "ca-certificates")
"""What Ansible needs on a host and nobody else; and, with openssl, what every real host has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the tools find their hosts.

    Attributes:
        addresses: One a host, in order.
        port: sshd's, or the relay's.
        private_key: For root.
        enter: What to put before a command so that it runs where the hosts are.
    """

    addresses: tuple[str, ...]
    port: int
    private_key: Path
    enter: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts' names: h0001 and so on."""
        return tuple(f"h{number:04}" for number in range(1, len(self.addresses) + 1))

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Name and address of each."""
        return tuple(zip(self.names, self.addresses, strict=True))


class Stage:
    """One laboratory host and the ways to it."""

    def __init__(self, laboratory: Laboratory, host: LabHost) -> None:
        self._laboratory = laboratory
        self._host = host
        self.counts: dict[str, int] = {}
        """What the last relay saw; see `relay.Counts`."""

    @classmethod
    @contextlib.contextmanager
    def built(cls) -> Iterator[Stage]:
        """A stage with everything that every tool needs; it is taken down at the end.

        Raises:
            LabError: This machine cannot carry a laboratory.
        """
        laboratory = Laboratory.unused()
        try:
            (host,) = laboratory.up(1)
            stage = cls(laboratory, host)
            stage._equip()
            yield stage
        finally:
            laboratory.down()

    @property
    def enter(self) -> tuple[str, ...]:
        """The way into the host's network namespace, on this machine's files."""
        return ("ip", "netns", "exec", self._host.machine.link.namespace)

    @contextlib.contextmanager
    def target(self, hosts: int, delay_ms: float | None) -> Iterator[Target]:
        """So many hosts, through a relay with that one-way delay unless it is `None`."""
        key = self._laboratory.private_key
        network, port = (1, 22) if delay_ms is None else (2, _RELAY_PORT)
        target = Target(
            addresses=tuple(address(network, number) for number in range(1, hosts + 1)),
            port=port,
            private_key=key,
            enter=self.enter,
        )
        if delay_ms is None:
            yield target
            return
        with tempfile.TemporaryDirectory() as directory:
            counts = Path(directory) / "counts"
            words = map(str, (_RELAY_PORT, 22, delay_ms, hosts, counts))
            command = [*self.enter, sys.executable, "-m", "tests.benchmarks.relay", *words]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as relay:
                try:
                    assert relay.stdout is not None
                    assert relay.stdout.readline() == b"ready\n"
                    yield target
                finally:
                    relay.terminate()
                    relay.wait()
            self.counts = json.loads(counts.read_text("utf-8"))

    def clear(self) -> None:
        """Take away what the tools made, but the directory that all of them would have to make.

        What earlier runs have left to be written to the disk is written now: whoever waits for
        that of its own would wait for theirs.
        """
        self._host.exec("rm", "-rf", BASE, "/root/.ansible", check=True)
        self._host.exec("mkdir", "-p", BASE, check=True)
        os.sync()

    def _equip(self) -> None:
        drop_in = "/etc/ssh/sshd_config.d/bench.conf"
        self._host.exec("tee", drop_in, stdin=_SSHD, check=True)
        if self._host.exec("sshd", "-t").returncode != 0:  # older than 9.8: no penalties yet
            known = _SSHD.replace("PerSourcePenalties no\n", "")
            self._host.exec("tee", drop_in, stdin=known, check=True)
        self._host.exec("systemctl", "reload", "ssh", check=True)
        self._install()

    def _install(self) -> None:
        """From this machine's own package sources, over its own network."""
        leader = str(self._host.machine.leader())
        enter = ("nsenter", "--target", leader, "--mount", "--uts", "--ipc", "--pid")
        parts = "/etc/apt/sources.list.d"
        for file in apt_sources():
            self._host.exec(
                "tee", f"{parts}/{file.name}", stdin=file.read_text("utf-8"), check=True
            )
        self._host.exec(
            "tee", "/etc/resolv.conf", stdin=Path("/etc/resolv.conf").read_text("utf-8")
        )
        quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq")
        run(*enter, *quiet, "update", timeout_s=300)
        run(*enter, *quiet, "install", "--yes", "--no-install-recommends", *_NEEDED, timeout_s=600)
        for file in apt_sources():
            self._host.exec("rm", f"{parts}/{file.name}", check=True)
        self._host.exec("tee", "/etc/resolv.conf", stdin="")
