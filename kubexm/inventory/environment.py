"""The Jinja2 of an inventory: its names, and those of Ansible's filters that inventories use.

Imported when the first template is evaluated, because it imports Jinja2.
"""

from __future__ import annotations

import base64
import json
import os
import posixpath
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Undefined, pass_context
from jinja2.exceptions import TemplateRuntimeError
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from kubexm.inventory.template import MISSING, Evaluation, plain

_TRUE = frozenset({"y", "yes", "on", "1", "true", "t", "1.0"})


def made(slot: str) -> SandboxedEnvironment:
    """An environment whose names come from the `Evaluation` under `slot` of a context."""

    class Names(Context):
        """A context that asks the evaluation for every name that the template has not made."""

        def resolve_or_missing(self, key: str) -> Any:  # noqa: ANN401 - as Jinja2 has it
            if key in self.vars:
                return self.vars[key]
            evaluation: Evaluation = self.parent[slot]
            found = evaluation.lookup(key, evaluation)
            if found is not MISSING:
                return found
            return self.parent.get(key, missing)

    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.context_class = Names
    for name, found in _FILTERS.items():
        environment.filters[name] = found
        environment.filters[f"ansible.builtin.{name}"] = found
    for name in ("lookup", "query", "q"):
        environment.globals[name] = _lookup
    return environment


def _bool(value: object) -> bool:
    return str(value).strip().lower() in _TRUE


def _ternary(value: object, yes: object, no: object, none: object = None) -> object:
    if value is None and none is not None:
        return none
    return yes if value else no


def _mandatory(value: object, message: str = "") -> object:
    if isinstance(value, Undefined):
        raise TemplateRuntimeError(message or "a mandatory variable is not set")
    return value


def _combine(*mappings: Mapping[str, object], recursive: bool = False) -> dict[str, object]:
    found: dict[str, object] = {}
    for mapping in mappings:
        found = _merged(found, mapping) if recursive else {**found, **mapping}
    return found


def _merged(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    found = dict(below)
    for key, value in above.items():
        old = found.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        found[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return found


def _pairs(mapping: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"key": key, "value": value} for key, value in mapping.items()]


def _regex_replace(value: object, pattern: str, replacement: str, **flags: bool) -> str:
    return re.sub(pattern, replacement, str(value), flags=_flags(**flags))


def _regex_search(value: object, pattern: str, **flags: bool) -> str | None:
    found = re.search(pattern, str(value), _flags(**flags))
    return found[0] if found else None


def _flags(*, ignorecase: bool = False, multiline: bool = False) -> re.RegexFlag:
    chosen = re.RegexFlag(0)
    if ignorecase:
        chosen |= re.IGNORECASE
    return chosen | re.MULTILINE if multiline else chosen


def _to_json(value: object, **options: Any) -> str:  # noqa: ANN401 - those of json.dumps
    return json.dumps(plain(value), **options)


def _to_nice_json(value: object) -> str:
    return json.dumps(plain(value), indent=4, sort_keys=True)


def _b64encode(value: object) -> str:
    return base64.b64encode(str(value).encode()).decode()


def _b64decode(value: object) -> str:
    return base64.b64decode(str(value)).decode()


@pass_context
def _lookup(_context: Context, plugin: str, *names: str, **options: object) -> object:
    """Ansible's `lookup`, for what inventories use it for: the environment and files."""
    match plugin.removeprefix("ansible.builtin."):
        case "env":
            found = [os.environ.get(name, options.get("default", "")) for name in names]
        case "file":
            found = [_content(name) for name in names]
        case _:
            message = f"lookup {plugin!r} is not known here; 'env' and 'file' are"
            raise TemplateRuntimeError(message)
    return found[0] if len(found) == 1 else ",".join(map(str, found))


def _content(name: str) -> str:
    try:
        return Path(name).expanduser().read_text(encoding="utf-8").rstrip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"lookup 'file' cannot read {name}: {type(error).__name__}"
        raise TemplateRuntimeError(message) from None


_FILTERS: Mapping[str, Callable[..., object]] = {
    "b64decode": _b64decode,
    "b64encode": _b64encode,
    "basename": lambda value: posixpath.basename(str(value)),
    "bool": _bool,
    "combine": _combine,
    "dict2items": _pairs,
    "dirname": lambda value: posixpath.dirname(str(value)),
    "from_json": json.loads,
    "mandatory": _mandatory,
    "regex_replace": _regex_replace,
    "regex_search": _regex_search,
    "ternary": _ternary,
    "to_json": _to_json,
    "to_nice_json": _to_nice_json,
}
