"""Host keys of a real sshd: recorded, refused, changed."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import HostKeyPolicy, Notices
from kubexm.connector.ssh import SshConnector
from kubexm.errors import (
    HostKeyError,
)
from tests.integration.sshd import make_key

if TYPE_CHECKING:
    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer


pytestmark = pytest.mark.integration


class TestHostKeys:
    def test_a_new_key_is_recorded_and_the_second_time_is_silent(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint())
        connector.connect()
        assert isinstance(connector, Notices)
        (notice,) = connector.notices
        fingerprint = subprocess.run(
            ["ssh-keygen", "-lf", f"{sshd.host_key()}.pub"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()[1]
        assert fingerprint in notice
        assert str(sshd.known_hosts) in notice
        connector.close()
        recorded = sshd.known_hosts.read_text()
        assert recorded.startswith(f"[127.0.0.1]:{sshd.port} ssh-ed25519 ")
        second = SshConnector(sshd.endpoint(host_key_policy=HostKeyPolicy.STRICT))
        second.connect()
        assert second.notices == ()
        second.close()
        assert sshd.known_hosts.read_text() == recorded

    def test_openssh_agrees_with_what_was_recorded(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint())
        connector.connect()
        connector.close()
        found = subprocess.run(
            ["ssh-keygen", "-F", f"[127.0.0.1]:{sshd.port}", "-f", str(sshd.known_hosts)],
            check=True,
            capture_output=True,
            text=True,
        )
        assert Path(f"{sshd.host_key()}.pub").read_text().split()[1] in found.stdout

    def test_strict_refuses_an_unknown_key_before_any_credential(self, sshd: SshServer) -> None:
        endpoint = sshd.endpoint(host_key_policy=HostKeyPolicy.STRICT)
        with pytest.raises(HostKeyError, match="SHA256:") as caught:
            SshConnector(endpoint).connect()
        assert "ssh-keyscan" in caught.value.hint
        assert not sshd.known_hosts.exists()
        assert "Accepted" not in sshd.log
        assert "Failed" not in sshd.log

    @pytest.mark.parametrize("policy", [HostKeyPolicy.STRICT, HostKeyPolicy.ACCEPT_NEW])
    def test_a_changed_key_is_refused(self, sshd: SshServer, policy: HostKeyPolicy) -> None:
        first = SshConnector(sshd.endpoint())
        first.connect()
        first.close()
        recorded = sshd.known_hosts.read_text()
        make_key(sshd.host_key())
        sshd.restart()
        with pytest.raises(HostKeyError, match="CHANGED") as caught:
            SshConnector(sshd.endpoint(host_key_policy=policy)).connect()
        error = caught.value
        assert error.host == "test"
        assert f"{sshd.known_hosts}:1" in error.message
        assert error.message.count("SHA256:") == 2
        assert "ssh-keygen -R" in error.hint
        assert sshd.known_hosts.read_text() == recorded

    def test_a_key_type_that_is_not_on_record_is_refused(self, make_sshd: ServerMaker) -> None:
        server = make_sshd(host_keys=("ecdsa",))
        first = SshConnector(server.endpoint())
        first.connect()
        first.close()
        server.host_keys = ("ed25519",)
        server.restart()
        with pytest.raises(HostKeyError, match="CHANGED"):
            SshConnector(server.endpoint()).connect()

    @pytest.mark.parametrize("known", ["rsa", "ecdsa", "ed25519"])
    def test_a_host_with_several_keys_presents_the_one_on_record(
        self, make_sshd: ServerMaker, known: str
    ) -> None:
        server = make_sshd(host_keys=("ed25519", "ecdsa", "rsa"))
        algorithm, key, _ = Path(f"{server.host_key(known)}.pub").read_text().split()
        server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {algorithm} {key}\n")
        connector = SshConnector(server.endpoint(host_key_policy=HostKeyPolicy.STRICT))
        connector.connect()
        connector.close()

    def test_a_burst_to_one_new_host_records_it_once(self, sshd: SshServer) -> None:
        connectors = [SshConnector(sshd.endpoint()) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(SshConnector.connect, connectors))
        assert sum(len(connector.notices) for connector in connectors) == 1
        assert len(sshd.known_hosts.read_text().splitlines()) == 1
        for connector in connectors:
            connector.close()

    def test_the_default_file_is_the_users(self, sshd: SshServer, home: Path) -> None:
        connector = SshConnector(sshd.endpoint(known_hosts=""))
        connector.connect()
        connector.close()
        assert str(sshd.port) in (home / ".ssh" / "known_hosts").read_text()
