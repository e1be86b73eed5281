"""Inventories of tests: written to a file and loaded from there."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from kubexm.inventory import Inventory, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kubexm.inventory import VaultKey


def written(directory: Path, text: str) -> Path:
    """A file `inv.yaml` with that text, dedented."""
    path = directory / "inv.yaml"
    path.write_text(textwrap.dedent(text).lstrip("\n"))
    return path


def loaded(
    directory: Path,
    text: str,
    extra_variables: Mapping[str, object] | None = None,
    vault_keys: Sequence[VaultKey] = (),
) -> Inventory:
    """The inventory of that text, dedented."""
    path = written(directory, text)
    return load(path, extra_variables=extra_variables or {}, vault_keys=vault_keys)
