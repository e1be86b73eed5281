"""A peer that is gone while its kernel still answers is noticed, and a quiet one is left alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.ssh import SshConnector
from kubexm.errors import UnreachableError
from tests.integration.lines import NOTHING, finish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration


@pytest.fixture
def impatient(home: Path) -> None:
    """Four seconds without an answer are the end: a busy machine takes two."""
    (home / ".ssh" / "config").write_text("ServerAliveInterval 1\nServerAliveCountMax 4\n")


def wait_until(is_so: Callable[[], bool], within_s: float = 30) -> bool:
    limit = time.monotonic() + within_s
    while not is_so() and time.monotonic() < limit:
        time.sleep(0.05)
    return is_so()


@pytest.mark.usefixtures("impatient")
class TestKeepAlive:
    def test_a_frozen_host_is_noticed_by_whoever_waits_on_it(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint())
        connector.connect()
        process = connector.open("sleep 60")
        sshd.freeze()
        with pytest.raises(UnreachableError, match="the host no longer answers"):
            process.exchange(NOTHING, 60)
        assert not connector.is_connected()
        with pytest.raises(UnreachableError, match="the host no longer answers"):
            connector.open("true")
        connector.close()

    def test_a_frozen_host_is_noticed_while_a_writer_is_stuck(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint())
        connector.connect()
        process = connector.open("cat >/dev/null")
        sshd.freeze()
        outgoing = memoryview(bytes(1 << 20))

        def write_for_ever() -> None:
            limit = time.monotonic() + 60
            while time.monotonic() < limit:
                process.exchange(outgoing, 1)

        with pytest.raises(UnreachableError, match="no longer answers"):
            write_for_ever()
        connector.close()

    def test_a_quiet_host_that_answers_stays_connected(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint())
        connector.connect()
        time.sleep(6)
        assert connector.is_connected()
        assert finish(connector.open("echo here"))[0] == b"here\n"
        connector.close()

    def test_a_busy_process_that_says_nothing_is_no_dead_host(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint())
        connector.connect()
        assert finish(connector.open("sleep 6; echo done"))[0] == b"done\n"
        connector.close()

    def test_behind_a_bastion_the_machine_itself_is_asked(self, make_sshd: ServerMaker) -> None:
        gate, last = make_sshd(), make_sshd()
        bastion = SshConnector(gate.endpoint(name="gate"))
        bastion.connect()
        connector = SshConnector(last.endpoint(), bastion=bastion)
        connector.connect()
        last.freeze()
        assert wait_until(lambda: not connector.is_connected())
        assert bastion.is_connected()
        connector.close()
        bastion.close()


def test_zero_asks_for_no_sign_of_life(sshd: SshServer, home: Path) -> None:
    (home / ".ssh" / "config").write_text("ServerAliveInterval 0\nServerAliveCountMax 1\n")
    connector = SshConnector(sshd.endpoint())
    connector.connect()
    sshd.freeze()
    time.sleep(3)
    assert connector.is_connected()
    connector.close()
