"""What ~/.ssh/config says to the ssh connector."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.ssh import SshConnector
from kubexm.errors import (
    AuthenticationError,
    ConnectError,
    UnreachableError,
)
from tests.integration.lines import assert_no_more, descriptors, finish
from tests.integration.sshd import free_port, make_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import Agent, SshServer


pytestmark = pytest.mark.integration


class TestConfiguration:
    def test_ssh_config_fills_in_what_the_endpoint_leaves_empty(
        self, sshd: SshServer, home: Path
    ) -> None:
        (home / ".ssh" / "config").write_text(
            f"Host machine\n  HostName 127.0.0.1\n  Port {sshd.port}\n"
            f"  User {sshd.endpoint().user}\n  IdentityFile {sshd.private_key}\n"
        )
        endpoint = sshd.endpoint(address="machine", port=0, user="", private_key="")
        connector = SshConnector(endpoint)
        connector.connect()
        assert finish(connector.open("echo hello"))[0] == b"hello\n"
        connector.close()

    def test_the_endpoint_wins_over_ssh_config(self, sshd: SshServer, home: Path) -> None:
        (home / ".ssh" / "config").write_text(
            "Host *\n  Port 1\n  User nobody\n  IdentityFile ~/.ssh/none\n  ConnectTimeout 1\n"
        )
        connector = SshConnector(sshd.endpoint())
        connector.connect()
        connector.close()

    def test_identities_only_keeps_the_agents_other_keys_out(
        self, sshd: SshServer, home: Path, agent: Agent
    ) -> None:
        agent.add(sshd.private_key)
        mine = make_key(home / "mine")
        (home / ".ssh" / "config").write_text(f"IdentitiesOnly yes\nIdentityFile {mine}\n")
        with pytest.raises(AuthenticationError, match=rf"key {mine} \(refused"):
            SshConnector(sshd.endpoint(private_key="")).connect()

    def test_a_broken_configuration_is_an_error_of_ours(self, sshd: SshServer, home: Path) -> None:
        (home / ".ssh" / "config").write_text("Host *\n  Port many\n")
        with pytest.raises(ConnectError, match="configuration"):
            SshConnector(sshd.endpoint(port=0)).connect()

    def test_a_proxy_jump_that_is_none_is_an_error_of_ours(
        self, sshd: SshServer, home: Path
    ) -> None:
        (home / ".ssh" / "config").write_text("Host *\n  ProxyJump gate:many\n")
        with pytest.raises(ConnectError, match="gate:many"):
            SshConnector(sshd.endpoint()).connect()

    def test_proxy_jump_goes_through_each_host_in_order(
        self, make_sshd: ServerMaker, home: Path
    ) -> None:
        first, second, last = make_sshd(), make_sshd(), make_sshd()
        hops = ",".join(f"{s.endpoint().user}@127.0.0.1:{s.port}" for s in (first, second))
        (home / ".ssh" / "config").write_text(
            f"Host end\n  HostName 127.0.0.1\n  ProxyJump {hops}\n"
        )
        shutil.copy(first.private_key, home / ".ssh" / "id_ed25519")
        second.authorize(first.private_key)
        before = set(threading.enumerate())
        connector = SshConnector(last.endpoint(address="end", known_hosts=""))
        connector.connect()
        assert len(connector.notices) == 3
        assert finish(connector.open("cat"), b"x" * 3_000_000)[0] == b"x" * 3_000_000
        assert "Accepted" in first.log
        assert "Accepted" in second.log
        connector.close()
        assert_no_more(before, descriptors())

    def test_a_bastion_is_shared_and_stays_open(self, make_sshd: ServerMaker) -> None:
        gate, host = make_sshd(), make_sshd()
        bastion = SshConnector(gate.endpoint())
        bastion.connect()
        through = [SshConnector(host.endpoint(), bastion=bastion) for _ in range(3)]
        for connector in through:
            connector.connect()
            assert finish(connector.open("echo hello"))[0] == b"hello\n"
        for connector in through:
            connector.close()
        assert bastion.is_connected()
        unreachable = SshConnector(host.endpoint(port=free_port()), bastion=bastion)
        with pytest.raises(UnreachableError, match="bastion test does not reach"):
            unreachable.connect()
        gate.stop()
        bastion.close()
