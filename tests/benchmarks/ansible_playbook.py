"""The jobs in Ansible's language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, assert_never

from tests.benchmarks import job

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.benchmarks.stage import Target

HOME = f"{job.BASE}/{{{{ inventory_hostname }}}}"


def inventory(target: Target) -> str:
    """An INI inventory."""
    lines = [f"{name} ansible_host={at}" for name, at in target.pairs]
    lines += ["[all:vars]", "ansible_user=root", f"ansible_port={target.port}"]
    lines += [f"ansible_ssh_private_key_file={target.private_key}"]
    lines += ["ansible_python_interpreter=/usr/bin/python3"]
    return "\n".join((*lines, ""))


def configuration(forks: int, mitogen: Path | None) -> str:
    """An ansible.cfg with what its users' guides recommend for speed.

    Args:
        forks: Hosts at once.
        mitogen: The directory of packages in which Mitogen's plugins are; `None` without it.
    """
    lines = ["[defaults]", "inventory = hosts.ini", f"forks = {forks}"]
    lines += ["host_key_checking = False", "interpreter_python = /usr/bin/python3"]
    if mitogen is not None:
        lines += [f"strategy_plugins = {mitogen}/ansible_mitogen/plugins/strategy"]
        lines += ["strategy = mitogen_linear"]
    lines += ["[ssh_connection]", "pipelining = True"]
    lines += ["ssh_args = -o ControlMaster=auto -o ControlPersist=30s"]
    return "\n".join((*lines, ""))


def playbook(items: Iterable[job.Item]) -> str:
    """A playbook with one task for each item; JSON, which is YAML too."""
    play = {
        "hosts": "all",
        "gather_facts": True,
        "vars": {"host_name": "{{ inventory_hostname }}"},
        "tasks": [_task(item) for item in items],
    }
    return json.dumps([play], indent=1)


def _task(item: job.Item) -> Mapping[str, object]:  # noqa: PLR0911 - one a kind
    match item:
        case job.Folder():
            return {"file": {"path": item.path, "state": "directory", "mode": "0755"}}
        case job.Text():
            return {"copy": {"dest": item.path, "content": item.content, "mode": "0644"}}
        case job.Rendered():
            # What `template` does, without forty files beside the playbook.
            return {"copy": {"dest": item.path, "content": item.template, "mode": "0644"}}
        case job.Line():
            return {"lineinfile": {"path": item.path, "line": item.line, "create": True}}
        case job.Link():
            return {"file": {"path": item.path, "src": item.target, "state": "link"}}
        case job.Account():
            return {"user": {"name": item.name}}
        case job.Packages():
            return {"apt": {"name": list(item.names)}}
        case job.Unit():
            return {"systemd": {"name": item.name, "state": "started", "enabled": True}}
    assert_never(item)
