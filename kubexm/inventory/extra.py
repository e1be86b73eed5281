"""Extra variables as the command line has them: `name=value`, `@file` and `{"name": value}`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError, UsageError
from kubexm.inventory import variable, variable_file
from kubexm.inventory.node import mapping_from
from kubexm.inventory.source import Document, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubexm.inventory.variable import Variable

EXTRA = "extra variables"


def read(
    data: Mapping[str, object], words: Sequence[str], reading: Reading
) -> Mapping[str, Variable]:
    """The extra variables; of two with one name the later has the say, and words go after data.

    Args:
        data: By name.
        words: See `kubexm.inventory.load`.
        reading: Gets every fault, and has the secrets.

    Raises:
        UsageError: A word is none of the three kinds.
        InventoryError: A file cannot be read.
    """
    given: list[Mapping[str, Variable]] = [_plain(data, EXTRA, reading)]
    given += [
        _file(word[1:], reading) if word.startswith("@") else _plain(_word(word), EXTRA, reading)
        for word in words
    ]
    found: dict[str, Variable] = {}
    for variables in given:
        for name, new in variables.items():
            found[name] = new._replace(beaten=found.get(name))
    return found


def arguments(data: Mapping[str, object], reading: Reading) -> Mapping[str, Variable]:
    """A task's own arguments as variables."""
    return _plain(data, "task arguments", reading)


def _plain(data: Mapping[str, object], source: str, reading: Reading) -> Mapping[str, Variable]:
    problems = reading.problems.of("", says=source)
    document = Document(path="", base=Path.cwd(), is_loose=True, problems=problems)
    return variable.read(mapping_from(data), source, document)


def _word(word: str) -> Mapping[str, object]:
    if word.startswith("{"):
        try:
            found = json.loads(word)
        except ValueError as error:
            # what is wrong may be a password: nothing of it is quoted
            message = f"--extra-var begins with '{{' and is not JSON: {error}"
            raise UsageError(message) from None
        if isinstance(found, dict):
            return found
    name, equals, value = word.partition("=")
    if not equals or not name.isidentifier():
        message = f"--extra-var wants name=value, @file or JSON, not {name!r}"
        raise UsageError(message)
    return {name: value}


def _file(name: str, reading: Reading) -> Mapping[str, Variable]:
    path = Path(name).expanduser()
    if not path.exists():
        message = "there is no such file"
        raise InventoryError(message, path=str(path), hint="--extra-var @FILE names a YAML file")
    return variable_file.read(path, EXTRA, path.absolute().parent, reading)
