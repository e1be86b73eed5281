"""A password is never seen: not in values, not in messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubexm.errors import InventoryError
from kubexm.inventory import DEFINITIONS, Inventory, load
from kubexm.secret import Secret
from tests.unit.inventory.write import loaded

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "hunter2xyzzy"
SECRETS = [name for each in DEFINITIONS if each.is_secret for name in (each.name, *each.aliases)]
TEMPORARY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def everything_about(inventory: Inventory) -> str:
    return repr((inventory, inventory.hosts, inventory.groups, inventory.warnings)) + repr(
        [(dict(host.variables), dict(host.origins)) for host in inventory.hosts]
        + [dict(group.variables) for group in inventory.groups.values()]
    )


@pytest.mark.parametrize("name", SECRETS)
def test_password_is_a_secret_wherever_it_is_kept(tmp_path: Path, name: str) -> None:
    text = f"all:\n  vars: {{{name}: {PASSWORD}}}\n  hosts:\n    a: {{{name}: {PASSWORD}}}\n"
    inventory = loaded(tmp_path, text, {name: PASSWORD})
    assert inventory.host("a").variables[name] == Secret(PASSWORD)
    assert inventory.groups["all"].variables[name] == Secret(PASSWORD)
    assert inventory.control.variables[name] == Secret(PASSWORD)
    assert PASSWORD not in everything_about(inventory)


@pytest.mark.parametrize(
    "name", ["ansible_winrm_password", "ansible_sudo_pass", "ansible_ssh_private_key"]
)
def test_password_that_only_ansible_knows_is_secret_too(tmp_path: Path, name: str) -> None:
    inventory = loaded(tmp_path, f"all: {{hosts: {{a: {{{name}: {PASSWORD}}}}}}}")
    assert inventory.host("a").variables[name] == Secret(PASSWORD)
    assert PASSWORD not in everything_about(inventory)


def test_secret_given_as_an_extra_variable_stays_one(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path, "all: {hosts: {a: }}", {"kubexm_become_password": Secret(PASSWORD)}
    )
    assert inventory.host("a").escalation.password == Secret(PASSWORD)


@pytest.mark.parametrize(
    "value",
    [
        f"@{PASSWORD}",
        f"*{PASSWORD}",
        f"!{PASSWORD}",
        f"!{PASSWORD}!{PASSWORD} x",
        f"'{PASSWORD}",
        f'"{PASSWORD}',
        f'"{PASSWORD}\\q"',
        f"[{PASSWORD}",
        f"[{PASSWORD}]",
        f"{{{PASSWORD}: {PASSWORD}}}",
        f"|{PASSWORD}",
        f"{PASSWORD}: x",
        f"'{PASSWORD}' {PASSWORD}",
        f"'{{{{ {PASSWORD} }}}}'",
    ],
)
def test_mistake_in_a_password_does_not_show_it(tmp_path: Path, value: str) -> None:
    with pytest.raises(InventoryError) as caught:
        loaded(tmp_path, f"all:\n  hosts:\n    a:\n      kubexm_password: {value}\n")
    assert PASSWORD not in f"{caught.value!s} {caught.value!r} {caught.value.hint}"


@TEMPORARY
@given(before=st.text(max_size=6), after=st.text(max_size=6))
def test_whatever_stands_around_a_password_it_is_never_told(
    tmp_path: Path, before: str, after: str
) -> None:
    path = tmp_path / "inv.yaml"
    text = f"all:\n  hosts:\n    a:\n      ansible_become_pass: {before}{PASSWORD}{after}\n"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        said = everything_about(load(path))
    except InventoryError as error:
        said = f"{error!s} {error!r} {error.hint}"
    if "\n" not in before + after and "\r" not in before + after and "\\" not in before:
        assert PASSWORD not in said
