"""The tools: how each is installed, and how it is told to do a job.

A tool writes what it needs into a directory and returns the command line that does the job there.
"""

from __future__ import annotations

import compileall
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.benchmarks import ansible_playbook, pyinfra_deploy
from tests.benchmarks.job import Job, items, payload
from tests.benchmarks.record import recorded
from tests.tasks import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.benchmarks.stage import Target

FORKS = 50
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run in the tool's directory, and with which environment besides."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


class Tool(Protocol):
    """One contestant."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        ...

    @property
    def jobs(self) -> frozenset[Job]:
        """What it can do."""
        ...

    def command(self, job: Job, target: Target, directory: Path) -> Command:
        """Write what it needs into the directory, and return what does the job."""
        ...


def environment(name: str) -> Path:
    """The directory with the programs of a virtual environment that `constraints/NAME.txt` pins.

    It is kept in the user's cache under a digest of that file.

    Raises:
        CalledProcessError: pip could not install it; its words are on stderr.
    """
    pinned = _HERE / "constraints" / f"{name}.txt"
    digest = hashlib.sha256(pinned.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "kubexm-bench" / f"{name}-{digest}"
    if not (directory / "done").exists():
        sys.stderr.write(f"bench: installing {name}\n")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(directory)], check=True)
        pip = [str(directory / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        pip += ["install", "--quiet", "--no-deps", "--require-hashes", "-r", str(pinned)]
        subprocess.run(pip, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)
        (directory / "done").touch()
    return directory / "bin"


@dataclass(frozen=True, slots=True)
class Kubexm:
    """This checkout."""

    name: str = "kubexm"
    jobs: frozenset[Job] = frozenset(Job)

    def command(self, job: Job, target: Target, directory: Path) -> Command:
        """An `inv` task of a user's own project.

        pip compiled the modules of the other tools when it installed them, and would ours; invoke
        keeps what Python compiles from being kept.
        """
        for directory_of_ours in ("kubexm", "plugins", "tests/benchmarks"):
            compileall.compile_dir(ROOT / directory_of_ours, quiet=1)
        hosts = "".join(f"    {name}: {{kubexm_host: {at}}}\n" for name, at in target.pairs)
        (directory / "hosts.yaml").write_text(
            f"all:\n  hosts:\n{hosts}  vars:\n    kubexm_user: root\n"
            f"    kubexm_port: {target.port}\n"
            f"    kubexm_private_key_file: {target.private_key}\n"
            f"    kubexm_known_hosts: {directory / 'known_hosts'}\n"
        )
        (directory / "tasks.py").write_text((_HERE / "kubexm_tasks.py").read_text("utf-8"))
        words: tuple[str, ...]
        match job:
            case Job.COMMAND:
                words = ("hosts.run", "hostname")
            case Job.FIRST | Job.CONVERGED:
                words = ("forty",)
            case Job.FILE:
                words = ("spread",)
            case Job.PING | Job.FACTS:
                words = (f"hosts.{job}",)
        inv = (sys.executable, "-m", "invoke", *words)
        return Command(
            words=(*inv, "-i", "hosts.yaml", "--forks", str(FORKS), "--output", "plain"),
            environment={"PYTHONPATH": str(ROOT)},
        )


@dataclass(frozen=True, slots=True)
class Pyinfra:
    """pyinfra, over its own paramiko."""

    name: str = "pyinfra"
    jobs: frozenset[Job] = frozenset({Job.COMMAND, Job.FIRST, Job.CONVERGED, Job.FACTS})

    def command(self, job: Job, target: Target, directory: Path) -> Command:
        """A deploy of operations, or one of its own verbs."""
        (directory / "hosts.py").write_text(pyinfra_deploy.inventory(target))
        program = str(environment("pyinfra") / "pyinfra")
        common = (program, "--yes", "--parallel", str(FORKS), "hosts.py")
        if job is Job.COMMAND:
            return Command(words=(*common, "exec", "--", "hostname"))
        if job is Job.FACTS:
            return Command(words=(*common, "fact", *pyinfra_deploy.FACTS))
        (directory / "deploy.py").write_text(pyinfra_deploy.deploy(items(pyinfra_deploy.HOME)))
        return Command(words=(*common, "deploy.py"))


@dataclass(frozen=True, slots=True)
class Ansible:
    """ansible-core with 50 forks, pipelining and ControlPersist; with or without Mitogen."""

    name: str = "ansible"
    mitogen: bool = False
    jobs: frozenset[Job] = frozenset(Job) - {Job.FILE}

    def command(self, job: Job, target: Target, directory: Path) -> Command:
        """A playbook, or an ad-hoc command."""
        programs = environment("ansible")
        (directory / "hosts.ini").write_text(ansible_playbook.inventory(target))
        site = next((programs.parent / "lib").glob("python3*")) / "site-packages"
        (directory / "ansible.cfg").write_text(
            ansible_playbook.configuration(FORKS, site if self.mitogen else None)
        )
        words: tuple[str, ...]
        ad_hoc = {Job.PING: "ping", Job.FACTS: "setup", Job.COMMAND: "command"}
        if job in ad_hoc:
            options = ("-a", "hostname") if job is Job.COMMAND else ()
            program, words = "ansible", ("all", "-m", ad_hoc[job], *options)
        else:
            (directory / "site.yml").write_text(
                ansible_playbook.playbook(items(ansible_playbook.HOME))
            )
            program, words = "ansible-playbook", ("site.yml",)
        return Command(
            words=(str(programs / program), *words),
            environment={
                "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
                "ANSIBLE_HOME": str(directory / "home"),
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory / "control"),
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            },
        )


@dataclass(frozen=True, slots=True)
class Fabric:
    """Fabric's own `ThreadingGroup`."""

    name: str = "fabric"
    jobs: frozenset[Job] = frozenset({Job.COMMAND})

    def command(self, job: Job, target: Target, directory: Path) -> Command:
        """One `run` on a group."""
        del job
        return _script("fabric_group.py", target, directory)


