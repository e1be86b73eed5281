"""The jobs in pyinfra's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from tests.benchmarks import job

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.benchmarks.stage import Target

HOME = f"{job.BASE}/HOST"
"""Stands for the host's own directory; the deploy puts the name in."""

FACTS = (
    "server.Os",
    "server.Kernel",
    "server.Hostname",
    "server.LinuxDistribution",
    "server.Mounts",
)

_HEAD = """\
from io import StringIO

from pyinfra import host
from pyinfra.operations import apt, files, server, systemd

home = f"BASE/{host.name}"
"""


def inventory(target: Target) -> str:
    """An inventory of Python values."""
    common = {
        "ssh_user": "root",
        "ssh_port": target.port,
        "ssh_key": str(target.private_key),
        "ssh_strict_host_key_checking": "off",
    }
    return f"hosts = {[(name, {'ssh_hostname': at, **common}) for name, at in target.pairs]!r}\n"


def deploy(items: Iterable[job.Item]) -> str:
    """A deploy file with one operation for each item."""
    return "\n".join((_HEAD.replace("BASE", job.BASE), *map(_operation, items), ""))


def _path(path: str) -> str:
    return f"f{path.replace(HOME, '{home}')!r}"


def _operation(item: job.Item) -> str:  # noqa: PLR0911 - one a kind
    match item:
        case job.Folder():
            return f"files.directory(path={_path(item.path)}, mode='755')"
        case job.Text():
            content = f"StringIO({item.content!r})"
            return f"files.put(src={content}, dest={_path(item.path)}, mode='644')"
        case job.Rendered():
            template = f"StringIO({item.template!r})"
            data = "mode='644', host_name=host.name"
            return f"files.template(src={template}, dest={_path(item.path)}, {data})"
        case job.Line():
            return f"files.line(path={_path(item.path)}, line={item.line!r}, ensure_newline=True)"
        case job.Link():
            return f"files.link(path={_path(item.path)}, target={_path(item.target)})"
        case job.Account():
            return f"server.user(user={item.name!r}, ensure_home=False)"
        case job.Packages():
            return f"apt.packages(packages={list(item.names)!r})"
        case job.Unit():
            return f"systemd.service(service={item.name!r}, running=True, enabled=True)"
    assert_never(item)
