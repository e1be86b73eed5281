"""What `inventory.list` prints of the inventories of `good/` is what ansible-inventory said."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from kubexm.inventory import load, vault_key
from kubexm.inventory.export import as_ansible, shown
from kubexm.secret import Secret
from tests.ansible import shape
from tests.unit.inventory.test_ansible import (
    ANSIBLE,
    CASES,
    GOOD,
    PASSWORD_FILE,
    no_terminal,
    sources,
)


@pytest.mark.parametrize("case", CASES)
def test_list_has_the_groups_hosts_and_values_of_ansible_inventory(case: str) -> None:
    key = GOOD / case / PASSWORD_FILE
    keys = (vault_key(str(key), no_terminal),) if key.exists() else ()
    inventory = load(*sources(case), vault_keys=keys)
    listed = json.loads(json.dumps(as_ansible(inventory, inventory.hosts)))
    recorded = json.loads((ANSIBLE / f"{case}.json").read_text())["inventory"]
    found = shape.of_ansible(listed)
    assert found["groups"] == recorded["groups"]
    assert masked(recorded["variables"], found["variables"]) == found["variables"]


def masked(theirs: Any, ours: Any) -> Any:  # noqa: ANN401 - JSON
    """The recorded values, masked where ours are; JSON itself has no infinity."""
    match theirs, ours:
        case dict(), dict():
            return {key: masked(item, ours.get(key)) for key, item in theirs.items()}
        case list(), list():
            return [masked(item, ours[at]) for at, item in enumerate(theirs) if at < len(ours)]
        case float(), str() if not math.isfinite(theirs):
            return str(theirs)
        case _:
            return ours if ours == "***" else theirs


def test_secrets_and_what_json_does_not_have_become_text() -> None:
    assert shown({"a": (Secret("x"), float("nan"), 1.5), 3: {True: None}}) == {
        "a": ["***", "nan", 1.5],
        "3": {"true": None},
    }
