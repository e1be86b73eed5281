"""The whole comparison: each job, with each number of hosts and each delay, by every tool."""

from __future__ import annotations

import secrets
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.job import Job
from tests.benchmarks.measure import FailedError, Figures, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.benchmarks.stage import Stage, Target
    from tests.benchmarks.tool import Tool

_TIMEOUT_S = 900.0
_PAYLOAD_MIB = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of the comparison.

    Args:
        job: What is done.
        hosts: On how many.
        delay_ms: One way; `None` for no relay between.
        runs: How often each tool does it; the tools take turns.
    """

    job: Job
    hosts: int
    delay_ms: float | None = None
    runs: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the runs of one tool in one case came to.

    Attributes:
        figures: Of every run that did its job.
        fault: Why there is no figure, or not one for each run.
        counts: Of the wire, from a run of its own through a relay; see `relay.Counts`.
    """

    figures: tuple[Figures, ...]
    fault: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def wall_s(self) -> float:
        """The median."""
        return statistics.median(one.wall_s for one in self.figures)

    @property
    def cpu_s(self) -> float:
        """The median."""
        return statistics.median(one.cpu_s for one in self.figures)

    @property
    def peak_bytes(self) -> int:
        """The largest."""
        return max(one.peak_bytes for one in self.figures)


def compare(
    stage: Stage, case: Case, tools: Iterable[Tool], *, wire: bool = False
) -> Mapping[str, Result]:
    """Let every tool that can do the job do it, one after the other, again and again.

    Args:
        stage: The hosts.
        case: What to do.
        tools: Who.
        wire: Also count bytes and turns, in one more run of each through a relay.
    """
    able = [tool for tool in tools if case.job in tool.jobs]
    figures: dict[str, list[Figures]] = {tool.name: [] for tool in able}
    faults: dict[str, str] = {}
    counts: dict[str, Mapping[str, int]] = {}
    with tempfile.TemporaryDirectory() as directory:
        places = {tool.name: Path(directory) / tool.name.replace(" ", "-") for tool in able}
        with stage.target(case.hosts, case.delay_ms) as target:
            _prepare(stage, case, target, able, places)
            for number in range(case.runs + 1):
                for tool in able:
                    if tool.name in faults:
                        continue
                    try:
                        found = _once(stage, case, tool, target, places[tool.name])
                    except FailedError as error:
                        faults[tool.name] = str(error)
                        continue
                    # The first one warms caches: files, compiled modules, known hosts.
                    if number or case.runs == 1:
                        figures[tool.name].append(found)
        for tool in able if wire else ():
            if tool.name in faults:
                continue
            with stage.target(case.hosts, 0) as target:
                _once(stage, case, tool, target, places[tool.name])
            counts[tool.name] = dict(stage.counts)
    return {
        tool.name: Result(
            figures=tuple(figures[tool.name]),
            fault=faults.get(tool.name, ""),
            counts=counts.get(tool.name, {}),
        )
        for tool in able
    }


def _prepare(
    stage: Stage, case: Case, target: Target, tools: Sequence[Tool], places: Mapping[str, Path]
) -> None:
    """Make the directories; and what a converged run finds, by kubexm, then by each tool itself."""
    for place in places.values():
        place.mkdir(parents=True)
        if case.job is Job.FILE:
            (place / "payload").write_bytes(secrets.token_bytes(1 << 20) * _PAYLOAD_MIB)
    if case.job is Job.CONVERGED:
        stage.clear()
        for tool in tools:
            if Job.FIRST in tool.jobs:
                _run(tool, case.job, target, places[tool.name])


def _once(stage: Stage, case: Case, tool: Tool, target: Target, place: Path) -> Figures:
    if case.job in (Job.FIRST, Job.FILE):
        stage.clear()
    return _run(tool, case.job, target, place)


def _run(tool: Tool, job: Job, target: Target, place: Path) -> Figures:
    command = tool.command(job, target, place)
    sys.stderr.write(f"bench: {tool.name}: {job}, {len(target.addresses)} hosts\n")
    shutil.rmtree(place / "control", ignore_errors=True)
    words = (*target.enter, *command.words)
    # known_hosts of the last laboratory's addresses are nobody's business, and ours not the tools'
    environment = {"HOME": str(place), **command.environment}
    return run(words, place, environment, timeout_s=_TIMEOUT_S)
