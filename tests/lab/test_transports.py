"""chroot, nspawn and podman keep the contract of connectors for real, directly and through ssh."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Connector, Endpoint, Inside, chroot, container, nspawn, ssh
from kubexm.errors import EscalationError, UnreachableError
from kubexm.inventory import load
from kubexm.runtime import Runtime, is_image
from kubexm.secret import Secret
from kubexm.shell import Become, Escalation, Script, Session, elevate
from kubexm.testing import ConnectorContract
from tests.integration.generated import play
from tests.lab.command import MissingError
from tests.lab.conftest import require_laboratory
from tests.lab.container import Container, has_podman
from tests.lab.container import container as running_container
from tests.lab.container import tree as image_tree
from tests.lab.image import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    require_laboratory()
    try:
        with image_tree(tmp_path_factory.mktemp("tree")) as made:
            yield made
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    require_laboratory()
    if not has_podman():
        pytest.skip("podman is missing: apt-get install podman crun")
    try:
        with running_container(tmp_path_factory.mktemp("container")) as made:
            yield made
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def host(lab_hosts: tuple[LabHost, ...]) -> LabHost:
    return lab_hosts[0]


def into(made: Container) -> Endpoint:
    return Endpoint(
        name=made.name, inside=Inside(executable=str(made.executable)), connect_timeout_s=60
    )


def over_ssh(host: LabHost, directory: Path, user: str = "root") -> Connector:
    """A connected connector to a laboratory host."""
    connector = ssh.plugin(
        Endpoint(
            name=host.name,
            address=host.address,
            user=user,
            private_key=str(host.private_key),
            known_hosts=str(directory / "known_hosts"),
            connect_timeout_s=60,
        )
    )
    connector.connect()
    return connector


class TestChroot(ConnectorContract):
    @pytest.fixture
    def connector(self, tree: Path) -> Connector:
        return chroot.plugin(
            Endpoint(name="tree", inside=Inside(root=str(tree)), connect_timeout_s=60)
        )

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> Connector:
        return chroot.plugin(Endpoint(name="tree", inside=Inside(root=str(tmp_path))))


class TestChrootThroughSsh(ConnectorContract):
    """The whole root of the host as a directory tree, from its own sshd."""

    @pytest.fixture
    def connector(self, host: LabHost, tmp_path: Path) -> Iterator[Connector]:
        other = over_ssh(host, tmp_path)
        found = chroot.plugin(Endpoint(name="tree", inside=Inside(root="/"), connect_timeout_s=60))
        found.through(other)
        yield found
        other.close()

    @pytest.fixture
    def unreachable(self, host: LabHost, tmp_path: Path) -> Iterator[Connector]:
        other = over_ssh(host, tmp_path)
        found = chroot.plugin(Endpoint(name="tree", inside=Inside(root="/var/nothing")))
        found.through(other)
        yield found
        other.close()


class TestNspawn(ConnectorContract):
    @pytest.fixture
    def connector(self, host: LabHost) -> Connector:
        inside = Inside(container=host.machine.nspawn_name)
        return nspawn.plugin(Endpoint(name=host.name, inside=inside, connect_timeout_s=60))

    @pytest.fixture
    def unreachable(self) -> Connector:
        return nspawn.plugin(Endpoint(name="no-such-container"))


class TestPodman(ConnectorContract):
    @pytest.fixture
    def connector(self, podman: Container) -> Connector:
        return container.podman(into(podman))

    @pytest.fixture
    def unreachable(self, podman: Container) -> Connector:
        return container.podman(replace(into(podman), name="no-such-container"))


# What the contract does not ask of every transport


def said_in(connector: Connector, text: str) -> str:
    session = Session.open(connector.open, timeout_s=60)
    try:
        return session.ask(Script(text), deadline_s=60).text.strip()
    finally:
        session.close()


def wait_until_gone(connector: Connector) -> None:
    limit = time.monotonic() + 30
    while connector.is_connected():
        assert time.monotonic() < limit, "the end of the place is not noticed"
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["chroot", "nspawn", "podman"])
def test_transport_takes_what_chance_brings(
    kind: str, tree: Path, host: LabHost, podman: Container
) -> None:
    connector = {
        "chroot": chroot.plugin(
            Endpoint(name="tree", inside=Inside(root=str(tree)), connect_timeout_s=60)
        ),
        "nspawn": nspawn.plugin(Endpoint(name=host.machine.nspawn_name, connect_timeout_s=60)),
        "podman": container.podman(into(podman)),
    }[kind]
    connector.connect()
    with closing(connector), closing(Session.open(connector.open, timeout_s=60)) as session:
        play(session)


def test_chroot_leaves_no_mount_and_cannot_write_the_kernels_settings(tree: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text("utf-8")
    connector = chroot.plugin(
        Endpoint(name="tree", inside=Inside(root=str(tree)), connect_timeout_s=60)
    )
    connector.connect()
    try:
        refused = "for file in /proc/sys/vm/swappiness /sys/kernel/profiling; do "
        refused += "[ ! -e $file ] || { echo 1 >$file; } 2>/dev/null || echo refused; done"
        assert set(said_in(connector, refused).split()) == {"refused"}
        assert said_in(connector, "echo $HOME; test -c /dev/null && test -d /proc/self") == "/root"
    finally:
        connector.close()
    assert connector.is_image
    assert Path("/proc/self/mountinfo").read_text("utf-8") == before


def test_nspawn_has_the_capabilities_of_the_container_and_no_more(host: LabHost) -> None:
    inside = Inside(container=host.machine.nspawn_name)
    connector = nspawn.plugin(Endpoint(name=host.name, inside=inside, connect_timeout_s=60))
    connector.connect()
    try:
        bounds = "for pid in 1 self; do grep CapBnd /proc/$pid/status; done | sort -u; id -u"
        bound, user = said_in(connector, bounds).splitlines()
        assert user == "0"
        assert not int(bound.split()[1], 16) >> 25 & 1  # SYS_TIME, which the laboratory drops
        assert said_in(connector, "cat /proc/sys/kernel/hostname") == host.name
    finally:
        connector.close()
    assert not connector.is_image


def test_end_of_a_container_is_noticed(podman: Container) -> None:
    connector = container.podman(into(podman))
    connector.connect()
    process = connector.open("sleep 600")
    podman.podman("kill", podman.name)
    wait_until_gone(connector)
    with pytest.raises(UnreachableError, match="not connected to the container"):
        connector.open("true")
    process.kill()
    connector.close()
    with pytest.raises(UnreachableError, match="is not running"):
        connector.connect()
    podman.podman("start", podman.name)
    connector.connect()
    connector.close()


def test_user_of_a_container(podman: Container) -> None:
    connector = container.podman(replace(into(podman), user="nopass"))
    connector.connect()
    assert said_in(connector, "id -un") == "nopass"
    connector.close()


@pytest.mark.parametrize("user", ["nopass", "asks"])
def test_client_that_wants_root_gets_it_from_sudo_on_the_other_host(
    host: LabHost, tmp_path: Path, user: str
) -> None:
    """Through the whole of the inventory, the runtime and sudo, with a password and without."""
    path = tmp_path / "inventory.yaml"
    path.write_text(
        f"""
