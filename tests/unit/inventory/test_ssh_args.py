"""What `ansible_ssh_common_args` and its like come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.connector import HostKeyPolicy
from kubexm.errors import InventoryError
from tests.unit.inventory.write import loaded

if TYPE_CHECKING:
    from pathlib import Path

    from kubexm.connector import Endpoint


def endpoint(directory: Path, args: str, **others: str) -> Endpoint:
    lines = {"ansible_ssh_common_args": repr(args), **others}
    text = "".join(f"      {name}: {value}\n" for name, value in lines.items())
    return loaded(directory, f"all:\n  hosts:\n    a:\n{text}").host("a").endpoint


@pytest.mark.parametrize(
    ("args", "bastions"),
    [
        ("-J gate", [("", "gate", 0)]),
        ("-Jme@gate:2222,inner", [("me", "gate", 2222), ("", "inner", 0)]),
        ("-o ProxyJump=gate", [("", "gate", 0)]),
        ('-o ProxyCommand="ssh -W %h:%p me@gate"', [("me", "gate", 0)]),
        ('-o ProxyCommand="ssh -q -W %h:%p -p 2222 -l me gate"', [("me", "gate", 2222)]),
        ("-oProxyCommand='/usr/bin/ssh -W %h:%p -o ControlMaster=auto gate'", [("", "gate", 0)]),
        ("-o ProxyJump=none", []),
        ("-C -o ControlPersist=60s", []),
        ("", []),
    ],
)
def test_way_to_the_machine_is_understood(
    tmp_path: Path, args: str, bastions: list[tuple[str, str, int]]
) -> None:
    found = endpoint(tmp_path, args)
    assert [(each.user, each.address, each.port) for each in found.bastions] == bastions
    assert found.proxy_command == ""


def test_other_proxy_command_is_run(tmp_path: Path) -> None:
    for command in ("nc -X 5 -x proxy:1080 %h %p", "ssh -W %h:%p -i key gate", "ssh gate nc %h %p"):
        found = endpoint(tmp_path, f'-o ProxyCommand="{command}"')
        assert (found.proxy_command, found.bastions) == (command, ())


def test_options_are_settings(tmp_path: Path) -> None:
    found = endpoint(
        tmp_path,
        "-i key -p 2222 -l me -o StrictHostKeyChecking=no -o ConnectTimeout=7 -o Port=9 "
        "-o UserKnownHostsFile=/dev/null -o ConnectionAttempts=3",
    )
    assert (found.private_key, found.port, found.user) == (str(tmp_path / "key"), 2222, "me")
    assert found.host_key_policy is HostKeyPolicy.INSECURE
    assert (found.connect_timeout_s, found.connect_attempts, found.known_hosts) == (7.0, 3, "")


def test_variable_of_its_own_is_stronger(tmp_path: Path) -> None:
    assert endpoint(tmp_path, "-p 2222 -l me", ansible_port="22").port == 22


def test_host_may_take_back_what_its_group_says(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          vars: {ansible_ssh_common_args: -J gate}
          hosts:
            gate: {ansible_ssh_common_args: ""}
            a: {ansible_ssh_extra_args: -p 2222}
        """,
    )
    assert inventory.host("gate").endpoint.bastions == ()
    found = inventory.host("a").endpoint
    assert ([each.name for each in found.bastions], found.port) == (["gate"], 2222)


def test_option_that_nothing_is_done_about_is_warned_about(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path, "all: {hosts: {a: {ansible_ssh_common_args: -F x -o Ciphers=aes128-ctr}}}"
    )
    said = "ansible_ssh_common_args: nothing is done about -F, ciphers"
    assert inventory.warnings == (f"{tmp_path}/inv.yaml:1:44: {said}",)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("-J", "has -J without a value"),
        ("gate", "has 'gate', which is no option"),
        ('-o ProxyCommand="x', "has a quote that is not closed"),
        ("-p high", "must be options of the ssh command, not '-p high'"),
    ],
)
def test_what_cannot_be_understood_is_a_mistake(tmp_path: Path, args: str, message: str) -> None:
    with pytest.raises(InventoryError) as caught:
        endpoint(tmp_path, args)
    assert str(caught.value) == f"{tmp_path}/inv.yaml:4:32: ansible_ssh_common_args {message}"
