"""`inv plugins.*`: what other distributions, and kubexm itself, have registered."""

from __future__ import annotations

import difflib
import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from invoke.collection import Collection

from kubexm.errors import PluginError
from kubexm.registry import (
    CONNECTORS,
    EXECUTORS,
    FAMILIES,
    GROUPS,
    INVENTORIES,
    LISTENERS,
    OPERATIONS,
    SECRETS,
    TASKS,
    Plugin,
    plugins,
    registered,
    registered_groups,
)
from kubexm.tasks.flags import local_task
from kubexm.tasks.namespace import collection_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kubexm.tasks.fleet import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One entry point, loaded to see whether it does; `fault` is empty when it is sound."""

    group: str
    name: str
    distribution: str
    version: str
    object: str
    fault: str = ""
    hint: str = ""


@local_task()
def list_(fleet: Fleet) -> None:
    """Show every entry point of kubexm's groups, its distribution, and whether it loads."""
    from kubexm.ui import table

    rows = list(_rows())
    if fleet.flags.output == "json":
        print(_as_json(rows))
        return
    header = ("group", "name", "distribution", "object", "loads")
    cells = [
        (
            row.group,
            row.name,
            f"{row.distribution} {row.version}".rstrip(),
            row.object,
            "no" if row.fault else "yes",
        )
        for row in rows
    ]
    print(table(header, cells, right=frozenset()))


@local_task()
def check(fleet: Fleet) -> None:
    """Load every plugin; what is wrong names the distribution, and the exit code is 5."""
    from kubexm.engine.report import ExitCode

    rows = list(_rows())
    faults = [row for row in rows if row.fault]
    if fleet.flags.output == "json":
        print(_as_json(faults))
    else:
        # two plugins of one name have one fault between them
        for fault, hint in dict.fromkeys((row.fault, row.hint) for row in faults):
            print(f"error: {fault}\n  hint: {hint}", file=sys.stderr)
        print(f"{len(rows)} plugins: {len(faults) or 'no'} faulty")
    if faults:
        fleet.exit_code = ExitCode.USAGE


def _as_json(rows: list[_Row]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2)


def _rows() -> Iterator[_Row]:
    for group in GROUPS:
        whole = _fault_of_group(group)
        for plugin in registered(group):
            fault = _fault(plugin)
            if fault is None and whole is not None and whole.name == plugin.name:
                fault = whole
            yield _row(plugin, fault)
    for group in sorted(registered_groups().difference(GROUPS)):
        for plugin in registered(group):
            fault = plugin.fault("nobody reads this group")
            near = difflib.get_close_matches(group, GROUPS, n=1)
            fault.hint = f"did you mean {near[0]}?" if near else f"groups: {', '.join(GROUPS)}"
            yield _row(plugin, fault)


def _row(plugin: Plugin, fault: PluginError | None) -> _Row:
    return _Row(
        group=plugin.group,
        name=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
        object=plugin.entry.value,
        fault=str(fault) if fault else "",
        hint=fault.hint if fault else "",
    )


def _fault_of_group(group: str) -> PluginError | None:
    """What is wrong between plugins: two of one name, a family that extends none there is."""
    from kubexm.runner.family import Catalogue, Family

    try:
        found = plugins(group)
        if group == FAMILIES:
            sound = [plugin.load() for plugin in found.values() if _fault(plugin) is None]
            Catalogue([family for family in sound if isinstance(family, Family)])
    except PluginError as error:
        return error
    return None


def _fault(plugin: Plugin) -> PluginError | None:
    """Why a plugin cannot be used, as those who use it find out."""
    from kubexm.engine.executor import executor_of
    from kubexm.inventory.source import source_of
    from kubexm.runner.family import family_of, operation_of

    loaders: Mapping[str, Callable[[Plugin], object]] = {
        CONNECTORS: _callable_of,
        FAMILIES: family_of,
        OPERATIONS: operation_of,
        TASKS: collection_of,
        INVENTORIES: source_of,
        SECRETS: _callable_of,
        LISTENERS: _callable_of,
        EXECUTORS: executor_of,
    }
    try:
        loaders.get(plugin.group, Plugin.load)(plugin)
    except PluginError as error:
        return error
    return None


def _callable_of(plugin: Plugin) -> object:
    loaded = plugin.load()
    if not callable(loaded):
        message = f"expected a function, found {type(loaded).__name__}"
        raise plugin.fault(message)
    return loaded


ns = Collection("plugins")
ns.add_task(list_, name="list")
ns.add_task(check)
