"""The JSON Schema accepts what `load` takes, and sees the mistakes that it can see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from kubexm.errors import InventoryError
from kubexm.inventory import DEFINITIONS, load
from kubexm.inventory.document import parse
from kubexm.inventory.problem import Problems
from kubexm.inventory.safe import Safe
from kubexm.inventory.schema import schema
from kubexm.inventory.sealed import Sealed
from kubexm.secret import Secret
from tests.tasks import ROOT
from tests.unit.inventory.corpus import Broken, broken_inventories
from tests.unit.inventory.test_load import KUBESPRAY
from tests.unit.inventory.test_precedence import PIECES, Fleet, fleets

if TYPE_CHECKING:
    from pathlib import Path

VALIDATOR = Draft202012Validator(schema())
README = (ROOT / "README.md").read_text().partition("```yaml\n")[2].partition("```")[0]
SHAPES = ROOT / "tests" / "unit" / "inventory" / "good"
OURS = {
    **{path.name: path.read_text() for path in (ROOT / "inventories").glob("*.yaml")},
    "README.md": README,
    "kubespray": KUBESPRAY,
}
GOOD = {
    **OURS,
    **{f"{path.parent.name}/{path.name}": path.read_text() for path in SHAPES.glob("*/*.y*ml")},
}


class NotJsonError(Exception):
    """A mapping with keys that are no strings, or a text that is no YAML."""


def instance(text: str) -> object:
    """What an editor would check: the document as plain data."""
    problems = Problems()
    root = parse(text, problems.of("inv.yaml"), Safe(()).of("inv.yaml", ROOT))
    if problems or root is None:
        raise NotJsonError
    return plain(root.value)


def plain(value: object) -> object:
    match value:
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise NotJsonError
            return {key: plain(item) for key, item in value.items()}
        case tuple():
            return [plain(item) for item in value]
        case Secret() | Sealed():
            return str(value)
        case _:
            return value


def faults(text: str) -> list[str]:
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in VALIDATOR.iter_errors(instance(text))
    ]


def test_it_is_a_schema_of_the_draft_of_2020() -> None:
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == Draft202012Validator.META_SCHEMA["$schema"]


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_good_inventory_is_accepted(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize("case", broken_inventories(), ids=lambda case: case.name)
def test_mistake_is_seen_as_far_as_a_schema_can(case: Broken) -> None:
    try:
        found = faults(next(iter(case.files.values())))
    except NotJsonError:
        assert case.schema == "rejects"
        return
    assert ("rejects" if found else "silent") == case.schema, found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(fleet=fleets())
def test_generated_inventory_is_accepted(fleet: Fleet) -> None:
    assert faults(fleet.text()) == []


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300
)
@given(pieces=st.lists(PIECES, max_size=12), start=st.sampled_from(["", "all:\n  hosts:\n    "]))
def test_what_is_loaded_is_accepted(tmp_path: Path, pieces: list[str], start: str) -> None:
    document = start + "".join(pieces)
    (tmp_path / "inv.yaml").write_text(document)
    try:
        load(tmp_path / "inv.yaml")
    except InventoryError:
        return
    assert faults(document) == []


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.name)
def test_every_name_of_every_setting_is_described(definition: object) -> None:
    variables = schema()["$defs"]["variables"]["properties"]  # type: ignore[index]
    for name in (definition.name, *definition.aliases):  # type: ignore[attr-defined]
        assert definition.description in variables[name]["description"]  # type: ignore[attr-defined]


def test_values_of_every_setting_are_told_apart() -> None:
    text = "all: {hosts: {a: {kubexm_port: 0, kubexm_host: 'a:b', kubexm_mode: vm}}}"
    assert {fault.partition(":")[0] for fault in faults(text)} == {
        "all.hosts.a.kubexm_host",
        "all.hosts.a.kubexm_port",
        "all.hosts.a.kubexm_mode",
    }


def test_editors_that_read_yaml_1_2_agree() -> None:
    for text in OURS.values():
        assert VALIDATOR.is_valid(YAML(typ="safe").load(text))
