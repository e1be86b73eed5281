"""A program that prints an inventory: Ansible's protocol of `--list` and `--host NAME`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubexm.errors import InventoryError, tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubexm.inventory.source import Document, Reading

_LONGEST_S = 120
_STARTS = (b"#!", b"\x7fELF")
_META = "_meta"
_SECTIONS = frozenset({"hosts", "children", "vars"})


class Program:
    """A file that may be executed and begins as a script or an ELF program does."""

    def claims(self, given: str) -> int:
        """Whether it is such a file."""
        path = Path(given)
        if not path.is_file() or not os.access(path, os.X_OK):
            return 0
        try:
            with path.open("rb") as stream:
                return 20 if stream.read(4).startswith(_STARTS) else 0
        except OSError:
            return 0

    def read(self, given: str, reading: Reading) -> Iterable[Document]:
        """What `--list` prints, with `--host` for each host where there is no `_meta`."""
        path = Path(given)
        listed = _answer(path, "--list")
        groups = {
            name: _group(path, name, content) for name, content in listed.items() if name != _META
        }
        hosts = [host for group in groups.values() for host in group.get("hosts", ())]
        meta = listed.get(_META)
        if meta is not None:
            told = _mapping(path, "_meta", meta).get("hostvars", {})
            variables = _mapping(path, "_meta.hostvars", told)
        else:
            variables = {host: _answer(path, "--host", host) for host in dict.fromkeys(hosts)}
        document: dict[str, Any] = {name: dict(group) for name, group in groups.items()}
        everything = document.setdefault("all", {})
        known = dict.fromkeys(hosts)
        everything["hosts"] = dict(everything.get("hosts", {})) | {
            host: variables.get(host) or None for host in known
        }
        if not everything["hosts"]:
            del everything["hosts"]
        yield reading.document(given, document, base=path.absolute().parent)


def _group(path: Path, name: str, content: object) -> Mapping[str, Any]:
    """A group as the YAML format has it; a bare list is one of hosts."""
    if isinstance(content, list):
        content = {"hosts": content}
    found = _mapping(path, name, content)
    if found and not _SECTIONS & found.keys():
        # an oddity of the protocol: a host of that name, and its variables
        return {"hosts": {name: None}, "vars": found}
    group: dict[str, Any] = {}
    for section in ("hosts", "children"):
        if section in found:
            names = found[section]
            if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
                raise _fault(path, f"{section} of group {name!r} must be a list of names")
            group[section] = dict.fromkeys(names)
    if "vars" in found:
        group["vars"] = _mapping(path, f"{name}.vars", found["vars"])
    return group


def _answer(path: Path, *words: str) -> Mapping[str, Any]:
    shown = " ".join(words)
    try:
        done = subprocess.run(
            [str(path.absolute()), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _fault(path, f"{shown} took longer than {_LONGEST_S} s") from None
    except OSError as error:
        raise _fault(path, f"{shown} cannot be run: {error.strerror}") from error
    if done.returncode:
        said = tail(done.stderr.decode(errors="replace"), lines=3)
        raise _fault(path, f"{shown} exited with {done.returncode}{said and ': '}{said}")
    if not done.stdout.strip() and words[0] == "--host":
        return {}
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        # the message of the JSON parser quotes nothing of the text
        raise _fault(path, f"{shown} did not print JSON: {error}") from None
    return _mapping(path, f"what {shown} prints", answer)


def _mapping(path: Path, what: str, value: object) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise _fault(path, f"{what} must be a JSON object")


def _fault(path: Path, message: str) -> InventoryError:
    return InventoryError(
        message,
        path=str(path),
        hint="a program prints Ansible's JSON for --list; a file that is none is not executable",
    )


source = Program()
