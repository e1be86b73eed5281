"""What a good inventory comes to."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import pytest

from kubexm.connector import Endpoint, HostKeyPolicy, Inside, Proxy, ProxyScheme
from kubexm.errors import UsageError
from kubexm.inventory import (
    DEFINITIONS,
    BecomeMode,
    Inventory,
    MachineMode,
    Origin,
    control_node,
    load,
)
from kubexm.secret import Secret
from kubexm.shell import Become, Escalation
from tests.unit.inventory.write import loaded, written

PROXY = Proxy(
    scheme=ProxyScheme.SOCKS5,
    address="proxy.example.org",
    port=1080,
    user="me",
    password=Secret("four"),
)

KUBESPRAY = """
all:
  hosts:
    node1:
      ansible_host: 192.0.2.11
      ip: 198.51.100.11
      etcd_member_name: etcd1
    node2:
      ansible_host: 192.0.2.12
      ip: 198.51.100.12
      etcd_member_name: etcd2
    node3:
      ansible_host: 192.0.2.13
      ip: 198.51.100.13
      etcd_member_name: etcd3
    node4:
      ansible_host: 192.0.2.14
    bastion:
      ansible_host: 192.0.2.1
  vars:
    ansible_user: ubuntu
    ansible_become: true
  children:
    kube_control_plane:
      hosts:
        node1:
        node2:
    kube_node:
      hosts:
        node2:
        node3:
        node4:
    etcd:
      hosts:
        node1:
        node2:
        node3:
    k8s_cluster:
      vars:
        kube_network_plugin: calico
      children:
        kube_control_plane:
        kube_node:
        calico_rr:
    calico_rr:
      hosts: {}