@dataclass(frozen=True, slots=True)
class ParamikoFloor:
    """paramiko with TCP_NODELAY: connect, and two execs of kubexm's very own scripts."""

    name: str = "floor: paramiko"
    jobs: frozenset[Job] = frozenset({Job.CONVERGED})

    def command(self, job: Job, target: Target, directory: Path) -> Command:
        """The recorded scripts, on as many threads as kubexm has."""
        del job
        recorded(target, directory)
        return _script("paramiko_floor.py", target, directory)


@dataclass(frozen=True, slots=True)
class OpensshFloor:
    """OpenSSH's client under `xargs -P`: two connections a host, with the same scripts."""

    name: str = "floor: openssh"
    jobs: frozenset[Job] = frozenset({Job.CONVERGED})

    def command(self, job: Job, target: Target, directory: Path) -> Command:
        """The recorded scripts."""
        del job
        recorded(target, directory)
        (directory / "addresses").write_text("".join(f"{at}\n" for at in target.addresses))
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
        ssh = f"ssh -q {options} -p {target.port} -i {target.private_key} root@$1"
        text = f'for n in 1 2; do {ssh} "$(cat loop)" <script$n >/dev/null || exit; done'
        line = f"xargs -P {FORKS} -n 1 sh -c '{text}' sh <addresses"
        return Command(words=("sh", "-c", line))


@dataclass(frozen=True, slots=True)
class Scp:
    """OpenSSH's scp under `xargs -P`, one for each host."""

    name: str = "scp"
    jobs: frozenset[Job] = frozenset({Job.FILE})

    def command(self, job: Job, target: Target, directory: Path) -> Command:
        """It neither compares nor verifies."""
        del job
        pairs = (f"{at} {payload(name)}\n" for name, at in target.pairs)
        (directory / "pairs").write_text("".join(pairs))
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
        scp = f'scp -q {options} -P {target.port} -i {target.private_key} payload "root@$1:$2"'
        line = f"xargs -P {FORKS} -n 2 sh -c '{scp}' sh <pairs"
        return Command(words=("sh", "-c", line))


def _script(name: str, target: Target, directory: Path) -> Command:
    settings = {
        "addresses": target.addresses,
        "port": target.port,
        "key": str(target.private_key),
        "forks": FORKS,
    }
    (directory / "settings.json").write_text(json.dumps(settings))
    return Command(words=(sys.executable, str(_HERE / name)))


TOOLS: tuple[Tool, ...] = (
    Kubexm(),
    Pyinfra(),
    Ansible(),
    Ansible(name="ansible + mitogen", mitogen=True),
    Fabric(),
    ParamikoFloor(),
    OpensshFloor(),
    Scp(),
)
