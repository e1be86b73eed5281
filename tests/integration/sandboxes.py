"""Sandboxes for tests: made, opened, and asked for something."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Endpoint
from kubexm.connector.mount_table import mounted
from kubexm.connector.sandbox import SandboxConnector, plugin
from kubexm.shell import Script, Session
from tests.integration.untouched import processes_with

if TYPE_CHECKING:
    from collections.abc import Iterator


_SYS_ADMIN = 21
"""The number of that capability in linux/capability.h."""


def require_sandbox() -> None:
    """Skip the test at hand on a machine that cannot be copied."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a sandbox needs root on Linux")
    status = Path("/proc/self/status").read_text("ascii")
    held = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    if not int(held, 16) >> _SYS_ADMIN & 1:
        pytest.skip("a sandbox needs root with the capability SYS_ADMIN")
    table = mounted(Path("/proc/self/mountinfo").read_text("utf-8"))
    if any(one.target == "/" and one.kind == "overlay" for one in table):
        pytest.skip("a sandbox needs a root file system that is not an overlay itself")
    if "overlay" not in Path("/proc/filesystems").read_text("ascii").split():
        pytest.skip("a sandbox needs overlayfs in the kernel: modprobe overlay")


def sandbox(base: Path, name: str = "node", timeout_s: float = 30) -> SandboxConnector:
    options = {"directory": str(base)}
    return plugin(Endpoint(name=name, connect_timeout_s=timeout_s, options=options))


@contextmanager
def opened(base: Path, name: str = "node") -> Iterator[Session]:
    """A session in the sandbox of that name; closed with all its processes at the end."""
    connector = sandbox(base, name)
    connector.connect()
    try:
        with closing(Session.open(connector.open)) as session:
            yield session
    finally:
        connector.close()


def text(session: Session, command: str) -> str:
    reply = session.ask(Script(command), deadline_s=60)
    assert reply.exit_status == 0, (command, reply)
    return reply.text.strip()


def wait_until_gone(base: Path) -> None:
    limit = time.monotonic() + 10
    while processes_with(str(base)):
        assert time.monotonic() < limit, processes_with(str(base))
        time.sleep(0.05)