"""


def names(inventory: Inventory, limit: str) -> list[str]:
    return [host.name for host in inventory.select(limit)]


def test_kubespray_inventory_is_read_as_it_is(tmp_path: Path) -> None:
    inventory = loaded(tmp_path, KUBESPRAY)
    node2 = inventory.host("node2")
    assert [host.name for host in inventory.hosts] == [
        "node1",
        "node2",
        "node3",
        "node4",
        "bastion",
    ]
    assert node2.groups == ("etcd", "k8s_cluster", "kube_control_plane", "kube_node")
    assert node2.address == "192.0.2.12"
    assert node2.variables == {
        "ansible_user": "ubuntu",
        "ansible_become": True,
        "kube_network_plugin": "calico",
        "ansible_host": "192.0.2.12",
        "ip": "198.51.100.12",
        "etcd_member_name": "etcd2",
    }
    assert (node2.endpoint.user, node2.become) == ("ubuntu", BecomeMode.TRUE)
    assert inventory.host("bastion").groups == ()
    assert inventory.warnings == ()


def test_groups_have_members_children_and_depth(tmp_path: Path) -> None:
    groups = loaded(tmp_path, KUBESPRAY).groups
    assert list(groups) == [
        "all",
        "ungrouped",
        "kube_control_plane",
        "kube_node",
        "etcd",
        "k8s_cluster",
        "calico_rr",
    ]
    cluster = groups["k8s_cluster"]
    assert cluster.children == ("kube_control_plane", "kube_node", "calico_rr")
    assert groups["all"].children == (
        "ungrouped",
        "kube_control_plane",
        "kube_node",
        "etcd",
        "k8s_cluster",
        "calico_rr",
    )
    assert loaded(tmp_path, "web: {hosts: {a: }}").groups["all"].children == ("ungrouped", "web")
    assert cluster.hosts == ()
    assert cluster.members == ("node1", "node2", "node3", "node4")
    assert (cluster.depth, groups["calico_rr"].depth, groups["all"].depth) == (1, 2, 0)
    assert groups["ungrouped"].members == ("bastion",)
    assert groups["all"].hosts == groups["all"].members
    assert cluster.variables == {"kube_network_plugin": "calico"}


def test_host_with_nothing_said_has_safe_defaults(tmp_path: Path) -> None:
    host = loaded(tmp_path, "all: {hosts: {web1: }}").host("web1")
    assert host.endpoint == Endpoint(name="web1", address="web1")
    assert (host.address, host.internal_address) == ("web1", "web1")
    assert (host.connection, host.become, host.mode) == ("ssh", BecomeMode.AUTO, MachineMode.LIVE)
    assert host.escalation == Escalation(method=Become.SUDO, user="root")
    assert (host.family, host.labels, host.variables) == ("", {}, {})


def test_every_connection_variable_lands(tmp_path: Path) -> None:
    host = loaded(
        tmp_path,
        """
        all:
          hosts:
            web1:
              kubexm_host: 2001:db8::1
              kubexm_internal_address: 198.51.100.1
              kubexm_port: 2222
              kubexm_user: deploy
              kubexm_password: "one"
              kubexm_private_key_file: keys/id
              kubexm_private_key: "the key"
              kubexm_private_key_passphrase: "two"
              kubexm_certificate_file: keys/id-cert.pub
              kubexm_connection: courier
              kubexm_via: web2
              kubexm_container: app
              kubexm_pod: web-0
              kubexm_namespace: shop
              kubexm_context: test
              kubexm_kubeconfig: kube/config
              kubexm_root: /srv/tree
              kubexm_executable: /opt/courier
              kubexm_connection_options: {sender: somebody}
              kubexm_host_key_policy: strict
              kubexm_host_key: SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
              kubexm_known_hosts: /etc/known_hosts
              kubexm_bastion: ops@gate.example.org:2200
              kubexm_proxy: socks5://me@proxy.example.org
              kubexm_proxy_password: "four"
              kubexm_proxy_command: nc %h %p
              kubexm_ssh_args: -o Port=1
              kubexm_ssh_extra_args: -q
              kubexm_connect_timeout: 2m
              kubexm_connect_attempts: 3
              kubexm_become: "true"
              kubexm_become_method: su
              kubexm_become_user: admin
              kubexm_become_password: "three"
              kubexm_mode: image
              kubexm_family: debian
              kubexm_labels: {rack: "12"}
            web2:
        """,
    ).host("web1")
    assert host.endpoint == Endpoint(
        name="web1",
        address="2001:db8::1",
        port=2222,
        user="deploy",
        password=Secret("one"),
        private_key=str(tmp_path / "keys/id"),
        private_key_content=Secret("the key"),
        passphrase=Secret("two"),
        certificate=str(tmp_path / "keys/id-cert.pub"),
        host_key_policy=HostKeyPolicy.STRICT,
        host_keys=("SHA256:" + 43 * "A",),
        known_hosts="/etc/known_hosts",
        connect_timeout_s=120,
        connect_attempts=3,
        bastions=(
            Endpoint(
                name="ops@gate.example.org:2200",
                address="gate.example.org",
                port=2200,
                user="ops",
                host_key_policy=HostKeyPolicy.STRICT,
                known_hosts="/etc/known_hosts",
                connect_timeout_s=120,
                connect_attempts=3,
                proxy=PROXY,
                proxy_command="nc %h %p",
            ),
        ),
        proxy=PROXY,
        proxy_command="nc %h %p",
        inside=Inside(
            container="app",
            pod="web-0",
            namespace="shop",
            context="test",
            kubeconfig=str(tmp_path / "kube/config"),
            root="/srv/tree",
            executable="/opt/courier",
        ),
        options=MappingProxyType({"sender": "somebody"}),
    )
    assert host.internal_address == "198.51.100.1"
    assert (host.connection, host.via) == ("courier", "web2")
    assert host.become is BecomeMode.TRUE
    assert host.escalation == Escalation(method=Become.SU, user="admin", password=Secret("three"))
    assert (host.mode, host.family, host.labels) == (MachineMode.IMAGE, "debian", {"rack": "12"})
    assert {each.name for each in DEFINITIONS} == set(host.variables)


@pytest.mark.parametrize(
    ("variable", "value", "attribute", "expected"),
    [
        ("ansible_host", "a", "address", "a"),
        ("ansible_ssh_host", "a", "address", "a"),
        ("ansible_port", "'022'", "port", 22),
        ("ansible_ssh_port", "22", "port", 22),
        ("ansible_user", "CORP\\me", "user", "CORP\\me"),
        ("ansible_ssh_user", "a", "user", "a"),
        ("ansible_password", "a", "password", Secret("a")),
        ("ansible_ssh_pass", "'0123'", "password", Secret("0123")),
        ("ansible_ssh_private_key_file", "/k", "private_key", "/k"),
        ("ansible_private_key_file", "~/k", "private_key", str(Path("~/k").expanduser())),
        ("ansible_private_key_passphrase", "a", "passphrase", Secret("a")),
        ("ansible_timeout", "15s", "connect_timeout_s", 15.0),
        ("ansible_timeout", "2.5", "connect_timeout_s", 2.5),
        ("ansible_timeout", "'30'", "connect_timeout_s", 30.0),
        ("kubexm_connect_timeout", "1h", "connect_timeout_s", 3600.0),
    ],
)
def test_ansibles_names_land_in_the_endpoint(
    tmp_path: Path, variable: str, value: str, attribute: str, expected: object
) -> None:
    inventory = loaded(tmp_path, f"all:\n  hosts:\n    a:\n      {variable}: {value}\n")
    assert getattr(inventory.host("a").endpoint, attribute) == expected


@pytest.mark.parametrize(
    ("written_as", "meant"),
    [
        ("ssh", "ssh"),
        ("smart", "ssh"),
        ("paramiko", "ssh"),
        ("ansible.builtin.paramiko_ssh", "ssh"),
        ("local", "local"),
        ("community.docker.docker", "docker"),
        ("my-own", "my-own"),
    ],
)
def test_connection_names_a_connector(tmp_path: Path, written_as: str, meant: str) -> None:
    inventory = loaded(tmp_path, f"all:\n  hosts:\n    a: {{ansible_connection: {written_as}}}\n")
    assert inventory.host("a").connection == meant


@pytest.mark.parametrize(
    ("written_as", "meant"),
    [
        ("auto", BecomeMode.AUTO),
        ("true", BecomeMode.TRUE),
        ("yes", BecomeMode.TRUE),
        ('"True"', BecomeMode.TRUE),
        ("false", BecomeMode.FALSE),
        ("no", BecomeMode.FALSE),
        ('"off"', BecomeMode.FALSE),
    ],
)
def test_become_is_one_of_three(tmp_path: Path, written_as: str, meant: BecomeMode) -> None:
    inventory = loaded(tmp_path, f"all:\n  hosts:\n    a: {{ansible_become: {written_as}}}\n")
    assert inventory.host("a").become is meant


def test_local_host_has_no_address_to_connect_to(tmp_path: Path) -> None:
    host = loaded(tmp_path, "all: {hosts: {a: {kubexm_connection: local}}}").host("a")
    assert (host.address, host.endpoint.address) == ("a", "")


def test_of_two_names_at_one_level_ours_counts(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          hosts:
            a: {ansible_ssh_port: 1, kubexm_port: 2, ansible_port: 3}
            b: {ansible_ssh_port: 1, ansible_port: 3}
        """,
    )
    assert [host.endpoint.port for host in inventory.hosts] == [2, 3]


