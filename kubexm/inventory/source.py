"""An inventory's file → its text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError

if TYPE_CHECKING:
    from pathlib import Path

_NAME_ONE = "name one with --inventory, or set KUBEXM_INVENTORY"
_INI_SECTION = re.compile(r"(?:[ \t]*(?:[#;].*)?\r?\n)*(\[[\w:.-]+\])[ \t]*(?:#.*)?$", re.MULTILINE)


def read_text(path: Path) -> str:
    """The whole file, without a byte order mark.

    Raises:
        InventoryError: It cannot be read, or is in another format.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        message, hint = "there is no such file", _NAME_ONE
    except IsADirectoryError:
        message, hint = "is a directory", "name the file in it"
    except OSError as error:
        message, hint = f"cannot be read: {error.strerror}", _NAME_ONE
    else:
        return _decoded(path, content)
    raise InventoryError(message, path=str(path), hint=hint)


def _decoded(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        message = "is not UTF-8"
        raise InventoryError(
            message,
            path=str(path),
            line=before.count(b"\n") + 1,
            column=len(before) - before.rfind(b"\n"),
            hint="save it as UTF-8",
        ) from None
    if found := _INI_SECTION.match(text):
        message = "this is Ansible's INI format, and kubexm reads the YAML format"
        raise InventoryError(
            message,
            path=str(path),
            line=text.count("\n", 0, found.start(1)) + 1,
            column=1,
            hint=f"convert it: ansible-inventory -i {path.name} --list --yaml",
        )
    return text
