"""Much content through a real sshd, with every way to encrypt it, and new keys on the way."""

from __future__ import annotations

import hashlib
import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING

import paramiko
import pytest

from kubexm.connector.channel import SshProcess
from kubexm.connector.dial import Line
from kubexm.connector.packets import Packets
from kubexm.connector.ssh import SshConnector
from kubexm.connector.turn import prepare
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


def test_on_a_short_way_part_of_the_window_of_openssh_stays_free(connected: SshConnector) -> None:
    process = connected.open("sleep 20")
    taken, limit = 0, time.monotonic() + 2
    content = memoryview(bytes(4 << 20))
    while time.monotonic() < limit:
        taken += process.exchange(content[taken:], 0.1).taken
    process.kill()
    # what the pipe to the command holds besides
    assert 1 << 20 <= taken <= 1_500_000


def test_another_server_may_make_room_only_when_there_is_none_left() -> None:
    """RFC 4254, 5.2, leaves that to it; this one makes none at all."""
    ours, its = socket.socketpair()
    server = paramiko.Transport(its, default_window_size=1 << 21)
    server.add_server_key(paramiko.ECDSAKey.generate())
    server.start_server(server=Anybody(), event=threading.Event())
    client = paramiko.Transport(Near(fileno=ours.detach()), packetizer_class=Packets)
    client.get_security_options().ciphers = ("aes128-gcm@openssh.com",)
    prepare(client)
    client.connect(username="x", password="x")
    process = SshProcess(client.open_session(), host="other")
    taken, limit = 0, time.monotonic() + 10
    content = memoryview(bytes(4 << 20))
    while time.monotonic() < limit and taken < 1 << 21:
        taken += process.exchange(content[taken:], 0.1).taken
    assert taken == 1 << 21
    client.close()
    server.close()


class Near(Line):
    """A stream whose other end is close by."""

    def round_trip_s(self) -> float:
        return 0.0001


class Anybody(paramiko.ServerInterface):
    """A server that lets everybody in, and reads nothing."""

    def check_auth_password(self, *_: str) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, *_: object) -> int:
        return paramiko.common.OPEN_SUCCEEDED
