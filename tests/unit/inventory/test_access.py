"""Command-line access flags over what the inventory says."""

from __future__ import annotations

from pathlib import Path

from kubexm.inventory import AccessOverrides, BecomeMode, override
from kubexm.secret import Secret
from kubexm.shell import Become
from tests.unit.inventory.write import loaded

TEXT = """
all:
  hosts:
    a:
      kubexm_user: one
      kubexm_become: false
      kubexm_become_method: doas
      kubexm_become_user: admin
      kubexm_become_password: x
    b:
"""


def test_no_flag_leaves_everything_as_it_is(tmp_path: Path) -> None:
    inventory = loaded(tmp_path, TEXT)
    assert override(inventory, AccessOverrides()) is inventory


def test_flags_win_on_every_host_and_the_control_node(tmp_path: Path) -> None:
    inventory = override(
        loaded(tmp_path, TEXT),
        AccessOverrides(
            user="two",
            private_key="~/k",
            password=Secret("p"),
            become=BecomeMode.TRUE,
            become_password=Secret("q"),
            connect_timeout_s=3,
        ),
    )
    for host in (*inventory.hosts, inventory.control):
        assert host.endpoint.user == "two"
        assert host.endpoint.private_key == str(Path("~/k").expanduser())
        assert host.endpoint.password == Secret("p")
        assert host.endpoint.connect_timeout_s == 3
        assert host.become is BecomeMode.TRUE
        assert host.escalation.password == Secret("q")
    assert inventory.host("a") is inventory.hosts[0]


def test_flag_touches_only_what_it_names(tmp_path: Path) -> None:
    before = loaded(tmp_path, TEXT)
    after = override(before, AccessOverrides(become=BecomeMode.TRUE))
    host = after.host("a")
    assert host.endpoint == before.host("a").endpoint
    assert (host.escalation.method, host.escalation.user) == (Become.DOAS, "admin")
    assert host.escalation.password == Secret("x")
    assert before.host("a").become is BecomeMode.FALSE
