"""Every mistake is told with its file, line and column and what to do about it.

`broken/` has a file for each: the inventory, and every problem in the order in which it is told.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import InventoryError
from kubexm.inventory import DEFINITIONS, InventoryErrors, load
from tests.unit.inventory.corpus import Broken, broken_inventories, problems_of
from tests.unit.inventory.write import loaded, written

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("case", broken_inventories(), ids=lambda case: case.name)
def test_mistake_is_told_with_its_place_and_a_way_out(tmp_path: Path, case: Broken) -> None:
    told = [
        (str(problem).removeprefix(f"{tmp_path}/"), problem.hint)
        for problem in problems_of(case.write(tmp_path))
    ]
    assert told == [(f"{each.place}: {each.message}", each.hint) for each in case.problems]


def test_the_corpus_is_not_lost() -> None:
    assert len(broken_inventories()) >= 100


def test_choices_are_those_of_the_code(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        loaded(tmp_path, "all: {hosts: {a: {kubexm_host_key_policy: ask, kubexm_zzz: 1}}}")
    policies = "strict, accept-new, pinned or insecure"
    assert f"kubexm_host_key_policy must be {policies}, not 'ask'" in str(caught.value)
    names = ", ".join(each.name for each in DEFINITIONS)
    assert f"unknown variable 'kubexm_zzz' (kubexm_ is reserved for: {names})" in str(caught.value)


def test_missing_file_is_told_with_the_ways_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        load(tmp_path / "hosts.yaml")
    assert str(caught.value) == f"{tmp_path}/hosts.yaml: there is no such file"
    assert caught.value.hint == "name one with --inventory, or set KUBEXM_INVENTORY"


def test_directory_without_an_inventory_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    with pytest.raises(InventoryError, match="has no inventory in it") as caught:
        load(tmp_path)
    assert caught.value.hint == "name a file, or put one into this directory"


def test_file_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="cannot be read: Not a directory"):
        load(written(tmp_path, "all:") / "inv.yaml")


def test_file_that_is_not_utf8_is_told_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "inv.yaml"
    path.write_bytes("all:\n  vars:\n    x: grün\n".encode("latin-1"))
    with pytest.raises(InventoryError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:3:10: is not UTF-8"


def test_program_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        loaded(tmp_path, "#!/bin/sh\necho '{}'\n")
    assert (
        str(caught.value) == f"{tmp_path}/inv.yaml:1: this is a program, not an inventory in YAML"
    )


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        all:
          vars:
            kubexm_port: abc
            kubexm_usr: x
          host:
            a:
        web:
          hosts:
            a b:
            c:
              kubexm_mode: vm
              kubexm_mode: live
          children:
            web:
        """,
    )
    out = "take 'web' out of the children of 'web'"
    with pytest.raises(InventoryErrors) as caught:
        load(path)
    assert str(caught.value) == textwrap.dedent(
        f"""\
        7 problems in the inventory:
        {path}:3:18: kubexm_port must be a whole number from 1 to 65535, not 'abc'
        {path}:4:5: unknown variable 'kubexm_usr' (did you mean kubexm_user?)
        {path}:5:3: unknown key 'host' in group 'all' (did you mean 'hosts'?)
        {path}:9:5: the host name 'a b' holds a space or a control character (choose another name)
        {path}:11:20: kubexm_mode must be live or image, not 'vm'
        {path}:12:7: the key 'kubexm_mode' is here twice: first on line 11 (remove one of the two)
        {path}:14:5: group 'web' is in itself: web → web ({out})"""
    )
    first = caught.value.problems[0]
    assert (first.path, first.line, first.column, first.key) == (str(path), 3, 18, "kubexm_port")


def test_many_mistakes_are_shortened_but_all_are_there(tmp_path: Path) -> None:
    hosts = "".join(f"    n{number}: {{kubexm_port: 0}}\n" for number in range(80))
    with pytest.raises(InventoryErrors) as caught:
        loaded(tmp_path, f"all:\n  hosts:\n{hosts}")
    assert len(caught.value.problems) == 80
    assert str(caught.value).splitlines()[0] == "80 problems in the inventory:"
    assert str(caught.value).splitlines()[-1] == "… and 30 more"


def test_mistake_in_an_anchored_mapping_counts_once(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        loaded(
            tmp_path,
            """
            all:
              hosts:
                a: &common
                  kubexm_port: 0
                b: *common
                c:
                  <<: *common
            """,
        )
    assert str(caught.value).startswith(f"{tmp_path}/inv.yaml:4:20: kubexm_port must be")


def test_mistake_in_an_extra_variable_names_it(tmp_path: Path) -> None:
    with pytest.raises(InventoryErrors) as caught:
        loaded(tmp_path, "all: {hosts: {a: }}", {"kubexm_port": "x", "kubexm_usr": "y"})
    assert [(str(each), each.hint) for each in caught.value.problems] == [
        ("extra variables: kubexm_port must be a whole number from 1 to 65535, not 'x'", ""),
        ("extra variables: unknown variable 'kubexm_usr'", "did you mean kubexm_user?"),
    ]
