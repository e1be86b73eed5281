"""The ssh connector against real hosts: passwords, PAM, sudo, reboots, cables."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Endpoint
from kubexm.connector.ssh import SshConnector
from kubexm.errors import (
    AuthenticationError,
    EscalationError,
    HostKeyError,
    SessionLostError,
    UnreachableError,
)
from kubexm.secret import Secret
from kubexm.shell import Become, Escalation, Process, Script, Session
from tests.lab.conftest import require_laboratory
from tests.lab.host import Part
from tests.lab.image import PASSWORD
from tests.lab.laboratory import Laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

NOTHING = memoryview(b"")
SSHD_SETTINGS = "/etc/ssh/sshd_config.d/00-test.conf"


@pytest.fixture(scope="module")
def own_lab() -> Iterator[Laboratory]:
    """A laboratory beside everybody's: these tests reconfigure, unplug and reboot its host."""
    require_laboratory()
    laboratory = Laboratory.unused()
    try:
        laboratory.up(1)
        yield laboratory
    finally:
        laboratory.down()


@pytest.fixture
def host(own_lab: Laboratory) -> Iterator[LabHost]:
    host = own_lab.up(1)[0]
    yield host
    if host.exec("rm", "-v", "-f", SSHD_SETTINGS).stdout:
        host.exec("systemctl", "reload", "ssh", check=True)


