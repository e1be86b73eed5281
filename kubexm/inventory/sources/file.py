"""An inventory file: YAML or INI, encrypted with Ansible Vault or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError
from kubexm.inventory import ini, text
from kubexm.inventory.source import Document, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME_ONE = "name one with --inventory, or set KUBEXM_INVENTORY"
_YAML = frozenset({".yaml", ".yml", ".json"})


class File:
    """Any file. The content says which format it is, where the end of its name does not."""

    def claims(self, given: str) -> int:
        """Whether it is there, and no directory."""
        return 10 if given and not Path(given).is_dir() and _may_exist(Path(given)) else 0

    def read(self, given: str, reading: Reading) -> Iterable[Document]:
        """Its one document."""
        path = Path(given)
        problems = reading.problems.of(given)
        base = path.absolute().parent
        seals = reading.safe.of(given, base)
        content, is_sealed = text.read(path, seals)
        if content.startswith("#!"):
            message = "this is a program, not an inventory in YAML"
            hint = "make it executable, and kubexm runs it: chmod +x"
            raise InventoryError(message, path=given, line=1, hint=hint)
        if path.suffix == ".toml":
            message = "is TOML, which is not read here"
            raise InventoryError(message, path=given, hint="write it in YAML or INI")
        is_ini = path.suffix not in _YAML and ini.is_ini(content)
        if is_ini:
            root = ini.parse(content, problems)
        else:
            # ruamel.yaml comes with it, and `inv --list` must not pay for that
            from kubexm.inventory.document import parse

            root = parse(content, problems, seals)
        if root is None:
            return
        yield Document(
            path=given,
            base=base,
            root=text.sealed(root) if is_sealed else root,
            is_loose=is_ini,
            problems=problems,
        )


def _may_exist(path: Path) -> bool:
    """Whether it is there or cannot be looked at, which reading it will tell."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


source = File()
