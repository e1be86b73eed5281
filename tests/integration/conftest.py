"""Fixtures around a real sshd on the loopback; without one the tests say so and are skipped."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubexm.connector.ssh import SshConnector
from tests.integration.sshd import Agent, SshServer, find_sshd

ServerMaker = Callable[..., SshServer]


@pytest.fixture
def sshd(make_sshd: ServerMaker) -> SshServer:
    """One server with default settings."""
    return make_sshd()


@pytest.fixture
def connected(sshd: SshServer) -> Iterator[SshConnector]:
    """A connection to it."""
    connector = SshConnector(sshd.endpoint())
    connector.connect()
    yield connector
    connector.close()


@pytest.fixture
def make_sshd(tmp_path: Path, home: Path) -> Iterator[ServerMaker]:
    """Starts servers; takes what `SshServer` takes. They end with the test."""
    del home
    if find_sshd() is None:
        pytest.skip("sshd is missing: install openssh-server")
    servers: list[SshServer] = []

    def make(**settings: object) -> SshServer:
        directory = tmp_path / f"sshd{len(servers)}"
        server = SshServer(directory=directory, **settings)  # type: ignore[arg-type] # as above
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with an empty .ssh and no agent, so that the user's own keys stay out."""
    path = tmp_path / "home"
    (path / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return path


@pytest.fixture
def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """An ssh-agent of the test's own, named in SSH_AUTH_SOCK."""
    started = Agent.start(home / "agent")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(started.socket))
    yield started
    started.stop()
