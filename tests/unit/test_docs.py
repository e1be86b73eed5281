"""What docs/ says about the code is so."""

from __future__ import annotations

import dataclasses
import re

import pytest

from kubexm import errors, plan
from kubexm.connector import Connector
from kubexm.facts import Facts
from kubexm.inventory import Host as InventoryHost
from kubexm.runner import Host, face, operations, render
from kubexm.runner.command import Commands
from kubexm.tasks import ns
from tests.docs import OPERATIONS, pages
from tests.tasks import ROOT

ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for row in OPERATIONS.read_text().splitlines()
    if row.startswith("| ") and not row.startswith("| original")
]


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_what_is_made_from_the_code_is_up_to_date(path: object) -> None:
    written = {str(each): text for each, text in pages().items()}[str(path)]
    assert (ROOT / str(path)).read_text() == written, "run ./inv docs.build"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_an_original_operation_is_here_exists(row: list[str]) -> None:
    _, ours, _ = row
    names = re.findall(r"`([^`]+)`", ours)
    assert (ours == "not there yet") == (not names)
    for name in names:
        assert exists(name), name


def verbs(part: str) -> object:
    """The class behind `host.files` and the like."""
    return Commands if part == "commands" else getattr(face, part.capitalize())


def exists(name: str) -> bool:
    match re.split(r"[. ]", name):
        case ["inv", collection, task]:
            found = f"{collection}.{task}" in ns.task_names
        case ["host", part, verb]:
            found = hasattr(Host, part) and hasattr(verbs(part), verb)
        case ["Host", method]:
            found = hasattr(Host, method)
        case ["facts", field]:
            found = field in {each.name for each in dataclasses.fields(Facts)}
        case ["inventory", "Host", field]:
            found = field in {each.name for each in dataclasses.fields(InventoryHost)}
        case ["errors", kind]:
            found = hasattr(errors, kind)
        case ["Connector", method]:
            found = hasattr(Connector, method)
        case ["Facts"]:
            found = True
        case [plain]:
            found = hasattr(operations, plain) or hasattr(plan, plain) or plain == render.__name__
        case [operation, constructor]:
            found = hasattr(getattr(operations, operation), constructor)
        case _:
            found = False
    return found
