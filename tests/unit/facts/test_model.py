"""`Facts` as a value, as JSON, and the rules about the kinds of machine."""

from __future__ import annotations

import dataclasses
import json

import pytest

from kubexm.facts import (
    DefaultAddress,
    Facts,
    FreeSpace,
    Init,
    Interface,
    Machine,
    Mount,
    OperatingSystem,
    Swap,
)


@pytest.mark.parametrize(
    ("machine", "rules"),
    [
        (Machine.LIVE, {"owns_kernel": True, "is_booted": True}),
        (Machine.CONTAINER, {"owns_kernel": False, "is_booted": True}),
        (Machine.IMAGE, {"owns_kernel": False, "is_booted": False}),
    ],
)
def test_what_may_be_done_follows_from_the_kind_of_machine(
    machine: Machine, rules: dict[str, bool]
) -> None:
    assert {name: getattr(machine, name) for name in rules} == rules


def test_facts_without_arguments_know_nothing() -> None:
    facts = Facts()
    unknown: set[object] = {"", None, (), frozenset(), OperatingSystem(), Machine.LIVE}
    assert {getattr(facts, one.name) for one in dataclasses.fields(facts)} == unknown


def test_facts_are_a_value() -> None:
    one, same = (Facts(hostname="a", tools=frozenset({"ip", "tar"})) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)


def test_free_space_is_found_by_path() -> None:
    facts = Facts(free_space=(FreeSpace(path="/var", available_mib=7),))
    assert facts.available_mib("/var") == 7
    assert facts.available_mib("/var/lib") is None


def test_mapping_holds_json_types_only_in_the_order_of_the_fields() -> None:
    facts = Facts(
        machine=Machine.CONTAINER,
        os=OperatingSystem(id="debian", id_like=("a", "b")),
        default_ipv4=DefaultAddress(address="192.0.2.2", interface="eth0", gateway="192.0.2.1"),
        has_default_route=True,
        interfaces=(Interface(name="eth0", mtu=1500, addresses=("192.0.2.2/24",)),),
        init=Init.SYSTEMD,
        swap=(Swap(name="/swap", type="file", size_kib=4),),
        mounts=(Mount(source="/dev/sda", target="/", fstype="ext4", options=("rw",)),),
        tools=frozenset({"tar", "ip", "curl"}),
    )
    plain = facts.to_dict()
    assert list(plain) == [one.name for one in dataclasses.fields(Facts)]
    assert json.loads(json.dumps(plain)) == plain
    assert type(plain["machine"]) is str
    assert plain["has_default_route"] is True
    assert plain["tools"] == ["curl", "ip", "tar"]
    assert plain["os"] == {
        "id": "debian", "id_like": ["a", "b"], "version_id": "", "codename": "",
        "pretty_name": "",
    }  # fmt: skip
    assert plain["interfaces"] == [
        {"name": "eth0", "mac": "", "mtu": 1500, "addresses": ["192.0.2.2/24"]}
    ]
    assert plain["swap"] == [{"name": "/swap", "type": "file", "size_kib": 4}]
    assert plain["default_ipv6"] is None


def test_bytes_that_are_not_utf8_do_not_reach_json() -> None:
    mount = Mount(source="a", target=b"/\xff".decode("utf-8", "surrogateescape"), fstype="ext4")
    plain = Facts(mounts=(mount,)).to_dict()
    assert "/\N{REPLACEMENT CHARACTER}" in json.dumps(plain, ensure_ascii=False)
    assert json.dumps(plain, ensure_ascii=False).encode()
