"""The wire and every transport hold under what chance comes up with; see `generated`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Connector, Endpoint, openssh, sandbox, ssh
from kubexm.shell import Session
from tests.integration.generated import play
from tests.integration.sandboxes import require_sandbox
from tests.integration.wire import SHELLS, USERLAND, machine, session_on

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("examples", [4, pytest.param(200, marks=pytest.mark.full)])
@pytest.mark.parametrize("kind", [*SHELLS, USERLAND])
def test_every_shell_takes_what_chance_brings(kind: str, examples: int, tmp_path: Path) -> None:
    with session_on(machine(kind, tmp_path)) as session:
        play(session, examples=examples)


def over(connector: Connector) -> None:
    connector.connect()
    try:
        with closing(Session.open(connector.open, timeout_s=60)) as session:
            play(session)
    finally:
        connector.close()


def test_ssh_takes_what_chance_brings(sshd: SshServer) -> None:
    over(ssh.plugin(sshd.endpoint(connect_timeout_s=60)))


def test_openssh_takes_what_chance_brings(sshd: SshServer) -> None:
    over(openssh.plugin(sshd.endpoint(connect_timeout_s=60)))


def test_sandbox_takes_what_chance_brings(tmp_path: Path) -> None:
    require_sandbox()
    options = {"directory": str(tmp_path)}
    over(sandbox.plugin(Endpoint(name="node", options=options, connect_timeout_s=60)))
