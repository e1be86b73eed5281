"""The ways to a machine behind others: chains of bastions, each hop with credentials of its own."""

from __future__ import annotations

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import HostKeyPolicy
from kubexm.connector.ssh import SshConnector, plugin
from kubexm.connector.ssh_target import route
from kubexm.errors import (
    AuthenticationError,
    ConnectError,
    DialRefusedError,
    HostKeyChangedError,
    NotPermittedError,
    UnreachableError,
)
from kubexm.inventory import load
from tests.integration.lines import assert_no_more, descriptors, finish
from tests.integration.sshd import free_port, make_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration


class TestBastions:
    def test_each_hop_has_its_own_credentials_and_host_key(self, make_sshd: ServerMaker) -> None:
        outer, inner, last = (make_sshd(address=f"127.0.1.{n}") for n in (1, 2, 3))
        hops = tuple(s.endpoint(name=n) for s, n in ((outer, "outer"), (inner, "inner")))
        first = SshConnector(last.endpoint(bastions=hops))
        first.connect()  # what is imported once may stay open
        first.close()
        before = set(threading.enumerate()), descriptors()
        connector = SshConnector(last.endpoint(bastions=hops))
        connector.connect()
        assert finish(connector.open("cat"), b"x" * 1_000_000)[0] == b"x" * 1_000_000
        assert set(threading.enumerate()) - before[0] != set()
        connector.close()
        assert_no_more(*before)
        for server in (outer, inner, last):
            assert server.log.count("Accepted publickey") == 2
            assert len(server.known_hosts.read_text().splitlines()) == 1
            assert server.known_hosts.read_text().startswith(f"[{server.address}]:{server.port} ")

    def test_the_fault_of_a_hop_names_the_hop(self, make_sshd: ServerMaker, home: Path) -> None:
        outer, inner, last = make_sshd(), make_sshd(), make_sshd()
        wrong = str(make_key(home / "wrong"))
        refused = inner.endpoint(name="inner", private_key=wrong)
        hops = (outer.endpoint(name="outer"), refused)
        with pytest.raises(AuthenticationError) as caught:
            SshConnector(last.endpoint(bastions=hops)).connect()
        assert caught.value.host == "inner"
        assert "Accepted" not in last.log
        assert outer.log.count("Accepted") == 1

    def test_a_changed_key_of_a_bastion_stops_before_the_login(
        self, make_sshd: ServerMaker
    ) -> None:
        gate, last = make_sshd(), make_sshd()
        SshConnector(gate.endpoint()).connect()
        make_key(gate.host_key())
        gate.restart()
        with pytest.raises(HostKeyChangedError, match="CHANGED") as caught:
            SshConnector(last.endpoint(bastions=(gate.endpoint(name="gate"),))).connect()
        assert caught.value.host == "gate"
        assert f"{gate.known_hosts}:1" in caught.value.message

    def test_a_bastion_that_does_not_forward_says_so(self, make_sshd: ServerMaker) -> None:
        gate, last = make_sshd(settings="AllowTcpForwarding no\n"), make_sshd()
        with pytest.raises(NotPermittedError, match="gate does not permit") as caught:
            SshConnector(last.endpoint(bastions=(gate.endpoint(name="gate"),))).connect()
        assert "AllowTcpForwarding" in caught.value.hint

    def test_a_port_that_refuses_behind_a_bastion_is_told_as_such(
        self, make_sshd: ServerMaker
    ) -> None:
        gate = make_sshd()
        behind = gate.endpoint(port=free_port(), bastions=(gate.endpoint(name="gate"),))
        with pytest.raises(DialRefusedError, match=r"not reach .*: Connection refused"):
            SshConnector(behind).connect()

    def test_whoever_waits_on_a_shared_bastion_hears_his_own_refusal(
        self, make_sshd: ServerMaker
    ) -> None:
        gate = make_sshd(settings="PermitOpen 127.0.0.1:1 127.0.0.1:2\n")
        bastion = SshConnector(gate.endpoint(name="gate"))
        bastion.connect()

        def attempt(port: int) -> type[Exception]:
            with pytest.raises(ConnectError) as caught:
                bastion.forward("127.0.0.1", port)
            assert f"port {port}" in caught.value.message
            return caught.type

        with ThreadPoolExecutor(16) as pool:
            kinds = list(pool.map(attempt, [1, 3, 2, 4] * 16))
        assert kinds == [DialRefusedError, NotPermittedError] * 32
        bastion.close()


def test_an_inventory_leads_through_its_bastions(make_sshd: ServerMaker, tmp_path: Path) -> None:
    gate, inner, last = make_sshd(), make_sshd(address="127.0.1.1"), make_sshd()
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "all:\n  vars: {kubexm_connect_timeout: 10}\n  hosts:\n"
        + described("gate", gate)
        + described("inner", inner, "kubexm_bastion: gate")
        + described("web1", last, "kubexm_bastion: inner")
    )
    host = load(path).host("web1")
    assert [hop.name for hop in host.endpoint.bastions] == ["gate", "inner"]
    connector = plugin(host.endpoint)
    connector.connect()
    assert finish(connector.open("echo hello"))[0] == b"hello\n"
    connector.close()
    for server in (gate, inner, last):
        assert server.log.count("Accepted publickey") == 1


