"""Golden transcripts: a recorded reply, and everything that a handler makes of it.

One YAML file per case:

    about: An entry that cloud-init made for another address goes away.
    operation: HostEntries            # of kubexm, or "package.module:Class" of another
    fields: {name: cluster, entries: [{address: 10.0.0.1, names: [node1]}]}
    facts: {os: {id: debian}}         # few; the user is root when not given
    recorded_on: Debian 12
    reply:
      stdout: |
        ...
      exit_status: 0
    probe: ...                        # from here on: what the handler answers

`transcribe` writes one from a real host. With KUBEXM_GOLDEN=record in the environment the
answers are written instead of compared; read the difference in your version control.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubexm.errors import HostError
from kubexm.facts import Facts
from kubexm.runner import Catalogue, Notes, Operation
from kubexm.shell import Reply, Script
from kubexm.testing.value import build, plain

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from kubexm.facts import OperatingSystem
    from kubexm.runner import Host

RECORD = "KUBEXM_GOLDEN"
_GIVEN = ("about", "operation", "fields", "facts", "recorded_on", "reply")
_OPERATIONS = "kubexm.runner.operations"
_ROOT = {"user": "root", "group": "root", "uid": 0}
_FACTS = ("machine", "hostname", "fqdn", "init", "selinux", *_ROOT)
_OS = ("id", "id_like", "version_id")


class GoldenError(AssertionError):
    """A handler answers something else than its transcript says."""


@dataclass(frozen=True, slots=True)
class Case:
    """One transcript, read when it is checked."""

    path: Path

    def __str__(self) -> str:
        return self.path.stem


def cases(directory: Path) -> tuple[Case, ...]:
    """Every transcript in a directory, sorted by name, for `pytest.mark.parametrize`.

    Raises:
        FileNotFoundError: There is none; an empty list would pass for a success.
    """
    found = tuple(Case(path) for path in sorted(directory.glob("*.yaml")))
    if not found:
        message = f"no transcripts in {directory}"
        raise FileNotFoundError(message)
    return found


def check(case: Case, catalogue: Catalogue) -> tuple[Script, ...]:
    """Compare a handler's answers with the transcript, or record them.

    Args:
        case: The transcript.
        catalogue: Where the handler comes from: the family that fits the facts.

    Returns:
        The scripts, for further inspection: the probe, and the change when there is one.

    Raises:
        GoldenError: They differ; the message is a diff.
        TypeError: The transcript is not one.
    """
    document = _load(case.path)
    given = {key: document[key] for key in _GIVEN if key in document}
    wanted = {key: value for key, value in document.items() if key not in _GIVEN}
    if missing := [key for key in ("operation", "recorded_on", "reply") if key not in given]:
        message = f"{case.path.name} lacks {', '.join(missing)}"
        raise TypeError(message)
    found, scripts = _answers(given, catalogue)
    if os.environ.get(RECORD) == "record":
        case.path.write_text(_dump({**given, **found}), encoding="utf-8")
    elif plain(wanted) != found:
        lines = difflib.unified_diff(
            _dump(plain(wanted)).splitlines(), _dump(found).splitlines(),
            case.path.name, "the handler", lineterm="", n=5,
        )  # fmt: skip
        raise GoldenError("\n".join(lines))
    return scripts


def transcribe(
    path: Path, host: Host, operation: Operation, *, about: str = "", recorded_on: str = ""
) -> None:
    """Read an operation's state on a real host and write the transcript.

    Args:
        path: Of the file to write.
        host: Open; nothing is changed on it.
        operation: Whose probe is run.
        about: One sentence: what this case is for.
        recorded_on: The distribution; as the host calls itself when empty.
    """
    facts, handler = host.facts, host.handler(operation)
    reply = host.session.ask(handler.probe(operation, facts), deadline_s=host.deadline_s)
    kind = type(operation)
    place = "" if kind.__module__.startswith(_OPERATIONS) else f"{kind.__module__}:"
    given: dict[str, Any] = {
        "about": about,
        "operation": f"{place}{kind.__name__}",
        "fields": _few(operation),
        "facts": {"os": _few(facts.os, _OS), **_unlike_root(_few(facts, _FACTS))},
        "recorded_on": recorded_on or facts.os.pretty_name or facts.os.id,
        "reply": {"stdout": reply.text, "exit_status": reply.exit_status},
    }
    if reply.stderr:
        given["reply"]["stderr"] = reply.stderr.decode("utf-8", "replace")
    found, _ = _answers(given, host.catalogue)
    path.write_text(_dump({**given, **found}), encoding="utf-8")


def _few(value: Operation | Facts | OperatingSystem, names: Collection[str] = ()) -> dict[str, Any]:
    """The fields, or some of them, that have another value than the default."""
    found = {}
    for field in dataclasses.fields(value):
        made = field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        has = getattr(value, field.name)
        if has != default and (not names or field.name in names):
            found[field.name] = plain(has, name=field.name)
    return found


def _unlike_root(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if _ROOT.get(name, ...) != value}


def _answers(
    given: Mapping[str, Any], catalogue: Catalogue
) -> tuple[dict[str, Any], tuple[Script, ...]]:
    op = build(_operation(given["operation"]), given.get("fields") or {})
    facts = build(Facts, {**_ROOT, **(given.get("facts") or {})})
    said = given["reply"]
    reply = Reply(
        exit_status=int(said.get("exit_status", 0)),
        stdout=str(said.get("stdout", "")).encode("utf-8", "surrogateescape"),
        stderr=str(said.get("stderr", "")).encode(),
    )
    handler = catalogue.handler(op, catalogue.family(facts), facts)
    probe = handler.probe(op, facts)
    found: dict[str, Any] = {"probe": probe.text}
    try:
        state = handler.read(op, reply, facts)
        found["state"] = plain(state)
        change = handler.change(op, state, facts)
    except HostError as error:
        return {**found, "error": f"{type(error).__name__}: {error}"}, (probe,)
    if isinstance(handler, Notes) and (notes := handler.notes(op, state, facts)):
        found["notes"] = list(notes)
    if change is None:
        return {**found, "diff": ""}, (probe,)
    found |= {"diff": change.diff, "change": change.script.text}
    if change.script.payload is not None:
        found["payload"] = plain(change.script.payload)
    return found, (probe, change.script)


def _operation(name: str) -> type[Operation]:
    module, _, kind = name.rpartition(":")
    found = getattr(importlib.import_module(module or _OPERATIONS), kind, None)
    if not (isinstance(found, type) and issubclass(found, Operation)):
        message = f"no operation named {name!r}"
        raise TypeError(message)
    return found


def _load(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML

    document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        message = f"{path.name} is not a mapping"
        raise TypeError(message)
    return document


def _dump(document: Mapping[str, Any]) -> str:
    from ruamel.yaml import YAML

    writer = YAML()
    writer.width = 100
    stream = io.StringIO()
    writer.dump(_blocks(document), stream)
    return stream.getvalue()


def _blocks(value: Any) -> Any:  # noqa: ANN401 - what YAML can hold
    """The same with texts of several lines as literal blocks."""
    from ruamel.yaml.scalarstring import LiteralScalarString

    match value:
        case Mapping():
            return {key: _blocks(item) for key, item in value.items()}
        case list():
            return [_blocks(item) for item in value]
        case str() if "\n" in value:
            return LiteralScalarString(value)
        case _:
            return value
