"""Which connections can stand for each other."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from kubexm.connector import Endpoint, HostKeyPolicy, Proxy, ProxyScheme
from kubexm.connector.pool import Key
from kubexm.secret import Secret

HOST = Endpoint(
    name="web",
    address="192.0.2.7",
    port=22,
    user="admin",
    password=Secret("hunter2"),
    bastions=(Endpoint(name="gate", user="jump"),),
)


def test_equal_endpoints_have_equal_keys() -> None:
    assert Key.of(HOST) == Key.of(replace(HOST))
    assert hash(Key.of(HOST)) == hash(Key.of(replace(HOST)))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "web2"},
        {"address": "192.0.2.8"},
        {"port": 23},
        {"user": "root"},
        {"password": Secret("hunter3")},
        {"password": None},
        {"private_key": "/a"},
        {"private_key_content": Secret("k")},
        {"passphrase": Secret("hunter2"), "password": None},
        {"host_key_policy": HostKeyPolicy.STRICT},
        {"known_hosts": "/dev/null"},
        {"bastions": ()},
        {"bastions": (Endpoint(name="gate", user="jump", password=Secret("x")),)},
        {"bastions": (*HOST.bastions, Endpoint(name="inner"))},
        {"proxy_command": "nc %h %p"},
        {"proxy": Proxy(scheme=ProxyScheme.SOCKS5, address="192.0.2.9", port=1080)},
        {"options": MappingProxyType({"a": "b"})},
    ],
)
def test_what_makes_another_connection_makes_another_key(changes: dict[str, object]) -> None:
    assert Key.of(replace(HOST, **changes)) != Key.of(HOST)  # type: ignore[arg-type] # as above


def test_patience_makes_no_other_connection() -> None:
    assert Key.of(replace(HOST, connect_timeout_s=1, connect_attempts=3)) == Key.of(HOST)


def test_the_way_counts_and_where_one_machine_ends_and_the_next_begins() -> None:
    one, two = Endpoint(name="one"), Endpoint(name="two")
    assert Key.of(one, two) != Key.of(two, one)
    assert Key.of(two) != Key.of(one, two)
    assert Key.of(Endpoint(name="a", user="b")) != Key.of(Endpoint(name="ab"))


def test_a_label_says_where_it_leads_and_no_secret() -> None:
    key = Key.of(HOST)
    assert key.label == "admin@192.0.2.7:22 via jump@gate"
    assert "hunter2" not in repr(key)
    assert key.digest.hex() not in repr(key)