def described(name: str, server: SshServer, *more: str) -> str:
    """A host of an inventory, with what pins it and gets in."""
    said = subprocess.run(
        ["ssh-keygen", "-lf", f"{server.host_key()}.pub"],
        check=True,
        capture_output=True,
        text=True,
    )
    variables = (
        f"kubexm_host: {server.address}",
        f"kubexm_port: {server.port}",
        f"kubexm_user: {server.endpoint().user}",
        f"kubexm_private_key_file: {server.private_key}",
        f'kubexm_host_key: "{said.stdout.split()[1]}"',
        *more,
    )
    return f"    {name}: {{{', '.join(variables)}}}\n"


class TestRoute:
    def test_the_inventory_has_the_say_over_proxy_jump(self, sshd: SshServer, home: Path) -> None:
        (home / ".ssh" / "config").write_text("Host end\n  ProxyJump other.example.org\n")
        gate = replace(sshd.endpoint(), name="gate")
        assert route(sshd.endpoint(address="end", bastions=(gate,))) == (gate,)
        (jump,) = route(sshd.endpoint(address="end"))
        assert (jump.address, jump.private_key, jump.password) == ("other.example.org", "", None)

    def test_the_first_bastion_may_have_bastions_in_ssh_config(
        self, sshd: SshServer, home: Path
    ) -> None:
        (home / ".ssh" / "config").write_text(
            "Host gate\n  ProxyJump ops@far.example.org:2222\nHost end\n  ProxyJump gate,inner\n"
        )
        hops = route(sshd.endpoint(address="end"))
        assert [(hop.user, hop.address, hop.port) for hop in hops] == [
            ("ops", "far.example.org", 2222),
            ("", "gate", 0),
            ("", "inner", 0),
        ]

    def test_a_jump_host_for_everybody_is_dialled_directly(
        self, sshd: SshServer, home: Path
    ) -> None:
        (home / ".ssh" / "config").write_text("Host *\n  ProxyJump gate\n")
        assert [hop.address for hop in route(sshd.endpoint(address="end"))] == ["gate"]

    def test_a_circle_is_told(self, sshd: SshServer, home: Path) -> None:
        (home / ".ssh" / "config").write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
        with pytest.raises(ConnectError, match="in a circle with ProxyJump: a → b → a"):
            route(sshd.endpoint(address="a", port=0))

    def test_trust_in_the_machine_is_not_handed_on(self, sshd: SshServer, home: Path) -> None:
        (home / ".ssh" / "config").write_text("Host end\n  ProxyJump gate\n")
        (jump,) = route(sshd.endpoint(address="end", host_key_policy=HostKeyPolicy.INSECURE))
        assert jump.host_key_policy is HostKeyPolicy.ACCEPT_NEW
        (jump,) = route(sshd.endpoint(address="end", host_key_policy=HostKeyPolicy.PINNED))
        assert jump.host_key_policy is HostKeyPolicy.STRICT


class TestAttempts:
    def test_a_machine_that_comes_up_meanwhile_is_reached(self, make_sshd: ServerMaker) -> None:
        server = make_sshd()
        server.stop()
        connector = SshConnector(server.endpoint(connect_attempts=20))
        with ThreadPoolExecutor(1) as pool:
            connecting = pool.submit(connector.connect)
            time.sleep(1)
            assert not connecting.done()
            server.start()
            connecting.result(timeout=60)
        connector.close()

    def test_the_error_says_how_often_it_was_tried(self, sshd: SshServer) -> None:
        nobody = free_port()
        with pytest.raises(DialRefusedError, match=r"refused the connection \(2 attempts\)"):
            SshConnector(sshd.endpoint(port=nobody, connect_attempts=2)).connect()

    def test_ssh_config_says_how_often(self, sshd: SshServer, home: Path) -> None:
        (home / ".ssh" / "config").write_text("ConnectionAttempts 2\n")
        with pytest.raises(DialRefusedError, match=r"\(2 attempts\)"):
            SshConnector(sshd.endpoint(port=free_port())).connect()

    def test_closing_ends_the_attempts(self, sshd: SshServer) -> None:
        connector = SshConnector(sshd.endpoint(port=free_port(), connect_attempts=20))
        with ThreadPoolExecutor(1) as pool:
            connecting = pool.submit(connector.connect)
            time.sleep(0.5)
            connector.close()
            with pytest.raises(UnreachableError, match="closed while connecting"):
                connecting.result(timeout=5)

    def test_a_refused_login_is_not_tried_again(self, sshd: SshServer, home: Path) -> None:
        wrong = str(make_key(home / "wrong"))
        with pytest.raises(AuthenticationError):
            SshConnector(sshd.endpoint(private_key=wrong, connect_attempts=5)).connect()
        assert sshd.log.count("Connection from") <= 1
        assert sshd.log.count("Failed publickey") <= 1
