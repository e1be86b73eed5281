from __future__ import annotations

import pytest

from kubexm.errors import HostError
from kubexm.facts import Facts, Machine
from kubexm.runner.operations import Hostname
from kubexm.shell import Reply
from kubexm_linux.hostname import Hostnames, HostnameState

DIGEST = "0" * 64
LIVE = Facts(hostname="node1", user="root", group="root")
IMAGE = Facts(machine=Machine.IMAGE)
OP = Hostname(name="node1")


def reply(content: str, running: str = "node1\n") -> Reply:
    head = f"file 644 0 0 {len(content)} {DIGEST} root:root\n"
    return Reply(exit_status=0, stdout=f"{running}{head}{content}".encode())


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("node1\n", "node1"),
        ("node1", "node1"),
        ("\n# comment\n  node1 \n", "node1"),
        ("node1\nnode2\n", "node1"),
        ("", ""),
        ("# node1\n", ""),
        ("node1\r\n", "node1"),
    ],
)
def test_file_is_read_as_hostname_5_says(content: str, name: str) -> None:
    state = Hostnames().read(OP, reply(content), LIVE)
    assert state == HostnameState(running="node1", persistent=name, mode=0o644)
    assert (Hostnames().change(OP, state, LIVE) is None) == (name == "node1")


@pytest.mark.parametrize(
    ("running", "persistent", "called"),
    [
        ("node1", "other", ["kx_replace"]),
        ("other", "node1", ["kx_hostname_set"]),
        ("other", "", ["kx_replace", "kx_hostname_set"]),
    ],
)
def test_only_what_differs_is_changed(running: str, persistent: str, called: list[str]) -> None:
    state = HostnameState(running=running, persistent=persistent)
    change = Hostnames().change(OP, state, LIVE)
    assert change is not None
    words = [line.split()[0] for line in change.script.text.splitlines()]
    assert [word for word in words if word.startswith("kx_") and "=" not in word] == called
    assert change.alters_facts
    assert Hostnames().change(OP, change.after, LIVE) is None


def test_image_has_no_running_name() -> None:
    handler = Hostnames()
    assert "uname" not in handler.probe(OP, IMAGE).text
    state = handler.read(OP, reply("debian\n", running=""), IMAGE)
    assert state == HostnameState(running=None, persistent="debian", mode=0o644)
    change = handler.change(OP, state, IMAGE)
    assert change is not None
    assert "hostname_set" not in change.script.text
    assert handler.notes(OP, state, IMAGE) == (
        "hostname node1: only in /etc/hostname, because an image is not running",
    )
    assert handler.notes(OP, state, LIVE) == ()


@pytest.mark.parametrize(
    ("stdout", "message"),
    [
        ("directory 755 0 0 0 - root:root\n", "not a regular file but a directory"),
        ("dangling\n", "a symbolic link that leads nowhere"),
        (f"file 644 0 0 4097 {DIGEST} root:root\n", "larger than 4096 bytes"),
    ],
)
def test_what_is_no_such_file_is_an_error(stdout: str, message: str) -> None:
    with pytest.raises(HostError, match=message):
        Hostnames().read(OP, Reply(exit_status=0, stdout=f"node1\n{stdout}".encode()), LIVE)
    with pytest.raises(HostError, match=r"cannot read /etc/hostname: no"):
        Hostnames().read(OP, Reply(exit_status=1, stdout=b"node1\n", stderr=b"no\n"), LIVE)
