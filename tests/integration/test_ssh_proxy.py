"""Proxies before a machine: SOCKS5, HTTP CONNECT, and a command."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Proxy
from kubexm.connector.ssh import SshConnector
from kubexm.errors import (
    AuthenticationError,
    ConnectError,
    DialRefusedError,
    DialTimeoutError,
    NotPermittedError,
    UnreachableError,
)
from kubexm.secret import Secret
from tests.integration.lines import assert_no_more, descriptors, finish, listening
from tests.integration.proxies import ProxyServer
from tests.integration.sshd import free_port

if TYPE_CHECKING:
    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration

LOGIN = ("me", "pr0xy secret")


def proxy(speaks: str, port: int, login: tuple[str, str] | None = None) -> Proxy:
    user, password = login or ("", "")
    parsed = Proxy.parse(f"{speaks}://{user + '@' if user else ''}127.0.0.1:{port}")
    return Proxy(
        scheme=parsed.scheme,
        address=parsed.address,
        port=parsed.port,
        user=parsed.user,
        password=Secret(password) if password else None,
    )


@pytest.mark.parametrize("speaks", ["socks5", "http"])
@pytest.mark.parametrize("login", [None, LOGIN], ids=["open", "login"])
def test_a_proxy_leads_to_a_machine_that_only_it_can_name(
    sshd: SshServer, speaks: str, login: tuple[str, str] | None
) -> None:
    with ProxyServer(speaks=speaks, login=login).running() as server:
        endpoint = sshd.endpoint(
            address="machine.example.org", proxy=proxy(speaks, server.port, login)
        )
        connector = SshConnector(endpoint)
        connector.connect()
        data = os.urandom(500_000)
        assert finish(connector.open("cat"), data)[0] == data
        connector.close()
    assert server.requests == [f"machine.example.org:{sshd.port}"]
    assert sshd.known_hosts.read_text().startswith(f"[machine.example.org]:{sshd.port} ")


@pytest.mark.parametrize("speaks", ["socks5", "http"])
@pytest.mark.parametrize("login", [None, ("me", "wrong secret")], ids=["none", "wrong"])
def test_a_login_that_a_proxy_refuses_is_told_and_not_shown(
    sshd: SshServer, speaks: str, login: tuple[str, str] | None
) -> None:
    with ProxyServer(speaks=speaks, login=LOGIN).running() as server:
        endpoint = sshd.endpoint(proxy=proxy(speaks, server.port, login))
        with pytest.raises(AuthenticationError, match=f"the proxy {speaks}://") as caught:
            SshConnector(endpoint).connect()
    error = caught.value
    assert error.host == "test"
    assert "kubexm_proxy_password" in error.hint
    assert "wrong secret" not in f"{error} {error!r} {error.hint} {endpoint} {endpoint!r}"


@pytest.mark.parametrize(
    ("speaks", "answer", "kind"),
    [
        ("socks5", b"\x05\x02\x00\x01" + bytes(6), NotPermittedError),
        ("socks5", b"\x05\x04\x00\x01" + bytes(6), UnreachableError),
        ("socks5", b"\x05\x06\x00\x01" + bytes(6), DialTimeoutError),
        ("socks5", b"\x05\x63\x00\x01" + bytes(6), UnreachableError),
        ("socks5", b"\x05", UnreachableError),
        ("http", b"HTTP/1.1 403 Forbidden\r\n\r\n", NotPermittedError),
        ("http", b"HTTP/1.1 504 Gateway Timeout\r\n\r\n", UnreachableError),
        ("http", b"SSH-2.0-x\r\n\r\n", UnreachableError),
        ("http", b"HTTP/1.1 200", UnreachableError),
    ],
)
def test_what_a_proxy_answers_is_told_apart(
    sshd: SshServer, speaks: str, answer: bytes, kind: type[ConnectError]
) -> None:
    with ProxyServer(speaks=speaks, answer=answer).running() as server:
        before = descriptors()
        with pytest.raises(kind, match=f"the proxy {speaks}://127.0.0.1:{server.port} "):
            SshConnector(sshd.endpoint(proxy=proxy(speaks, server.port))).connect()
        limit = time.monotonic() + 10
        while descriptors() > before and time.monotonic() < limit:
            time.sleep(0.01)
        assert descriptors() <= before


@pytest.mark.parametrize("speaks", ["socks5", "http"])
def test_a_machine_that_the_proxy_does_not_reach(sshd: SshServer, speaks: str) -> None:
    with (
        ProxyServer(speaks=speaks).running() as server,
        pytest.raises(UnreachableError, match=r"does not connect to 127\.0\.0\.1 port"),
    ):
        SshConnector(sshd.endpoint(port=free_port(), proxy=proxy(speaks, server.port))).connect()


def test_a_proxy_that_is_not_there_is_named(sshd: SshServer) -> None:
    nobody = free_port()
    with pytest.raises(
        DialRefusedError, match=rf"the proxy socks5://127.0.0.1:{nobody}: .*refused"
    ):
        SshConnector(sshd.endpoint(proxy=proxy("socks5", nobody))).connect()


@pytest.mark.parametrize("speaks", ["socks5", "http"])
def test_a_proxy_that_says_nothing_costs_the_timeout(sshd: SshServer, speaks: str) -> None:
    with listening(answer=None) as port:
        endpoint = sshd.endpoint(proxy=proxy(speaks, port), connect_timeout_s=1)
        with pytest.raises(DialTimeoutError, match=r"did not connect to .* in time"):
            SshConnector(endpoint).connect()


def test_a_proxy_stands_before_the_first_bastion(make_sshd: ServerMaker) -> None:
    gate, last = make_sshd(), make_sshd()
    with ProxyServer(speaks="socks5").running() as server:
        hop = gate.endpoint(name="gate", proxy=proxy("socks5", server.port))
        connector = SshConnector(last.endpoint(bastions=(hop,)))
        connector.connect()
        connector.close()
        assert server.requests == [f"127.0.0.1:{gate.port}"]


class TestCommand:
    def test_its_input_and_output_are_the_link(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint(proxy_command=nc("%h %p")))
        connector.connect()
        data = os.urandom(500_000)
        assert finish(connector.open("cat"), data)[0] == data
        connector.close()

    def test_nothing_is_left_of_it(self, sshd: SshServer) -> None:
        first = SshConnector(sshd.endpoint())
        first.connect()
        first.close()
        before = set(threading.enumerate()), descriptors()
        for command in (nc("%h %p"), "sleep 45678 & " + nc("%h %p"), "trap '' TERM; sleep 45678"):
            connector = SshConnector(sshd.endpoint(proxy_command=command, connect_timeout_s=2))
            try:
                connector.connect()
            except UnreachableError:
                assert "trap" in command
            connector.close()
        assert_no_more(*before)
        assert not [each for each in commands() if b"45678" in each]

    def test_ssh_config_has_it_too_with_what_the_inventory_says(
        self, sshd: SshServer, home: Path
    ) -> None:
        (home / ".ssh" / "config").write_text(
            f"Host end\n  HostName 127.0.0.1\n  Port 1\n  ProxyCommand {nc('%h %p')}\n"
        )
        connector = SshConnector(sshd.endpoint(address="end"))  # its port is the endpoint's
        connector.connect()
        connector.close()

    def test_its_last_words_are_told(self, sshd: SshServer) -> None:
        endpoint = sshd.endpoint(proxy_command="sh -c 'echo no way to %h >&2; exit 3'")
        with pytest.raises(UnreachableError) as caught:
            SshConnector(endpoint).connect()
        assert "ended with status 3" in caught.value.message
        assert "no way to 127.0.0.1" in caught.value.message
        assert caught.value.host == "test"

    def test_a_token_that_nobody_knows_is_told(self, sshd: SshServer) -> None:
        with pytest.raises(ConnectError, match="token %x; %h, %p, %r, %n and %% are known"):
            SshConnector(sshd.endpoint(proxy_command="nc %x")).connect()

    def test_what_stands_in_for_a_token_is_no_program(
        self, sshd: SshServer, tmp_path: Path
    ) -> None:
        mark = tmp_path / "mark"
        endpoint = sshd.endpoint(address=f"x;touch {mark};", proxy_command="echo %h")
        with pytest.raises(ConnectError):
            SshConnector(endpoint).connect()
        assert not mark.exists()


def nc(where: str) -> str:
    """A relay between its standard streams and a TCP port, as netcat is, in Python."""
    relay = Path(__file__).with_name("relay.py")
    return f"{sys.executable} {relay} {where}"


def commands() -> list[bytes]:
    """The command lines of all processes."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(entry.read_bytes())
    return found
