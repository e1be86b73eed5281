"""Inheritance against a naive reference, and robustness against any text."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubexm.errors import InventoryError
from kubexm.inventory import load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEMPORARY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
NAMES = ("delta", "alpha", "gamma", "beta", "eta")
VARIABLES = st.dictionaries(st.sampled_from(["v", "w", "x"]), st.integers(0, 9), max_size=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """An inventory without cycles: group `i` has only children after it."""

    all: Mapping[str, int]
    groups: Mapping[str, Mapping[str, int]]
    children: Mapping[str, frozenset[str]]
    hosts: Mapping[str, frozenset[str]]
    own: Mapping[str, Mapping[str, int]]
    extra: Mapping[str, int]

    def text(self) -> str:
        """As JSON, which is YAML."""
        document: dict[str, object] = {
            "all": {"vars": self.all, "hosts": {host: self.own[host] for host in self.hosts}}
        }
        for group, variables in self.groups.items():
            document[group] = {
                "hosts": {host: None for host, into in self.hosts.items() if group in into},
                "vars": variables,
                "children": dict.fromkeys(sorted(self.children[group])),
            }
        return json.dumps(document, indent=1)

    def parents(self, group: str) -> list[str]:
        return [name for name in self.groups if group in self.children[name]]

    def depth(self, group: str) -> int:
        return 1 + max((self.depth(parent) for parent in self.parents(group)), default=0)

    def has(self, group: str, host: str) -> bool:
        return group in self.hosts[host] or any(
            self.has(child, host) for child in self.children[group]
        )

    def expected(self, host: str) -> dict[str, int]:
        """What every level sets, the one with the least say first."""
        groups = [group for group in self.groups if self.has(group, host)]
        merged = dict(self.all)
        for group in sorted(groups, key=lambda name: (self.depth(name), name)):
            merged |= self.groups[group]
        return merged | dict(self.own[host]) | dict(self.extra)


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    groups = NAMES[: draw(st.integers(1, len(NAMES)))]
    hosts = [f"h{number}" for number in range(draw(st.integers(1, 4)))]
    some = st.frozensets
    return Fleet(
        all=draw(VARIABLES),
        groups={group: draw(VARIABLES) for group in groups},
        children={
            group: draw(some(st.sampled_from(groups[index + 1 :])))
            if groups[index + 1 :]
            else frozenset()
            for index, group in enumerate(groups)
        },
        hosts={host: draw(some(st.sampled_from(groups), max_size=3)) for host in hosts},
        own={host: draw(VARIABLES) for host in hosts},
        extra=draw(st.dictionaries(st.sampled_from(["x"]), st.integers(0, 9))),
    )


@TEMPORARY
@given(fleet=fleets())
def test_inheritance_is_that_of_the_naive_reference(tmp_path: Path, fleet: Fleet) -> None:
    path = tmp_path / "inv.yaml"
    path.write_text(fleet.text())
    inventory = load(path, extra_variables=fleet.extra)
    assert [host.name for host in inventory.hosts] == list(fleet.hosts)
    for host in inventory.hosts:
        assert host.variables == fleet.expected(host.name)
        groups = [group for group in fleet.groups if fleet.has(group, host.name)]
        assert list(host.groups) == sorted(groups, key=lambda name: (fleet.depth(name), name))
        assert host.origins.keys() == host.variables.keys()
    for name in fleet.groups:
        group = inventory.groups[name]
        assert list(group.members) == [host for host in fleet.hosts if fleet.has(name, host)]
        assert group.depth == fleet.depth(name)


PIECES = st.sampled_from(
    [
        *("all", "hosts", "children", "vars", "a", "b", "web", "kubexm_port", "ansible_host", "22"),
        *(":", ": ", "\n", "\n  ", "\n    ", "\n      ", "- ", "{", "}", "[", "]", "'", '"', "&x "),
        *("*x", "<<: ", "!t ", "|", ">", "#", ",", "\t", "---\n", "? ", "~", "no", "[1:3]", "\x00"),
    ]
)


@settings(TEMPORARY, max_examples=400)
@given(pieces=st.lists(PIECES, max_size=40), start=st.sampled_from(["", "all:\n  hosts:\n    "]))
def test_any_text_gives_an_inventory_or_an_inventory_error(
    tmp_path: Path, pieces: list[str], start: str
) -> None:
    path = tmp_path / "inv.yaml"
    path.write_text(start + "".join(pieces))
    with suppress(InventoryError):
        inventory = load(path)
        assert inventory.select("all") == inventory.hosts
