"""Variables about bastions, proxies and host keys: what they take, and what they do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.connector import HostKeyPolicy, Proxy, ProxyScheme
from kubexm.errors import InventoryError
from kubexm.inventory import AccessOverrides, override
from kubexm.secret import Secret
from tests.unit.inventory.write import loaded

if TYPE_CHECKING:
    from pathlib import Path

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPpWM7+lCeC5+lvc5+a/Y/YqvFVj4JIe6qpNRF7X+i1e"
FINGERPRINT = "SHA256:J5Mh/XxwXAdrq/d3/4m07iLtEdeZk7GTYQL5qa7+wGY"


def test_host_key_pins_unless_a_policy_is_named(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        f"""
        all:
          hosts:
            a: {{kubexm_host_key: "{KEY} root@a"}}
            b: {{kubexm_host_key: ["{FINGERPRINT}", "{KEY}"]}}
            c: {{kubexm_host_key: "{KEY}", kubexm_host_key_policy: strict}}
            d: {{kubexm_host_key_policy: insecure}}
        """,
    )
    found = [(h.endpoint.host_key_policy, h.endpoint.host_keys) for h in inventory.hosts]
    assert found == [
        (HostKeyPolicy.PINNED, (KEY,)),
        (HostKeyPolicy.PINNED, (FINGERPRINT, KEY)),
        (HostKeyPolicy.STRICT, (KEY,)),
        (HostKeyPolicy.INSECURE, ()),
    ]


def test_proxy_gets_its_password_from_a_variable_of_its_own(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          vars: {kubexm_proxy: "socks5://me@proxy.example.org:1081", kubexm_proxy_password: "s3"}
          hosts:
            a: {}
            b: {kubexm_proxy: none}
            c: {kubexm_proxy_command: "ssh -W %h:%p gate"}
        """,
    )
    proxy = Proxy(
        scheme=ProxyScheme.SOCKS5,
        address="proxy.example.org",
        port=1081,
        user="me",
        password=Secret("s3"),
    )
    assert [host.endpoint.proxy for host in inventory.hosts] == [proxy, None, proxy]
    assert inventory.host("c").endpoint.proxy_command == "ssh -W %h:%p gate"
    assert "s3" not in repr(inventory.hosts)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("kubexm_proxy", "ftp://p", "must begin with socks5:// or http://"),
        ("kubexm_proxy", "socks5://me:hunter2@p", "holds a password"),
        ("kubexm_proxy", "7", "must be socks5://user@host:port"),
        ("kubexm_host_key", "ssh-ed25519 AAAA", 'must be "ssh-ed25519 AAAA…"'),
        ("kubexm_host_key", "MD5:00", 'must be "ssh-ed25519 AAAA…"'),
        ("kubexm_host_key", "[]", "must be a public key"),
        ("kubexm_host_key", "[{a: b}]", "has a mapping in its list"),
        ("kubexm_bastion", "a:b:c", "must be a host of the inventory or user@host:port"),
        ("kubexm_bastion", "{a: b}", "must be a host of the inventory"),
        ("kubexm_bastion", "-oProxyCommand=x", "begins with '-'"),
        ("kubexm_connect_attempts", "0", "must be a whole number from 1 to 20"),
        ("kubexm_connect_attempts", "true", "must be a whole number from 1 to 20"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, variable: str, value: str, message: str
) -> None:
    with pytest.raises(InventoryError) as caught:
        loaded(tmp_path, f"all:\n  hosts:\n    a:\n      {variable}: {value!r}\n".replace("'", ""))
    assert message in str(caught.value)
    assert ":4:" in str(caught.value)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_private_key_flag_goes_before_what_the_inventory_holds(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        'all: {hosts: {a: {kubexm_private_key: "x", kubexm_certificate_file: c}}}',
    )
    endpoint = override(inventory, AccessOverrides(private_key="/k")).host("a").endpoint
    assert (endpoint.private_key, endpoint.private_key_content, endpoint.certificate) == (
        "/k",
        None,
        "",
    )