@pytest.fixture
def endpoint(host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """As root with the laboratory's key; nothing of the tests' own user counts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Endpoint(
        name=host.name,
        address=host.address,
        user="root",
        private_key=str(host.private_key),
        connect_timeout_s=15,
    )


def configure(host: LabHost, settings: str) -> None:
    host.exec("tee", SSHD_SETTINGS, stdin=settings, check=True)
    host.exec("systemctl", "reload", "ssh", check=True)
    host.wait_ready()


def connect(endpoint: Endpoint) -> SshConnector:
    connector = SshConnector(endpoint)
    connector.connect()
    return connector


def whoami(endpoint: Endpoint, escalation: Escalation | None = None) -> str:
    """Who a script runs as, over a connection and a session of its own."""
    connector = connect(endpoint)
    try:
        session = Session.open(connector.open, escalation or Escalation())
        answer = session.ask(Script("id -un")).text.strip()
        session.close()
        return answer
    finally:
        connector.close()


def exchange_for_ever(process: Process, outgoing: memoryview) -> None:
    while not process.exchange(outgoing, 600).ended:
        pass


def by_password(endpoint: Endpoint, user: str, password: str = PASSWORD) -> Endpoint:
    return replace(endpoint, user=user, private_key="", password=Secret(password))


def test_a_key_logs_in(endpoint: Endpoint) -> None:
    assert whoami(endpoint) == "root"


def test_a_password_logs_in(endpoint: Endpoint) -> None:
    assert whoami(by_password(endpoint, "plain")) == "plain"


def test_a_wrong_password_is_offered_once_and_never_shown(
    host: LabHost, endpoint: Endpoint
) -> None:
    configure(host, "MaxAuthTries 2\nLogLevel VERBOSE\n")
    with pytest.raises(AuthenticationError, match=r"password \(refused\)") as caught:
        connect(by_password(endpoint, "plain", "wrong horse"))
    assert "horse" not in str(caught.value) + repr(caught.value.__cause__)
    assert caught.value.host == host.name


def test_keyboard_interactive_takes_the_password(host: LabHost, endpoint: Endpoint) -> None:
    configure(host, "PasswordAuthentication no\nKbdInteractiveAuthentication yes\nUsePAM yes\n")
    assert whoami(by_password(endpoint, "plain")) == "plain"
    with pytest.raises(AuthenticationError, match=r"keyboard-interactive \(refused\)"):
        connect(by_password(endpoint, "plain", "wrong"))


@pytest.mark.parametrize(
    "methods",
    ["publickey,password", "publickey,keyboard-interactive", "password,publickey"],
)
def test_two_factors_log_in_together(host: LabHost, endpoint: Endpoint, methods: str) -> None:
    configure(
        host,
        f"KbdInteractiveAuthentication yes\nMatch User plain\n  AuthenticationMethods {methods}\n",
    )
    both = replace(endpoint, user="plain", password=Secret(PASSWORD))
    assert whoami(both) == "plain"
    with pytest.raises(AuthenticationError, match=r"key .* \((accepted|not permitted)"):
        connect(replace(both, password=None))


def test_sudo_without_and_with_a_password(endpoint: Endpoint) -> None:
    sudo = Escalation(method=Become.SUDO)
    assert whoami(replace(endpoint, user="nopass"), sudo) == "root"
    with_password = replace(sudo, password=Secret(PASSWORD))
    assert whoami(replace(endpoint, user="asks"), with_password) == "root"
    assert whoami(by_password(endpoint, "asks"), with_password) == "root"


@pytest.mark.parametrize(
    ("user", "password", "said"),
    [
        ("asks", None, "asks for a password"),
        ("asks", "wrong", "did not accept the password"),
        ("plain", PASSWORD, "not permitted"),
    ],
)
def test_sudo_that_refuses_says_why(
    endpoint: Endpoint, user: str, password: str | None, said: str
) -> None:
    secret = None if password is None else Secret(password)
    with pytest.raises(EscalationError, match=said):
        whoami(replace(endpoint, user=user), Escalation(method=Become.SUDO, password=secret))


def test_a_reboot_in_the_middle_of_a_batch_is_a_loss_and_the_host_comes_back(
    host: LabHost, endpoint: Endpoint
) -> None:
    connector = connect(endpoint)
    session = Session.open(connector.open)
    before = host.boot_id()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.run, [Script("true"), Script("systemctl reboot; sleep 60")])
        reply = running.result(timeout=60)
    assert isinstance(reply.ended_by, SessionLostError)
    assert reply.ended_by.completed == 1
    assert not connector.is_connected()
    host.wait_booted_since(before)
    connector.connect()
    assert len(connector.notices) == 1
    connector.close()


def test_a_frozen_sshd_is_silent(host: LabHost, endpoint: Endpoint) -> None:
    host.freeze(Part.SSHD)
    try:
        with pytest.raises(UnreachableError, match="no banner within 1 s"):
            connect(replace(endpoint, connect_timeout_s=1))
    finally:
        host.thaw()


@pytest.mark.timeout(180)
def test_a_pulled_cable_is_noticed_in_about_a_minute(host: LabHost, endpoint: Endpoint) -> None:
    """Whether we wait for output or write; a new connection takes its timeout."""
    waiting, writing = connect(endpoint), connect(endpoint)
    threads = set(threading.enumerate())

    def measure(connector: SshConnector, command: str, outgoing: memoryview) -> float:
        process = connector.open(command)
        cut.wait()
        began = time.monotonic()
        with pytest.raises(UnreachableError, match=r"no longer answers|No route to host"):
            exchange_for_ever(process, outgoing)
        return time.monotonic() - began

    cut = threading.Event()
    try:
        with ThreadPoolExecutor(2) as pool:
            noticed = [
                pool.submit(measure, waiting, "sleep 600", NOTHING),
                pool.submit(measure, writing, "cat >/dev/null", memoryview(bytes(100_000))),
            ]
            time.sleep(1)
            host.unplug()
            cut.set()
            with pytest.raises(UnreachableError, match=r"timed out|no route"):
                connect(replace(endpoint, connect_timeout_s=2))
            assert all(40 < one.result(timeout=120) < 100 for one in noticed)
    finally:
        host.plug()
    assert not waiting.is_connected()
    assert set(threading.enumerate()) < threads
    waiting.close()
    writing.close()


def test_a_reinstalled_host_has_a_changed_key(host: LabHost, endpoint: Endpoint) -> None:
    connect(endpoint).close()
    host.reset(new_identity=True)
    with pytest.raises(HostKeyError, match="CHANGED"):
        connect(endpoint)
