"""Host keys against a real sshd: pinned, insecure, certified, revoked, hashed, in several files."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import HostKeyPolicy
from kubexm.connector.ssh import SshConnector
from kubexm.errors import HostKeyChangedError, HostKeyError
from tests.integration.authority import Authority
from tests.integration.sshd import make_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubexm.connector import Endpoint
    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration

STRICT = HostKeyPolicy.STRICT
PINNED = HostKeyPolicy.PINNED


def log_in(endpoint: Endpoint) -> Sequence[str]:
    """Log in and out again; what was there to notice."""
    connector = SshConnector(endpoint)
    connector.connect()
    connector.close()
    return connector.notices


def public(key: Path) -> str:
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


def fingerprint(key: Path) -> str:
    said = subprocess.run(
        ["ssh-keygen", "-lf", f"{key}.pub"], check=True, capture_output=True, text=True
    )
    return said.stdout.split()[1]


class TestPinned:
    def test_the_key_or_its_fingerprint_lets_in_and_known_hosts_is_not_asked(
        self, sshd: SshServer, home: Path
    ) -> None:
        sshd.known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {public(make_key(home / 'wrong'))}\n")
        recorded = sshd.known_hosts.read_text()
        for pin in (public(sshd.host_key()), fingerprint(sshd.host_key())):
            assert log_in(sshd.endpoint(host_key_policy=PINNED, host_keys=(pin,))) == ()
        assert sshd.known_hosts.read_text() == recorded

    def test_another_key_is_refused_before_any_credential(
        self, sshd: SshServer, home: Path
    ) -> None:
        other = make_key(home / "other")
        with pytest.raises(HostKeyChangedError) as caught:
            log_in(sshd.endpoint(host_key_policy=PINNED, host_keys=(public(other),)))
        assert fingerprint(other) in caught.value.message
        assert fingerprint(sshd.host_key()) in caught.value.message
        assert "Failed" not in sshd.log
        assert "Accepted" not in sshd.log

    def test_a_host_with_several_keys_presents_the_pinned_one(self, make_sshd: ServerMaker) -> None:
        server = make_sshd(host_keys=("ed25519", "ecdsa", "rsa"))
        for kind in server.host_keys:
            pin = public(server.host_key(kind))
            log_in(server.endpoint(host_key_policy=PINNED, host_keys=(pin,)))


def test_insecure_takes_a_changed_key_and_says_so(sshd: SshServer) -> None:
    log_in(sshd.endpoint())
    recorded = sshd.known_hosts.read_text()
    make_key(sshd.host_key())
    sshd.restart()
    (notice,) = log_in(sshd.endpoint(host_key_policy=HostKeyPolicy.INSECURE))
    assert "NOT checked" in notice
    assert fingerprint(sshd.host_key()) in notice
    assert sshd.known_hosts.read_text() == recorded


class TestAuthority:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority.make(tmp_path / "ca")

    @pytest.fixture
    def certified(self, make_sshd: ServerMaker, authority: Authority) -> SshServer:
        server = make_sshd()
        authority.certify(server.host_key(), names="127.0.0.1,node.example.org", host=True)
        server.settings = f"HostCertificate {server.host_key()}-cert.pub\n"
        server.restart()
        return server

    def test_it_vouches_for_a_host_that_was_never_seen(
        self, certified: SshServer, authority: Authority
    ) -> None:
        trust = f"@cert-authority 127.0.0.*,[127.0.0.1]:* {authority.public}\n"
        certified.known_hosts.write_text(trust)
        assert log_in(certified.endpoint(host_key_policy=STRICT)) == ()
        assert log_in(certified.endpoint()) == ()
        assert certified.known_hosts.read_text() == trust

    def test_a_host_key_that_is_new_needs_no_other_word_than_the_authoritys(
        self, certified: SshServer, authority: Authority
    ) -> None:
        certified.known_hosts.write_text(f"@cert-authority * {authority.public}\n")
        log_in(certified.endpoint(host_key_policy=STRICT))
        make_key(certified.host_key())
        authority.certify(certified.host_key(), names="127.0.0.1", host=True)
        certified.restart()
        log_in(certified.endpoint(host_key_policy=STRICT))

    def test_a_certificate_for_another_name_is_told(
        self, certified: SshServer, authority: Authority
    ) -> None:
        certified.known_hosts.write_text(f"@cert-authority * {authority.public}\n")
        authority.certify(certified.host_key(), names="other.example.org", host=True)
        certified.restart()
        with pytest.raises(HostKeyError, match=r"does not hold: it is for other\.example\.org"):
            log_in(certified.endpoint())

    def test_its_revocation_is_told_with_its_place(
        self, certified: SshServer, authority: Authority
    ) -> None:
        certified.known_hosts.write_text(
            f"@cert-authority * {authority.public}\n@revoked * {authority.public}\n"
        )
        with pytest.raises(HostKeyError, match=f"{certified.known_hosts}:2 revokes"):
            log_in(certified.endpoint())

    def test_a_host_without_a_certificate_is_unknown(
        self, sshd: SshServer, authority: Authority
    ) -> None:
        sshd.known_hosts.write_text(f"@cert-authority * {authority.public}\n")
        with pytest.raises(HostKeyError, match="vouches for certificates only"):
            log_in(sshd.endpoint(host_key_policy=STRICT))

    def test_a_certificate_of_a_stranger_leaves_the_bare_key(self, certified: SshServer) -> None:
        certified.known_hosts.write_text(
            f"[127.0.0.1]:{certified.port} {public(certified.host_key())}\n"
        )
        log_in(certified.endpoint(host_key_policy=STRICT))


class TestFiles:
    def test_hashed_names_count(self, sshd: SshServer) -> None:
        log_in(sshd.endpoint())
        subprocess.run(
            ["ssh-keygen", "-q", "-H", "-f", str(sshd.known_hosts)],
            check=True,
            capture_output=True,
        )
        assert "127.0.0.1" not in sshd.known_hosts.read_text()
        assert log_in(sshd.endpoint(host_key_policy=STRICT)) == ()
        make_key(sshd.host_key())
        sshd.restart()
        with pytest.raises(HostKeyChangedError, match=f"{sshd.known_hosts}:1"):
            log_in(sshd.endpoint())

    def test_ssh_config_names_several(self, sshd: SshServer, home: Path) -> None:
        first, second, world = home / "first", home / "second", home / "world"
        (home / ".ssh" / "config").write_text(
            f'UserKnownHostsFile ~/first "{second}"\nGlobalKnownHostsFile {world}\n'
        )
        endpoint = sshd.endpoint(known_hosts="")
        line = f"[127.0.0.1]:{sshd.port} {public(sshd.host_key())}\n"
        for file in (second, world):
            file.write_text(line)
            assert log_in(endpoint) == ()
            assert not first.exists()
            file.write_text(line.replace(public(sshd.host_key()), public(make_key(home / "w"))))
            os.utime(file, ns=(0, time.time_ns()))
            with pytest.raises(HostKeyChangedError, match=f"{file}:1"):
                log_in(endpoint)
            file.unlink()
        log_in(endpoint)
        assert first.read_text() == line

    def test_ssh_config_can_only_be_stricter(self, sshd: SshServer, home: Path) -> None:
        (home / ".ssh" / "config").write_text(
            "Match host 127.0.0.1\n  StrictHostKeyChecking yes\n"
            "Match host localhost\n  StrictHostKeyChecking no\n"
        )
        with pytest.raises(HostKeyError, match="is not in"):
            log_in(sshd.endpoint())
        log_in(sshd.endpoint(address="localhost"))
        make_key(sshd.host_key())
        sshd.restart()
        with pytest.raises(HostKeyChangedError, match="CHANGED"):
            log_in(sshd.endpoint(address="localhost"))

    def test_an_alias_stands_for_address_and_port(self, sshd: SshServer, home: Path) -> None:
        (home / ".ssh" / "config").write_text("HostKeyAlias node7\n")
        log_in(sshd.endpoint())
        assert sshd.known_hosts.read_text() == f"node7 {public(sshd.host_key())}\n"
