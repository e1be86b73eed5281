"""The contract of connectors, kept by every transport that this machine alone can carry.

chroot, nspawn and podman are in `tests/lab/test_transports.py`. Behind docker and kubectl stands
`tests/integration/client.py`, which reads the real arguments and runs the real command line.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import (
    Carried,
    Connector,
    Endpoint,
    Inside,
    container,
    kubectl,
    local,
    openssh,
    sandbox,
    ssh,
)
from kubexm.testing import ConnectorContract
from tests.integration import client
from tests.integration.sandboxes import require_sandbox
from tests.integration.sshd import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration


class TestLocal(ConnectorContract):
    test_an_unreachable_place_is_told_in_time = None  # type: ignore[assignment] # always here

    @pytest.fixture
    def connector(self) -> Connector:
        return local.plugin(Endpoint(name="here"))


class TestSsh(ConnectorContract):
    @pytest.fixture
    def connector(self, sshd: SshServer) -> Connector:
        return ssh.plugin(sshd.endpoint(connect_timeout_s=60))

    @pytest.fixture
    def unreachable(self, home: Path) -> Connector:
        del home
        return ssh.plugin(Endpoint(name="nowhere", address="127.0.0.1", port=free_port()))


class TestOpenSsh(ConnectorContract):
    @pytest.fixture
    def connector(self, sshd: SshServer) -> Connector:
        return openssh.plugin(sshd.endpoint(connect_timeout_s=60))

    @pytest.fixture
    def unreachable(self) -> Connector:
        return openssh.plugin(Endpoint(name="nowhere", address="127.0.0.1", port=free_port()))


class TestSandbox(ConnectorContract):
    @pytest.fixture
    def connector(self, tmp_path: Path) -> Connector:
        require_sandbox()
        options = {"directory": str(tmp_path)}
        return sandbox.plugin(Endpoint(name="node", options=options, connect_timeout_s=60))

    @pytest.fixture
    def unreachable(self) -> Connector:
        return sandbox.plugin(Endpoint(name="node", options={"directory": "/proc/nowhere"}))


class TestDocker(ConnectorContract):
    @pytest.fixture
    def connector(self, programs: Path) -> Connector:
        inside = Inside(executable=str(programs / "docker"))
        return container.docker(
            Endpoint(name=client.CONTAINER, inside=inside, connect_timeout_s=60)
        )

    @pytest.fixture
    def unreachable(self, programs: Path) -> Connector:
        inside = Inside(executable=str(programs / "docker"))
        return container.docker(Endpoint(name="no-such-container", inside=inside))


class TestKubectl(ConnectorContract):
    """Carried by the ssh connector: the client runs there."""

    @pytest.fixture
    def connector(self, programs: Path, other: Connector) -> Connector:
        return carried(kubectl.plugin(pod(programs)), other)

    @pytest.fixture
    def unreachable(self, programs: Path, other: Connector) -> Connector:
        elsewhere = pod(programs)
        inside = replace(elsewhere.inside, namespace="another")
        return carried(kubectl.plugin(replace(elsewhere, inside=inside)), other)


@pytest.fixture
def other(sshd: SshServer) -> Iterator[Connector]:
    """A connected connector for clients to be carried by."""
    connector = ssh.plugin(sshd.endpoint(connect_timeout_s=60))
    connector.connect()
    yield connector
    connector.close()


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with clients that are stand-ins."""
    made = tmp_path / "programs"
    made.mkdir()
    for name in ("docker", "kubectl"):
        (made / name).write_text(f"#!{sys.executable} -ISs\n" + Path(client.__file__).read_text())
        (made / name).chmod(0o755)
    return made


def pod(programs: Path) -> Endpoint:
    inside = Inside(
        executable=str(programs / "kubectl"),
        pod=client.POD,
        namespace=client.NAMESPACE,
        container="app",
        context="here",
        kubeconfig="/some/config",
    )
    return Endpoint(name="pod", inside=inside, connect_timeout_s=60)


def carried(connector: Connector, other: Connector) -> Connector:
    assert isinstance(connector, Carried)
    connector.through(other)
    return connector
