"""The way to a host: through others, into containers and directory trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Inside
from kubexm.errors import InventoryError
from kubexm.inventory import InventoryErrors
from tests.unit.inventory.write import loaded

if TYPE_CHECKING:
    from pathlib import Path

WAYS = """
all:
  hosts:
    node1: {kubexm_host: 192.0.2.1}
    shop: {kubexm_connection: podman, kubexm_via: node1}
    cart: {kubexm_connection: kubectl, kubexm_via: shop, kubexm_pod: cart-0}
    here: {kubexm_connection: docker, kubexm_via: control-node}
    tree: {kubexm_connection: chroot, kubexm_root: /srv/tree}
"""


def test_hosts_may_go_through_others_and_those_again(tmp_path: Path) -> None:
    inventory = loaded(tmp_path, WAYS)
    assert [(host.name, host.via) for host in inventory.hosts] == [
        ("node1", ""),
        ("shop", "node1"),
        ("cart", "shop"),
        ("here", "control-node"),
        ("tree", ""),
    ]
    assert inventory.host("cart").endpoint.inside == Inside(pod="cart-0")
    assert inventory.warnings == ()


@pytest.mark.parametrize(
    ("hosts", "message", "hint"),
    [
        (
            "a: {kubexm_connection: podman, kubexm_via: node9}\n    node1:",
            "3:36: host 'a' goes through 'node9', which is no host",
            "did you mean 'node1'?",
        ),
        (
            "a: {kubexm_connection: podman, kubexm_via: a}",
            "3:36: host 'a' goes through itself: a → a",
            "one of them must be reached without kubexm_via",
        ),
        (
            "a: {kubexm_via: b}\n    b:",
            "3:9: host 'a' has kubexm_via, which ssh does not know",
            "use kubexm_bastion, or kubexm_connection: openssh",
        ),
        (
            "a: {kubexm_connection: local, kubexm_via: b}\n    b:",
            "3:35: host 'a' has kubexm_via, which local does not know",
            "it is this machine",
        ),
        (
            "a: {kubexm_connection: chroot}",
            "3:9: host 'a' is a chroot without a directory",
            "set kubexm_root to the absolute path of its tree",
        ),
        (
            "a: {ansible_host: /srv/tree}",
            "3:9: '/srv/tree' of host 'a' is no host name or IP address",
            "a path is for kubexm_connection: chroot",
        ),
    ],
)
def test_way_that_leads_nowhere_is_told_with_its_place(
    tmp_path: Path, hosts: str, message: str, hint: str
) -> None:
    with pytest.raises(InventoryError) as caught:
        loaded(tmp_path, f"all:\n  hosts:\n    {hosts}\n")
    assert str(caught.value) == f"{tmp_path}/inv.yaml:{message}"
    assert caught.value.hint == hint


def test_circle_is_told_for_each_host_in_it_and_for_no_other(tmp_path: Path) -> None:
    circle = """
    all:
      vars: {kubexm_connection: podman}
      hosts:
        a: {kubexm_via: b}
        b: {kubexm_via: c}
        c: {kubexm_via: b}
    """
    with pytest.raises(InventoryErrors) as caught:
        loaded(tmp_path, circle)
    assert [(each.line, each.message) for each in caught.value.problems] == [
        (5, "host 'b' goes through itself: b → c → b"),
        (6, "host 'c' goes through itself: c → b → c"),
    ]


def test_way_from_an_extra_variable_is_told_without_a_place(tmp_path: Path) -> None:
    text = "all: {hosts: {a: {kubexm_connection: docker}}}"
    with pytest.raises(InventoryError) as caught:
        loaded(tmp_path, text, {"kubexm_via": "gone"})
    assert str(caught.value) == "host 'a' goes through 'gone', which is no host"


@pytest.mark.parametrize(
    ("written", "connection"),
    [
        ("community.docker.docker", "docker"),
        ("community.docker.docker_api", "docker"),
        ("containers.podman.podman", "podman"),
        ("kubernetes.core.kubectl", "kubectl"),
        ("ansible.builtin.ssh", "ssh"),
    ],
)
def test_ansibles_connections_are_ours(tmp_path: Path, written: str, connection: str) -> None:
    inventory = loaded(tmp_path, f"all: {{hosts: {{a: {{ansible_connection: {written}}}}}}}")
    assert inventory.host("a").connection == connection


def test_ansibles_chroot_is_named_by_its_host(tmp_path: Path) -> None:
    text = "all: {hosts: {a: {ansible_connection: community.general.chroot, ansible_host: /srv/a}}}"
    host = loaded(tmp_path, text).host("a")
    assert (host.connection, host.endpoint.address) == ("chroot", "/srv/a")


@pytest.mark.parametrize(
    ("variable", "inside"),
    [
        ("ansible_docker_host", Inside(container="x")),
        ("ansible_podman_host", Inside(container="x")),
        ("ansible_kubectl_container", Inside(container="x")),
        ("ansible_kubectl_pod", Inside(pod="x")),
        ("ansible_kubectl_namespace", Inside(namespace="x")),
        ("ansible_kubectl_context", Inside(context="x")),
        ("ansible_podman_executable", Inside(executable="x")),
        ("ansible_chroot_exe", Inside(executable="x")),
    ],
)
def test_ansibles_names_of_places_are_ours(tmp_path: Path, variable: str, inside: Inside) -> None:
    host = loaded(tmp_path, f"all: {{hosts: {{a: {{{variable}: x}}}}}}").host("a")
    assert host.endpoint.inside == inside


@pytest.mark.parametrize("path", ["srv/tree", "~/tree", '""', '"/a\\nb"'])
def test_root_is_an_absolute_path(tmp_path: Path, path: str) -> None:
    with pytest.raises(InventoryError, match="kubexm_root"):
        loaded(tmp_path, f"all: {{hosts: {{a: {{kubexm_root: {path}}}}}}}")