def test_deeper_level_counts_whatever_the_name(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          vars: {kubexm_user: above}
          hosts:
            a: {ansible_user: below}
        """,
    )
    assert inventory.host("a").endpoint.user == "below"


def test_other_variables_of_ansible_are_left_alone(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          hosts:
            a:
              ansible_python_interpreter: /usr/bin/python3
              ansible_ssh_common_args: -o ForwardAgent=yes
              ansible_private_key: x
              ansible_su_user: y
        """,
    )
    assert inventory.host("a").variables["ansible_python_interpreter"] == "/usr/bin/python3"


def test_nested_groups_win_over_their_parents_and_hosts_over_all(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          vars: {a: all, b: all, c: all, d: all, e: all}
          children:
            world:
              vars: {b: world, c: world, d: world, e: world}
              children:
                europe:
                  vars: {c: europe, d: europe, e: europe}
                  hosts:
                    paris: {d: paris, e: paris}
        """,
        {"e": "extra"},
    )
    paris = inventory.host("paris")
    assert paris.variables == {"a": "all", "b": "world", "c": "europe", "d": "paris", "e": "extra"}
    path = str(inventory.path)
    assert paris.origins == {
        "a": Origin("group all", 2, 10, path),
        "b": Origin("group world", 5, 14, path),
        "c": Origin("group europe", 8, 18, path),
        "d": Origin("host paris", 10, 21, path),
        "e": Origin("extra variables", 0, 0),
    }


def test_later_name_wins_among_groups_of_one_depth_unless_priority_says_otherwise(
    tmp_path: Path,
) -> None:
    text = """
    zebra:
      vars: {{x: zebra}}
      hosts: {{a: }}
    ant:
      vars: {{x: ant{priority}}}
      hosts: {{a: }}
    """
    plain = loaded(tmp_path, text.format(priority=""))
    assert plain.host("a").variables["x"] == "zebra"
    prior = loaded(tmp_path, text.format(priority=", ansible_group_priority: 2"))
    assert prior.host("a").variables["x"] == "ant"


def test_mappings_replace_each_other_and_are_not_merged(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          vars:
            settings: {a: 1, b: 2}
          hosts:
            web1:
              settings: {a: 3}
        """,
    )
    assert inventory.host("web1").variables == {"settings": {"a": 3}}


