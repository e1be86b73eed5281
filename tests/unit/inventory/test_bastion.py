"""Bastions of an inventory: whose they are, in which order, and what leads nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Endpoint, HostKeyPolicy
from kubexm.errors import InventoryError
from kubexm.inventory import load
from kubexm.inventory.bastion import Hop
from kubexm.inventory.check import faults
from kubexm.secret import Secret
from tests.unit.inventory.write import loaded

if TYPE_CHECKING:
    from pathlib import Path

    from kubexm.inventory import Inventory


def route(inventory: Inventory, name: str) -> list[str]:
    return [hop.name for hop in inventory.host(name).endpoint.bastions]


def test_bastion_of_the_inventory_brings_its_own_credentials(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          hosts:
            gate: {kubexm_host: 192.0.2.1, kubexm_user: ops, kubexm_password: "gatekeeper"}
            web1: {kubexm_bastion: gate, kubexm_user: deploy, kubexm_private_key: "mine"}
        """,
    )
    assert inventory.host("gate").endpoint.bastions == ()
    assert inventory.host("web1").endpoint.bastions == (
        Endpoint(name="gate", address="192.0.2.1", user="ops", password=Secret("gatekeeper")),
    )


def test_bastion_of_a_bastion_comes_first(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          hosts:
            outer: {}
            inner: {kubexm_bastion: outer}
            web1: {kubexm_bastion: inner}
            web2: {kubexm_bastion: [inner, last.example.org]}
        """,
    )
    assert route(inventory, "inner") == ["outer"]
    assert route(inventory, "web1") == ["outer", "inner"]
    assert route(inventory, "web2") == ["outer", "inner", "last.example.org"]
    assert all(hop.bastions == () for hop in inventory.host("web2").endpoint.bastions)


def test_bastions_of_everybody_are_reached_through_those_before_them(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          vars: {kubexm_bastion: [outer, inner]}
          hosts:
            outer: {}
            inner: {}
            web1: {}
            near: {kubexm_bastion: none}
        """,
    )
    assert route(inventory, "outer") == []
    assert route(inventory, "inner") == ["outer"]
    assert route(inventory, "web1") == ["outer", "inner"]
    assert route(inventory, "near") == []


def test_address_gets_no_credential_and_no_trust_of_the_host_behind(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          vars: {kubexm_bastion: "ops@[2001:db8::1]:2222", kubexm_password: "x"}
          hosts:
            web1: {kubexm_host_key_policy: insecure, kubexm_private_key_file: key}
            web2: {kubexm_host_key: "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
        """,
    )
    (lenient,) = inventory.host("web1").endpoint.bastions
    assert (lenient.user, lenient.address, lenient.port) == ("ops", "2001:db8::1", 2222)
    assert (lenient.password, lenient.private_key) == (None, "")
    assert lenient.host_key_policy is HostKeyPolicy.ACCEPT_NEW
    (strict,) = inventory.host("web2").endpoint.bastions
    assert strict.host_key_policy is HostKeyPolicy.STRICT
    assert inventory.host("web2").endpoint.host_key_policy is HostKeyPolicy.PINNED


def test_circle_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        loaded(
            tmp_path,
            """
            all:
              hosts:
                a: {kubexm_bastion: b}
                b: {kubexm_bastion: a}
            """,
        )
    assert "a → b → a" in str(caught.value)
    assert ":3:" in str(caught.value)


def test_bastion_that_ssh_does_not_reach_is_told(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="'box' is reached by local; only ssh can go on"):
        loaded(
            tmp_path,
            """
            all:
              hosts:
                box: {kubexm_connection: local}
                web1: {kubexm_bastion: box}
            """,
        )


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("gate", Hop("gate", "", "gate", 0)),
        ("me@gate", Hop("me@gate", "me", "gate", 0)),
        ("ssh://me@gate:22/", Hop("ssh://me@gate:22/", "me", "gate", 22)),
        ("[2001:db8::1]", Hop("[2001:db8::1]", "", "2001:db8::1", 0)),
        ("gate:2222", Hop("gate:2222", "", "gate", 2222)),
    ],
)
def test_hop_is_read(text: str, hop: Hop) -> None:
    assert Hop.parse(text) == hop


@pytest.mark.parametrize(
    "text", ["", "@gate", "gate:", "gate:0", "gate:70000", "2001:db8::1", "a b"]
)
def test_hop_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a host of the inventory or user@host:port"):
        Hop.parse(text)


def test_a_bastions_key_that_is_missing_is_told_once_before_anything_connects(
    tmp_path: Path,
) -> None:
    path = tmp_path / "inv.yaml"
    path.write_text(
        "all:\n  hosts:\n    gate: {kubexm_private_key_file: /nowhere/gate}\n"
        "    a: {kubexm_bastion: gate}\n"
    )
    inventory = load(path)
    (itself,) = faults(inventory.hosts)
    assert str(itself).startswith(f"{path}:3:12: kubexm_private_key_file names /nowhere/gate")
    (through,) = faults((inventory.host("a"),))
    assert str(through).startswith(
        f"{path}:4:9: kubexm_bastion leads through gate, whose key /nowhere/gate is not there"
    )
