"""Becoming another user where sudo is sudo-rs, as Debian 13 packages it."""

from collections.abc import Iterator

import pytest

from kubexm.connector.local import LocalProcess
from kubexm.secret import Secret
from kubexm.shell import Become, Escalation, Reply, Script
from tests.lab.conftest import require_laboratory
from tests.lab.image import PASSWORD, Suite
from tests.lab.laboratory import Laboratory
from tests.lab.test_escalation import (
    SUDO,
    SUDO_WITH_PASSWORD,
    WRONG,
    Start,
    opened,
    refused,
    who,
)

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def newer() -> Iterator[Laboratory]:
    """A host of Debian 13 of its own, whose `sudo` is sudo-rs."""
    require_laboratory()
    lab = Laboratory.unused(Suite.TRIXIE)
    try:
        lab.up(1)
        (host,) = lab.hosts()
        host.exec("apt-get", "-qq", "update", check=True)
        host.exec("apt-get", "-qq", "-y", "install", "sudo-rs", check=True)
        host.exec("ln", "-s", "/usr/bin/sudo-rs", "/usr/local/bin/sudo", check=True)
        yield lab
    finally:
        lab.down()


def start(lab: Laboratory, user: str) -> Start:
    return lambda command: LocalProcess([*lab.ssh_command(lab.hosts()[0], user), command])


def test_it_is_what_answers(newer: Laboratory) -> None:
    with opened(start(newer, "nopass"), Escalation()) as session:
        said = session.ask(Script("sudo --version 2>&1")).text
    assert said.startswith("sudo-rs 0.")


def test_it_becomes_root_and_others(newer: Laboratory) -> None:
    assert who(start(newer, "nopass"), SUDO) == ["root", "0"]
    assert who(start(newer, "asks"), SUDO_WITH_PASSWORD) == ["root", "0"]
    to_plain = Escalation(method=Become.SUDO, user="plain", password=Secret(PASSWORD))
    assert who(start(newer, "asks"), to_plain) == ["plain", "1002"]


def test_its_refusals_are_told_apart(newer: Laboratory) -> None:
    wrong = Escalation(method=Become.SUDO, password=WRONG)
    stranger = Escalation(method=Become.SUDO, user="stranger")
    for user, escalation, match in (
        ("asks", wrong, "sudo did not accept the password"),
        ("asks", SUDO, "asks for a password and none was given"),
        ("plain", SUDO_WITH_PASSWORD, "not permitted to become root with sudo"),
        ("nopass", stranger, "sudo knows no user stranger"),
    ):
        refused(start(newer, user), escalation, match, within_s=15)


def test_a_root_session_carries_every_byte(newer: Laboratory) -> None:
    content = bytes(range(256)) * 20_000
    with opened(start(newer, "asks"), SUDO_WITH_PASSWORD) as session:
        reply, status = session.run([Script("cat", payload=content), Script("exit 7")]).whole()
    assert reply == Reply(exit_status=0, stdout=content)
    assert status == Reply(exit_status=7)
