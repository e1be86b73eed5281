"""A plan for people: as a tree, and as a graph for Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.plan.digest import digest
from kubexm.plan.step import NO_RETRY, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.plan.model import Plan
    from kubexm.plan.step import Body


def tree(plan: Plan) -> str:
    """Every step under its plans, in the order in which hosts take them, with its policy.

    Raises:
        PlanError: The plan cannot be walked.
    """
    lines = [f"{plan.name}{_policy(plan)}  ({digest(plan)[:12]})"]
    above: tuple[str, ...] = ()
    policies = dict(_policies(plan, ""))
    for placed in plan.placed():
        path = tuple(placed.name.removesuffix(placed.step.name).split("/")[:-1])
        for depth, part in enumerate(path):
            if above[: depth + 1] != path[: depth + 1]:
                full = "/".join(path[: depth + 1])
                lines.append(f"{'  ' * (depth + 1)}{part}{policies.get(full, '')}")
        above = path
        what = _what(placed.step.body)
        lines.append(f"{'  ' * (len(path) + 1)}{placed.step.name}{_policy(placed.step)}  {what}")
    return "\n".join(lines)


def dot(plan: Plan) -> str:
    """The steps as a graph in DOT: solid arrows on each host, bold ones across hosts.

    What follows from other arrows is left out.

    Raises:
        PlanError: The plan cannot be walked.
    """
    placed = plan.placed()
    lines = [f"digraph {_quoted(plan.name)} {{", "  rankdir=LR; node [shape=box];"]
    lines += [f"  {_quoted(one.name)};" for one in placed]
    needs = {one.name: one.needs for one in placed}
    awaits = {one.name: one.awaits for one in placed}
    for one in placed:
        across = one.awaits.difference(
            *(awaits[name] for name in one.needs), *(needs[name] for name in one.awaits)
        )
        own = one.needs.difference(across, *(needs[name] for name in one.needs))
        for other in placed:
            arrow = f"  {_quoted(other.name)} -> {_quoted(one.name)}"
            if other.name in across:
                lines.append(f"{arrow} [style=bold];")
            elif other.name in own:
                lines.append(f"{arrow};")
    return "\n".join([*lines, "}"])


def _policies(plan: Plan, prefix: str) -> Iterator[tuple[str, str]]:
    for part in plan.steps:
        if not isinstance(part, Step):
            yield f"{prefix}{part.name}", _policy(part)
            yield from _policies(part, f"{prefix}{part.name}/")


def _policy(part: Step | Plan) -> str:
    """What differs from the defaults, in brackets."""
    said = [] if part.selector == "all" else [f"on {part.selector}"]
    if part.needs is not None:
        said.append(f"needs {', '.join(part.needs) or 'nothing'}")
    if part.awaits:
        said.append(f"awaits {', '.join(part.awaits)}")
    if part.when is not None:
        said.append(f"when {_function(part.when)}")
    if part.waves:
        said.append(f"waves {', '.join(map(str, part.waves))}")
    if part.max_fail is not None:
        said.append(f"max_fail {part.max_fail}")
    if part.timeout_s:
        said.append(f"timeout {part.timeout_s:g} s")
    if isinstance(part, Step):
        said += _own(part)
    if part.tags:
        said.append(f"tags {', '.join(sorted(part.tags))}")
    return f"  [{'; '.join(said)}]" if said else ""


def _own(step: Step) -> Iterator[str]:
    """The policy that only steps have."""
    if step.run_once:
        yield "once"
    if step.retry != NO_RETRY:
        until = f" until {_function(step.retry.until)}" if step.retry.until else ""
        yield f"retry {step.retry.times} times{until}"
    if step.on_change:
        yield f"on change {_what(step.on_change)}"
    if step.undo is not None:
        yield "can be undone"


def _what(body: Body) -> str:
    if isinstance(body, tuple):
        return ", ".join(item.label() for item in body) or "nothing"
    return f"{_function(body)}(host)"


def _function(function: object) -> str:
    return getattr(function, "__name__", type(function).__name__).strip("_")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
