"""`./inv docs.build`: the parts of docs/ that are made from the code, and the JSON Schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from tests.tasks import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from invoke.context import Context

    from kubexm.runner.reference import Reference

SCHEMA = ROOT / "kubexm" / "inventory" / "schema.json"
OPERATIONS = ROOT / "docs" / "operations.md"
BEGIN = "<!-- from here to the end: ./inv docs.build, from the docstrings -->\n"


def operations_page() -> str:
    """docs/operations.md as it should be: what is written by hand, and each operation."""
    from kubexm.runner import Catalogue
    from kubexm.runner.reference import references

    written = OPERATIONS.read_text().partition(BEGIN)[0]
    described = "\n".join(map(_operation, references(Catalogue.installed())))
    return f"{written}{BEGIN}\n## Every operation\n\n{described}"


def _operation(reference: Reference) -> str:
    arguments = "".join(
        f"- `{each.name}: {each.type}{f' = {each.default}' if each.default else ''}`: {each.text}\n"
        for each in reference.arguments
    )
    families = ", ".join(reference.families) or "no family"
    parts = (
        f"### {reference.name}",
        reference.text,
        arguments.rstrip(),
        f"Handled by: {families}.",
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def pages() -> dict[Path, str]:
    """Every file that is made from the code, and what should be in it."""
    from kubexm.inventory.schema import schema

    return {OPERATIONS: operations_page(), SCHEMA: json.dumps(schema(), indent=2) + "\n"}


@task(name="build")
def build(_context: Context) -> None:
    """Write what is made from the code: docs/operations.md, the JSON Schema of inventories."""
    for path, text in pages().items():
        path.write_text(text)


ns = Collection("docs")
ns.add_task(build)
