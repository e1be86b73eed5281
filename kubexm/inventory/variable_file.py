"""A file of variables, in `group_vars/` or after `--extra-var @`: one YAML mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.inventory import text, variable
from kubexm.inventory.node import MappingNode, describe
from kubexm.inventory.source import Document, Reading

if TYPE_CHECKING:
    from pathlib import Path

    from kubexm.inventory.variable import Variable


def read(path: Path, source: str, base: Path, reading: Reading) -> dict[str, Variable]:
    """The variables in it; an empty file has none.

    Args:
        path: The file, encrypted with Ansible Vault or not.
        source: Whose they are, as in `Origin`.
        base: The directory that relative paths in it start from.
        reading: Gets every fault, and has the secrets.

    Raises:
        InventoryError: It cannot be read or decrypted.
    """
    # ruamel.yaml comes with it, and `inv --list` must not pay for that
    from kubexm.inventory.document import parse

    problems = reading.problems.of(str(path))
    seals = reading.safe.of(str(path), base)
    content, is_sealed = text.read(path, seals)
    root = parse(content, problems, seals)
    if root is None or root.value is None:
        return {}
    if is_sealed:
        root = text.sealed(root)
    if not isinstance(root, MappingNode):
        problems.add(
            f"a file of variables must be a mapping, not {describe(root)}",
            root.line,
            root.column,
            hint="write each variable as 'name: value'",
        )
        return {}
    return variable.read(root, source, Document(path=str(path), base=base, problems=problems))
