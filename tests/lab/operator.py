"""An operator at work: a project with an inventory of laboratory hosts, and `inv` in it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.image import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory
    from tests.lab.vm_host import VirtualHost


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command came to."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, object]]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def of(self, event: str, host: str = "") -> list[dict[str, object]]:
        """The events of one kind, of one host where one is named."""
        return [
            found
            for found in self.events
            if found["event"] == event and (not host or found["host"] == host)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A project's directory, with commands that run in it as a user types them."""

    project: Path

    @classmethod
    def with_hosts(
        cls,
        project: Path,
        lab: Laboratory,
        hosts: tuple[LabHost, ...],
        *,
        user: str = "asks",
        more: str = "",
    ) -> Operator:
        """An operator whose inventory has these hosts.

        Args:
            project: An empty directory.
            lab: For its key and known hosts.
            hosts: In order; the first is the control plane.
            user: Whom to log in as. `asks` has the password of the laboratory.
            more: Further YAML, at the level of `all`'s keys.
        """
        named = "".join(f"    {host.name}: {{kubexm_host: {host.address}}}\n" for host in hosts)
        workers = "".join(f"        {host.name}:\n" for host in hosts[1:])
        empty = f"        {hosts[0].name}:\n"
        password = json.dumps(PASSWORD)
        (project / "inventories").mkdir(parents=True, exist_ok=True)
        (project / "tasks.py").write_text("from kubexm.tasks import ns\n")
        (project / "inventories" / "default.yaml").write_text(
            "all:\n"
            f"  hosts:\n{named}"
            "  children:\n"
            f"    kube_control_plane:\n      hosts:\n        {hosts[0].name}:\n"
            f"    kube_node:\n      hosts:\n{workers or empty}"
            "  vars:\n"
            f"    kubexm_user: {user}\n"
            f"    kubexm_private_key_file: {lab.private_key}\n"
            f"    kubexm_known_hosts: {project / 'known_hosts'}\n"
            f"    kubexm_become_password: {password}\n"
            f"    kubexm_connect_timeout: 4\n{more}"
        )
        return cls(project=project)

    @classmethod
    def with_machine(
        cls, project: Path, host: VirtualHost, *, name: str, more: str = ""
    ) -> Operator:
        """An operator with one virtual machine, who logs in as `asks` and must not hurry.

        Args:
            project: An empty directory.
            host: A host that answers.
            name: Its name in the inventory, and what it shall call itself.
            more: Further YAML, at the level of `all`'s keys.
        """
        (project / "inventories").mkdir(parents=True, exist_ok=True)
        (project / "tasks.py").write_text("from kubexm.tasks import ns\n")
        (project / "inventories" / "default.yaml").write_text(
            "all:\n"
            "  hosts:\n"
            f"    {name}:\n"
            f"      kubexm_host: {host.address}\n"
            f"      kubexm_port: {host.port}\n"
            f"      kubexm_internal_address: {host.internal_address}\n"
            "  vars:\n"
            "    kubexm_user: asks\n"
            f"    kubexm_private_key_file: {host.machine.private_key}\n"
            f"    kubexm_known_hosts: {project / 'known_hosts'}\n"
            f"    kubexm_become_password: {json.dumps(PASSWORD)}\n"
            f"    kubexm_connect_timeout: 120\n{more}"
        )
        return cls(project=project)

    @property
    def inventory(self) -> Path:
        """The default inventory's file."""
        return self.project / "inventories" / "default.yaml"

    def inv(self, *words: str, timeout_s: float = 110) -> Done:
        """Run an `inv` command in the project, without a terminal."""
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *words],
            cwd=self.project,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Done(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)
