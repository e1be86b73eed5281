"""Results as Markdown: medians, and how often each tool takes kubexm's time."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.benchmarks.bench import Case, Result

OURS = "kubexm"


def machine() -> str:
    """This machine in one line."""
    memory = int(Path("/proc/meminfo").read_text("ascii").split()[1]) >> 20
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    cores = f"{os.cpu_count()} cores ({model})"
    return f"{cores}, {memory} GiB, Linux {platform.release()}, client and hosts on it"


def section(case: Case, results: Mapping[str, Result]) -> str:
    """One case as a heading and a table."""
    link = "no delay" if not case.delay_ms else f"{2 * case.delay_ms:g} ms round trip"
    lines = [f"### {case.job}, {case.hosts} hosts, {link}", ""]
    lines += [
        "| tool | wall | to kubexm | client CPU | to kubexm | memory | turns a host | KiB a host |"
    ]
    lines += ["|---|---:|---:|---:|---:|---:|---:|---:|"]
    ours = results.get(OURS)
    faults = []
    for name, result in results.items():
        if result.fault:
            faults.append(f"{name}: {result.fault.strip()[-400:]}")
        if result.figures:
            lines.append(_row(name, result, ours, case.hosts))
    lines += ["", *(f"Not measured: {fault}\n" for fault in faults)]
    return "\n".join(lines)


def _row(name: str, result: Result, ours: Result | None, hosts: int) -> str:
    wall = cpu = "-"
    if ours is not None and ours.figures:
        wall = f"{result.wall_s / ours.wall_s:.1f}"
        cpu = f"{result.cpu_s / ours.cpu_s:.1f}"
    turns = size = "-"
    if result.counts:
        turns = f"{result.counts['turns'] / hosts:.1f}"
        size = f"{(result.counts['up_bytes'] + result.counts['down_bytes']) / hosts / 1024:.0f}"
    memory = f"{result.peak_bytes >> 20} MiB"
    cells = (
        name,
        f"{result.wall_s:.2f} s",
        wall,
        f"{result.cpu_s:.2f} s",
        cpu,
        memory,
        turns,
        size,
    )
    return f"| {' | '.join(cells)} |"
