"""Logging in with certificates and with keys that the inventory holds."""

from __future__ import annotations

import getpass
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.ssh import SshConnector
from kubexm.errors import AuthenticationError
from kubexm.secret import Secret
from tests.integration.authority import Authority
from tests.integration.sshd import make_key

if TYPE_CHECKING:
    from kubexm.connector import Endpoint
    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import Agent, SshServer

pytestmark = pytest.mark.integration

USER = getpass.getuser()


def log_in(endpoint: Endpoint) -> None:
    connector = SshConnector(endpoint)
    connector.connect()
    connector.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path / "ca")


@pytest.fixture
def trusting(make_sshd: ServerMaker, authority: Authority) -> SshServer:
    """A server that knows no key, and the authority."""
    server = make_sshd(settings=f"TrustedUserCAKeys {authority.key}.pub\n")
    (server.directory / "authorized_keys").write_text("")
    return server


class TestCertificate:
    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_it_is_found_beside_the_key(
        self, trusting: SshServer, authority: Authority, home: Path, kind: str
    ) -> None:
        key = make_key(home / "id", kind=kind)
        authority.certify(key, names=USER)
        log_in(trusting.endpoint(private_key=str(key)))
        assert "Accepted publickey" in trusting.log
        assert "CA ED25519" in trusting.log

    def test_it_may_lie_elsewhere(
        self, trusting: SshServer, authority: Authority, home: Path
    ) -> None:
        key = make_key(home / "id")
        elsewhere = authority.certify(key, names=USER).rename(home / "cert")
        (home / ".ssh" / "config").write_text(f"IdentityFile {key}\nCertificateFile ~/cert\n")
        log_in(trusting.endpoint(private_key=str(key), certificate=str(elsewhere)))
        log_in(trusting.endpoint(private_key=""))

    def test_a_host_that_does_not_know_the_authority_gets_the_key(
        self, sshd: SshServer, authority: Authority
    ) -> None:
        authority.certify(sshd.private_key, names=USER)
        log_in(sshd.endpoint())

    def test_one_that_has_expired_is_told_when_nothing_helps(
        self, trusting: SshServer, authority: Authority, home: Path
    ) -> None:
        key = make_key(home / "id")
        path = authority.certify(key, names=USER, valid="20200101:20200102")
        with pytest.raises(AuthenticationError, match=f"{path} cannot be used: it expired on 2020"):
            log_in(trusting.endpoint(private_key=str(key)))
        with pytest.raises(AuthenticationError, match="it expired on 2020") as caught:
            log_in(trusting.endpoint(private_key=str(key), certificate=str(path)))
        assert caught.value.host == "test"

    @pytest.mark.parametrize(
        ("which", "reason"),
        [
            ("of another key", "it is for another key"),
            ("of a host", "it is a host's certificate"),
            ("plain", "it is a plain key"),
            ("missing", "No such file"),
            ("junk", "cannot be used"),
        ],
    )
    def test_one_that_is_named_and_is_no_use_is_told_before_anyone_is_called(
        self, sshd: SshServer, authority: Authority, home: Path, which: str, reason: str
    ) -> None:
        key, other = make_key(home / "id"), make_key(home / "other")
        paths = {
            "of another key": authority.certify(other, names=USER),
            "of a host": authority.certify(key, names=USER, host=True),
            "plain": Path(f"{key}.pub"),
            "junk": key,
        }
        path = paths.get(which, home / "nothing")
        with pytest.raises(AuthenticationError, match=reason):
            log_in(sshd.endpoint(private_key=str(key), certificate=str(path)))
        assert "Connection from" not in sshd.log

    def test_the_agent_may_hold_it(
        self, trusting: SshServer, authority: Authority, home: Path, agent: Agent
    ) -> None:
        key = make_key(home / "id")
        authority.certify(key, names=USER)
        agent.add(key)  # ssh-add takes the certificate beside the key along
        log_in(trusting.endpoint(private_key=""))
        assert trusting.log.count("Failed publickey") == 0

    @pytest.mark.parametrize("kind", ["ed25519", "rsa"])
    def test_the_agent_may_hold_nothing_else(
        self, trusting: SshServer, authority: Authority, home: Path, agent: Agent, kind: str
    ) -> None:
        key = make_key(home / "id", kind=kind)
        authority.certify(key, names=USER)
        agent.add(key)
        agent.forget(Path(f"{key}.pub"))
        log_in(trusting.endpoint(private_key=""))

    def test_a_key_that_the_agent_holds_beside_its_certificate_still_logs_in(
        self, sshd: SshServer, authority: Authority, agent: Agent
    ) -> None:
        authority.certify(sshd.private_key, names=USER)
        agent.add(sshd.private_key)
        log_in(sshd.endpoint(private_key=""))

    def test_an_encrypted_key_in_the_agent_presents_it(
        self, trusting: SshServer, authority: Authority, home: Path, agent: Agent
    ) -> None:
        key = make_key(home / "id")
        agent.add(key)
        authority.certify(key, names=USER)
        encrypt(key, "secret")
        log_in(trusting.endpoint(private_key=str(key)))


class TestContent:
    def test_the_inventory_may_hold_the_key_itself(self, sshd: SshServer) -> None:
        text = sshd.private_key.read_text()
        log_in(sshd.endpoint(private_key="", private_key_content=Secret(text)))
        log_in(sshd.endpoint(private_key="", private_key_content=Secret(text.strip())))

    def test_it_goes_before_a_file(self, sshd: SshServer) -> None:
        text = sshd.private_key.read_text()
        log_in(sshd.endpoint(private_key="/nowhere", private_key_content=Secret(text)))

    def test_it_may_be_encrypted(self, sshd: SshServer) -> None:
        encrypt(sshd.private_key, "secret")
        held = sshd.endpoint(
            private_key="", private_key_content=Secret(sshd.private_key.read_text())
        )
        log_in(replace(held, passphrase=Secret("secret")))
        with pytest.raises(AuthenticationError, match="kubexm_private_key is encrypted"):
            log_in(held)

    def test_text_that_is_no_key_is_told_and_not_shown(self, sshd: SshServer) -> None:
        endpoint = sshd.endpoint(private_key="", private_key_content=Secret("hunter2"))
        with pytest.raises(AuthenticationError, match="kubexm_private_key is not a") as caught:
            log_in(endpoint)
        assert "hunter2" not in f"{caught.value} {caught.value!r} {endpoint!r}"
        assert caught.value.host == "test"

    def test_a_refusal_names_it(self, make_sshd: ServerMaker, home: Path) -> None:
        other = make_key(home / "other").read_text()
        endpoint = make_sshd().endpoint(private_key="", private_key_content=Secret(other))
        with pytest.raises(AuthenticationError, match=r"key of kubexm_private_key \(refused\)"):
            log_in(endpoint)


def encrypt(key: Path, passphrase: str) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-N", passphrase, "-f", str(key)],
        check=True,
        capture_output=True,
    )
