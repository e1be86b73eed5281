"""`KUBEXM_*`: what flags are when the command line does not say it."""

from __future__ import annotations

import dataclasses
import difflib
import os
import shlex
from typing import TYPE_CHECKING

from kubexm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "KUBEXM_"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})
_WHOLE = frozenset({"inventory"})
"""Flags that may be repeated, and whose variable is one word as it is."""
_ALSO = frozenset({"LOG", "STATE", "VAULT_PASSWORD"})
"""Variables that are read elsewhere; slips are only looked for among the others."""


def defaults(flags: object, environment: Mapping[str, str] | None = None) -> dict[str, object]:
    """What the environment says of flags, by name: only of those it says anything of.

    `KUBEXM_FORKS` is `--forks`, and so on for every flag. Those that may be repeated are words
    as a shell has them (`KUBEXM_EXTRA_VAR="a=1 b='x y'"`); `KUBEXM_INVENTORY` is one source.

    Args:
        flags: The flags' own defaults, whose types decide how a value is read.
        environment: By default that of the process.

    Raises:
        UsageError: A value is none that the flag takes.
    """
    found: dict[str, object] = {}
    given = os.environ if environment is None else environment
    for field in dataclasses.fields(flags):  # type: ignore[arg-type]
        variable = PREFIX + field.name.upper()
        text = given.get(variable)
        if text is None:
            continue
        default = getattr(flags, field.name)
        try:
            found[field.name] = _read(field.name, default, text)
        except ValueError as error:
            message = f"{variable} {error}"
            raise UsageError(message, hint=f"it is what --{_flag(field.name)} takes") from None
    return found


def _read(name: str, default: object, text: str) -> object:
    match default:
        case bool():
            if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
            message = f"must be true or false, not {text!r}"
            raise ValueError(message)
        case int():
            try:
                return int(text)
            except ValueError:
                message = f"must be a whole number, not {text!r}"
                raise ValueError(message) from None
        case tuple() if name in _WHOLE:
            return (text,) if text else ()
        case tuple():
            try:
                return tuple(shlex.split(text))
            except ValueError:
                message = "has a quote that is not closed"
                raise ValueError(message) from None
        case _:
            return text


def slips(names: Iterable[str], environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """A warning for each variable that is nearly the name of one that means something.

    Args:
        names: Of the flags.
        environment: By default that of the process.
    """
    known = {name.upper() for name in names} | _ALSO
    given = os.environ if environment is None else environment
    found = []
    for variable in sorted(given):
        name = variable.removeprefix(PREFIX)
        if variable.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            if near:
                found.append(f"{variable} means nothing; did you mean {PREFIX}{near[0]}?")
    return tuple(found)


def _flag(name: str) -> str:
    return name.replace("_", "-")
