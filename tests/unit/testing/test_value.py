from __future__ import annotations

import pytest

from kubexm.facts import DefaultAddress, Facts, Init, Machine, OperatingSystem
from kubexm.runner.operations import (
    FileContent,
    HostEntries,
    HostEntry,
    PackagesInstalled,
    SysctlSettings,
)
from kubexm.secret import Secret
from kubexm.testing.value import build, plain

OPERATIONS = (
    FileContent(path="/f", content="x", mode=0o4755),
    HostEntries(name="c", entries=(HostEntry(address="::1", names=("a", "b")),)),
    PackagesInstalled(names=frozenset({"b", "a"}), cache_valid_s=7),
    SysctlSettings(name="s", values={"net.ipv4.ip_forward": "1"}, optional=frozenset()),
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: type(op).__name__)
def test_plain_and_back_is_the_same(operation: object) -> None:
    assert build(type(operation), plain(operation)) == operation


def test_facts_are_built_from_few_words() -> None:
    facts = build(
        Facts,
        {
            "machine": "container",
            "init": "systemd",
            "os": {"id": "rocky", "id_like": ["rhel", "fedora"]},
            "default_ipv4": {"address": "10.0.0.1", "interface": "eth0"},
            "tools": ["curl"],
            "swap": None,
        },
    )
    assert facts == Facts(
        machine=Machine.CONTAINER,
        init=Init.SYSTEMD,
        os=OperatingSystem(id="rocky", id_like=("rhel", "fedora")),
        default_ipv4=DefaultAddress(address="10.0.0.1", interface="eth0"),
        tools=frozenset({"curl"}),
    )


def test_secret_goes_in_and_never_out() -> None:
    operation = build(FileContent, {"path": "/f", "content": {"secret": "hush"}})
    assert operation.content == Secret("hush")
    assert plain(operation)["content"] == {"secret": "***"}


def test_unknown_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="FileContent has no field pth"):
        build(FileContent, {"pth": "/f"})
