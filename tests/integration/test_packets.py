"""Much content through a real sshd, with every way to encrypt it, and new keys on the way."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.packets import Packets
from kubexm.connector.ssh import SshConnector
from kubexm.shell import Script, Session

if TYPE_CHECKING:
    from tests.integration.conftest import ServerMaker

pytestmark = pytest.mark.integration

CONTENT = secrets.token_bytes(5_000_001)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def digest_there(connector: SshConnector) -> str:
    """The SHA-256 of the content that arrived."""
    session = Session.open(connector.open)
    reply = session.ask(Script("sha256sum", payload=CONTENT), deadline_s=60)
    session.close()
    return reply.text.split()[0]


@pytest.mark.parametrize(
    "cipher", ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr"]
)
def test_content_arrives_whole(make_sshd: ServerMaker, cipher: str) -> None:
    connector = SshConnector(make_sshd(settings=f"Ciphers {cipher}").endpoint())
    connector.connect()
    assert digest_there(connector) == DIGEST
    connector.close()


def test_new_keys_in_the_middle_of_content(
    make_sshd: ServerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Packets, "REKEY_BYTES", 1 << 20)
    server = make_sshd(settings="LogLevel DEBUG1")
    connector = SshConnector(server.endpoint())
    connector.connect()
    assert digest_there(connector) == DIGEST
    connector.close()
    # the first exchange, and one for each full MiB
    assert server.log.count("SSH2_MSG_NEWKEYS received") >= 4


def test_content_through_a_bastion(make_sshd: ServerMaker) -> None:
    gate, last = make_sshd(), make_sshd()
    connector = SshConnector(last.endpoint(bastions=(gate.endpoint(name="gate"),)))
    connector.connect()
    assert digest_there(connector) == DIGEST
    connector.close()
