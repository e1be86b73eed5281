"""The settings of a node: typed, checked with their place, documented from the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexm.errors import InventoryError
from kubexm.inventory import load
from kubexm.profiles import NodeSettings, ProxyMode, TimeSync
from kubexm.profiles.settings import described

ROOT = Path(__file__).parents[3]


def settings_of(directory: Path, text: str) -> NodeSettings:
    path = directory / "hosts.yaml"
    path.write_text(f"all:\n  hosts: {{one: }}\n  vars:\n    node: {text}\n")
    inventory = load(path)
    return NodeSettings.of(inventory.hosts[0], path=str(path))


def test_what_the_inventory_does_not_say_has_its_default(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "{}") == NodeSettings()


def test_every_kind_of_value_is_taken(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        "{proxy_mode: ipvs, time_sync: none, packages: [vim], ipv6: true, open_files: 4096,"
        " domain: example.org, sysctl: {vm.swappiness: 10, kernel.panic: '5'}}",
    )
    assert settings.proxy_mode is ProxyMode.IPVS
    assert settings.time_sync is TimeSync.NONE
    assert settings.packages == ("vim",)
    assert settings.ipv6 is True
    assert settings.open_files == 4096
    assert settings.domain == "example.org"
    assert settings.sysctl == {"vm.swappiness": "10", "kernel.panic": "5"}


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("{pakages: [a]}", "node has no setting 'pakages'", "did you mean 'packages'?"),
        ("{packages: a}", "node.packages is not a list of strings", "the default is []"),
        ("{packages: [1]}", "node.packages is not a list of strings", "the default is []"),
        ("{ipv6: 1}", "node.ipv6 is not true or false", "the default is false"),
        ("{open_files: many}", "node.open_files is not a whole number", "1048576"),
        ("{open_files: 0}", "node.open_files is less than 1", "correct the value"),
        ("{proxy_mode: ebpf}", "node.proxy_mode is not one of iptables", "iptables"),
        ("{sysctl: [a]}", "node.sysctl is not a mapping", "the default is {}"),
        ("{sysctl: {a: [1]}}", "node.sysctl is not a mapping", "the default is {}"),
        ("{api_name: api}", "node.api_name and node.api_address go together", "correct"),
        ("{api_name: a, api_address: b}", "node.api_address is not an IP address", "correct"),
        ("[a]", "the variable node is not a mapping", "write node:"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_do(
    tmp_path: Path, text: str, said: str, hint: str
) -> None:
    with pytest.raises(InventoryError) as caught:
        settings_of(tmp_path, text)
    assert said in str(caught.value)
    assert "hosts.yaml:4" in str(caught.value)
    assert "(for one)" in str(caught.value)
    assert hint in caught.value.hint


def test_the_page_about_the_settings_is_made_from_the_code() -> None:
    assert described() in (ROOT / "docs" / "node-settings.md").read_text()