all:
  hosts:
    tree: {{kubexm_connection: chroot, kubexm_root: /, kubexm_via: deeper}}
    deeper: {{kubexm_connection: chroot, kubexm_root: /, kubexm_via: {host.name}}}
    {host.name}:
      kubexm_host: {host.address}
      kubexm_user: {user}
      kubexm_become_password: '{PASSWORD.replace("'", "''")}'
      kubexm_private_key_file: {host.private_key}
      kubexm_known_hosts: {tmp_path}/known_hosts
  vars: {{kubexm_connect_timeout: 60}}
""",
        "utf-8",
    )
    inventory = load(path)
    tree = inventory.host("tree")
    runtime = Runtime(inventory, (tree,))
    with runtime.connected(tree) as connector, runtime.session(tree, connector) as session:
        shown = session.ask(Script("id -u; cat /proc/sys/kernel/hostname"))
        assert shown.text.split() == ["0", host.name]
        assert is_image(tree, connector)


def test_sudo_that_refuses_is_told_as_such(host: LabHost, tmp_path: Path) -> None:
    other = over_ssh(host, tmp_path, user="plain")
    escalation = Escalation(method=Become.SUDO, password=Secret(PASSWORD))
    with pytest.raises(EscalationError, match="not permitted"):
        elevate(other.open, escalation, "true", timeout_s=60)
    other.close()
