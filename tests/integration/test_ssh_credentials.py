"""Keys, passwords and agents of the ssh connector."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.ssh import SshConnector
from kubexm.errors import (
    AuthenticationError,
    UnreachableError,
)
from kubexm.secret import Secret
from tests.integration.lines import descriptors
from tests.integration.sshd import free_port, make_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import Agent, SshServer


pytestmark = pytest.mark.integration


class TestAuthentication:
    def test_a_wrong_key_is_refused_and_what_was_tried_is_told(
        self, sshd: SshServer, home: Path
    ) -> None:
        wrong = make_key(home / "wrong")
        with pytest.raises(AuthenticationError) as caught:
            SshConnector(sshd.endpoint(private_key=str(wrong))).connect()
        error = caught.value
        assert error.host == "test"
        assert f"{sshd.endpoint().user}@127.0.0.1" in error.message
        assert f"key {wrong} (refused)" in error.message
        assert "--private-key" in error.hint

    def test_a_password_where_none_is_taken_is_told_and_not_shown(self, sshd: SshServer) -> None:
        endpoint = sshd.endpoint(private_key="", password=Secret("hunter2"))
        with pytest.raises(AuthenticationError) as caught:
            SshConnector(endpoint).connect()
        assert "password (not permitted by the host)" in caught.value.message
        assert "it wants publickey" in caught.value.message
        assert "hunter2" not in repr(caught.value)
        assert "hunter2" not in repr(SshConnector(endpoint))

    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_keys_of_every_kind_log_in(self, sshd: SshServer, home: Path, kind: str) -> None:
        key = make_key(home / "key", kind=kind)
        sshd.authorize(key)
        connector = SshConnector(sshd.endpoint(private_key=str(key)))
        connector.connect()
        connector.close()

    @pytest.mark.parametrize("form", ["PEM", "PKCS8"])
    def test_old_forms_of_keys_log_in(self, sshd: SshServer, home: Path, form: str) -> None:
        key = make_key(home / "key", kind="ecdsa")
        sshd.authorize(key)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-m", form, "-N", "secret", "-f", str(key)],
            check=True,
            capture_output=True,
        )
        connector = SshConnector(sshd.endpoint(private_key=str(key), passphrase=Secret("secret")))
        connector.connect()
        connector.close()
        with pytest.raises(AuthenticationError, match=r"passphrase of .* is wrong"):
            SshConnector(sshd.endpoint(private_key=str(key), passphrase=Secret("other"))).connect()

    def test_a_passphrase_opens_its_key(self, sshd: SshServer, home: Path) -> None:
        key = make_key(home / "locked", passphrase="open sesame")
        sshd.authorize(key)
        right = sshd.endpoint(private_key=str(key), passphrase=Secret("open sesame"))
        connector = SshConnector(right)
        connector.connect()
        connector.close()

    def test_a_missing_or_wrong_passphrase_names_the_file(
        self, sshd: SshServer, home: Path
    ) -> None:
        key = make_key(home / "locked", passphrase="open sesame")
        with pytest.raises(AuthenticationError, match=f"{key} is encrypted and no passphrase"):
            SshConnector(sshd.endpoint(private_key=str(key))).connect()
        wrong = sshd.endpoint(private_key=str(key), passphrase=Secret("open barley"))
        with pytest.raises(AuthenticationError, match=f"passphrase of .*{key} is wrong") as caught:
            SshConnector(wrong).connect()
        assert "barley" not in str(caught.value)

    def test_a_key_file_that_is_no_use_is_told_before_anyone_is_called(
        self, sshd: SshServer, home: Path
    ) -> None:
        nobody = free_port()
        with pytest.raises(AuthenticationError, match="cannot be read: No such file") as caught:
            SshConnector(sshd.endpoint(port=nobody, private_key="~/missing")).connect()
        assert caught.value.host == "test"
        assert str(home / "missing") in caught.value.message
        (home / "text").write_text("hello")
        with pytest.raises(AuthenticationError, match="is not a private key"):
            SshConnector(sshd.endpoint(port=nobody, private_key="~/text")).connect()

    def test_keys_of_the_home_directory_are_found(self, sshd: SshServer, home: Path) -> None:
        shutil.copy(sshd.private_key, home / ".ssh" / "id_ed25519")
        make_key(home / ".ssh" / "id_rsa", kind="rsa", passphrase="unknown to us")
        connector = SshConnector(sshd.endpoint(private_key=""))
        connector.connect()
        connector.close()

    def test_without_any_credential_the_error_says_what_the_host_wants(
        self, sshd: SshServer
    ) -> None:
        with pytest.raises(AuthenticationError, match="it wants publickey"):
            SshConnector(sshd.endpoint(private_key="")).connect()

    def test_too_many_wrong_keys_are_explained(
        self, make_sshd: ServerMaker, home: Path, agent: Agent
    ) -> None:
        server = make_sshd(settings="MaxAuthTries 3\n")
        for number in range(5):
            agent.add(make_key(home / f"wrong{number}"))
        with pytest.raises(AuthenticationError) as caught:
            SshConnector(server.endpoint(private_key="")).connect()
        assert "MaxAuthTries" in caught.value.hint
        # A named key is offered first and alone, so the agent's cannot use up the tries.
        connector = SshConnector(server.endpoint())
        connector.connect()
        connector.close()

    @pytest.mark.skipif(os.geteuid() != 0, reason="sshd runs the command as another user")
    def test_a_login_that_hangs_on_the_host_costs_the_timeout(
        self, make_sshd: ServerMaker, home: Path
    ) -> None:
        unknown = str(make_key(home / "unknown"))
        server = make_sshd(
            settings="AuthorizedKeysCommand /bin/sleep 30\nAuthorizedKeysCommandUser root\n"
        )
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="did not answer the publickey login within 1 s"):
            SshConnector(server.endpoint(private_key=unknown, connect_timeout_s=1)).connect()
        assert time.monotonic() - began < 3

    def test_the_agent_is_asked(self, sshd: SshServer, agent: Agent) -> None:
        agent.add(sshd.private_key)
        before = descriptors()
        connector = SshConnector(sshd.endpoint(private_key=""))
        connector.connect()
        connector.close()
        assert descriptors() <= before

    def test_the_agent_opens_a_named_key_that_is_encrypted(
        self, sshd: SshServer, home: Path, agent: Agent
    ) -> None:
        plain = make_key(home / "mine")
        sshd.authorize(plain)
        agent.add(plain)
        agent.add(make_key(home / "other"))
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(plain)],
            check=True,
            capture_output=True,
        )
        connector = SshConnector(sshd.endpoint(private_key=str(plain)))
        connector.connect()
        connector.close()
        assert sshd.log.count("Failed publickey") == 0

    def test_a_dead_agent_is_no_agent(
        self, sshd: SshServer, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "gone"))
        with pytest.raises(AuthenticationError):
            SshConnector(sshd.endpoint(private_key="")).connect()