def test_group_and_host_mentioned_twice_are_one(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        web:
          hosts:
            b: {x: 1}
          vars: {v: 1}
        all:
          hosts:
            a:
            b: {y: 2}
          children:
            web:
              hosts:
                c:
              vars: {w: 2}
        """,
    )
    assert [host.name for host in inventory.hosts] == ["b", "a", "c"]
    assert inventory.groups["web"].members == ("b", "c")
    assert inventory.host("b").variables == {"v": 1, "w": 2, "x": 1, "y": 2}


def test_ungrouped_is_what_no_other_group_has(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          hosts: {a: , b: }
        ungrouped:
          hosts: {b: , c: }
          vars: {lonely: true}
        web:
          hosts: {b: }
        """,
    )
    assert inventory.groups["ungrouped"].members == ("a", "c")
    assert [host.name for host in inventory.hosts if "lonely" in host.variables] == ["a", "c"]


def test_ranges_stand_for_hosts(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          hosts:
            node[08:10].example.com: {x: 1}
            rack[a:c]:
            slot[0:10:5]-[1:2]:
        """,
    )
    assert [host.name for host in inventory.hosts] == [
        "node08.example.com",
        "node09.example.com",
        "node10.example.com",
        "racka",
        "rackb",
        "rackc",
        "slot0-1",
        "slot0-2",
        "slot5-1",
        "slot5-2",
        "slot10-1",
        "slot10-2",
    ]
    assert inventory.host("node09.example.com").variables == {"x": 1}
    assert inventory.warnings == ()


def test_ipv6_address_is_a_name_and_can_be_selected(tmp_path: Path) -> None:
    inventory = loaded(tmp_path, "all: {hosts: {'2001:db8::1': , web: }}")
    assert inventory.warnings == ()
    assert names(inventory, "2001:db8::1") == ["2001:db8::1"]
    assert names(inventory, "all,!2001:db8::1") == ["web"]


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          hosts:
            a: &common {kubexm_port: 1, x: 1}
            b: *common
            c: {<<: *common, x: 2}
            d: {<<: [{x: 3}, *common]}
        """,
    )
    assert [host.endpoint.port for host in inventory.hosts] == [1, 1, 1, 1]
    assert [host.variables["x"] for host in inventory.hosts] == [1, 1, 2, 3]


def test_bom_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "inv.yaml"
    path.write_bytes(b"\xef\xbb\xbfall: {hosts: {a: }}\r\n")
    assert [host.name for host in load(path).hosts] == ["a"]


