"""A file's text: decoded, and decrypted where Ansible Vault encrypted the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.errors import InventoryError
from kubexm.inventory.node import (
    Entry,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    mapping,
    sequence,
)
from kubexm.inventory.safe import is_vault
from kubexm.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from kubexm.inventory.safe import Seals


def read(path: Path, seals: Seals) -> tuple[str, bool]:
    """The whole file without a byte order mark, and whether it was encrypted.

    Raises:
        InventoryError: It cannot be read or decrypted, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        hint = "check its path and permissions"
        raise InventoryError(message, path=str(path), hint=hint) from error
    text = _decoded(path, content)
    return (seals.decrypted(text), True) if is_vault(text) else (text, False)


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
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


def sealed(node: Node) -> Node:
    """The node of a file that was encrypted: every text and number in it is a secret.

    Keys are not, nor are booleans and what is empty.
    """
    match node:
        case MappingNode():
            entries = [Entry(entry.key, sealed(entry.value)) for entry in node.entries]
            return mapping(entries, node.line, node.column)
        case SequenceNode():
            return sequence([sealed(item) for item in node.items], node.line, node.column)
        case ScalarNode(value=bool() | None):
            return node
        case ScalarNode(value=str() | int() | float()):
            return ScalarNode(Secret(node.text), "", node.line, node.column)
        case _:
            return node
