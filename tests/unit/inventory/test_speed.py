"""5,000 hosts are loaded, validated and resolved in little time and memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from kubexm.inventory import load

if TYPE_CHECKING:
    from pathlib import Path

HOSTS, GROUPS = 5_000, 50


def written(directory: Path) -> Path:
    """50 groups of 100 hosts, each host with three variables, and 5,000 names in a second tree."""
    lines = ["all:", "  vars:", "    kubexm_user: ops", "    kubexm_private_key_file: ~/.ssh/id"]
    lines += ["    site: '{{ zone }}-{{ rack }}'", "  children:"]
    for group in range(GROUPS):
        lines += [f"    group{group:02}:", "      vars:", f"        zone: z{group % 3}"]
        lines.append("      hosts:")
        for host in range(group, HOSTS, GROUPS):
            lines += [
                f"        node{host:04}:",
                f"          kubexm_host: 10.{host // 250}.{host % 250}.1",
                f"          kubexm_internal_address: 192.168.{host // 250}.{host % 250}",
                f"          rack: r{host % 40}",
            ]
    path = directory / "hosts.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_5000_hosts_cost_a_small_multiple_of_parsing_their_text(
    tmp_path: Path,
) -> None:
    cyaml = pytest.importorskip("ruamel.yaml.cyaml", reason="ruamel.yaml.clib is not installed")
    path = written(tmp_path)
    text = path.read_text()

    def parse() -> None:
        parser = cyaml.CParser(text)
        while parser.get_event() is not None:
            pass

    def resolve() -> None:
        inventory = load(path)
        assert len(inventory.hosts) == HOSTS

    # 12 on an idle machine, 80 without the C parser; the best of several, because other work may
    # take the processor's caches away from either
    ratio = min(seconds(resolve) for _ in range(2)) / min(seconds(parse) for _ in range(2))
    assert ratio < 40


def seconds(work: object) -> float:
    began = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - began


def test_5000_hosts_fit_into_200_megabytes(tmp_path: Path) -> None:
    code = """
    import sys
    from pathlib import Path
    from kubexm.inventory import load
    inventory = load(Path(sys.argv[1]))
    sites = {host.variables["site"] for host in inventory.hosts}
    print(len(inventory.hosts), len(sites))
    # not ru_maxrss, which a process has from the one that started it
    status = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) // 1024)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(written(tmp_path))],
        capture_output=True,
        text=True,
        check=True,
    )
    counts, megabytes = done.stdout.splitlines()
    assert counts == f"{HOSTS} 120"
    assert int(megabytes) < 200