def test_what_may_not_be_meant_is_warned_about(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          hosts:
            web: {kubexm_host: 192.0.2.1}
            web_2: {kubexm_host: 192.0.2.1, kubexm_port: 22}
            web3: {kubexm_host: 192.0.2.1, kubexm_port: 23}
            web4: {kubexm_connection: local, x: 1}
            web5: {kubexm_connection: local}
          children:
            web:
              vars: {z: 1}
              hosts:
                web3:
                web4: {x: 2}
        web:
          vars: {z: 2}
        """,
    )
    place, not_so = f"{tmp_path}/inv.yaml", "these do not keep to it"
    assert inventory.warnings == (
        f"{place}:3:5: 'web' is a host and a group; --limit takes it for both",
        f"{place}:4:5: a host name has letters, digits, '-' and '.' (RFC 1123); {not_so}: web_2",
        f"{place}:4:5: one machine under several names: web, web_2 (192.0.2.1 port 22)",
        f"{place}:13:16: 'x' of host web4 was set on line 6 already; this counts",
        f"{place}:15:10: 'z' of group web was set on line 10 already; this counts",
    )
    assert inventory.host("web4").variables["x"] == 2


def test_unknown_host_is_told_with_the_closest(tmp_path: Path) -> None:
    inventory = loaded(tmp_path, KUBESPRAY)
    with pytest.raises(UsageError) as caught:
        inventory.host("nod1")
    assert str(caught.value) == f"no host 'nod1' in {tmp_path}/inv.yaml"
    assert caught.value.hint == "did you mean 'node1' or 'node4' or 'node3'?"


def test_control_node_is_in_no_group_but_its_own(tmp_path: Path) -> None:
    inventory = loaded(tmp_path, KUBESPRAY, {"x": 1})
    control = inventory.host("control-node")
    assert control == dataclasses.replace(control_node(), variables={"x": 1})
    assert (control.connection, control.groups) == ("local", ("control-node",))
    for limit in (None, "all", "*"):
        assert control not in inventory.select(limit)
    with pytest.raises(UsageError):
        inventory.select("control*")
    assert inventory.select("control-node") == (control,)
    assert names(inventory, "control-node,node3") == ["node3", "control-node"]


def test_extra_variables_may_be_of_any_shape_and_win(tmp_path: Path) -> None:
    extra = {"kubexm_labels": {"a": "b"}, "x": [1, {"y": 2}], "kubexm_port": "22"}
    host = loaded(tmp_path, "all: {hosts: {a: {kubexm_port: 1}}}", extra).host("a")
    assert (host.labels, host.endpoint.port) == ({"a": "b"}, 22)
    assert host.variables["x"] == (1, {"y": 2})


def test_values_are_immutable_and_hosts_can_be_keys(tmp_path: Path) -> None:
    host = loaded(tmp_path, "all: {hosts: {a: {x: [1, {y: 2}]}}}").host("a")
    assert host.variables == {"x": (1, {"y": 2})}
    assert {host: 1}[host] == 1
    with pytest.raises(TypeError):
        host.variables["x"] = 1  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        host.name = "b"  # type: ignore[misc]


def test_repr_is_short_and_true(tmp_path: Path) -> None:
    inventory = loaded(tmp_path, KUBESPRAY)
    assert repr(inventory) == f"<Inventory {tmp_path}/inv.yaml: 5 hosts, 7 groups>"


def test_importing_the_package_does_not_import_the_yaml_parser() -> None:
    code = "import sys, kubexm.inventory; sys.exit('ruamel.yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_relative_key_starts_at_the_inventory_and_not_at_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fleet").mkdir()
    written(tmp_path / "fleet", "all: {hosts: {a: {kubexm_private_key_file: id}}}")
    monkeypatch.chdir(tmp_path)
    inventory = load(Path("fleet/inv.yaml"), extra_variables={"kubexm_known_hosts": "known"})
    endpoint = inventory.host("a").endpoint
    assert endpoint.private_key == str(tmp_path / "fleet/id")
    assert endpoint.known_hosts == str(tmp_path / "known")
