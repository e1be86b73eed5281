"""Entry points are the only way in: for a stranger's distribution, and for our own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TASKS = '''\
from kubexm.tasks import Fleet, fleet_task, ns

try:
    from kubexm_outside.greeting import Greeter, Greeting
except ModuleNotFoundError:
    pass


@fleet_task
def greet(fleet: Fleet, path: str) -> None:
    """Leave a greeting, as a step and through the face."""
    fleet.apply("greeting", Greeting(path=path, name="step"))
    fleet.each(lambda host: print(host.use(Greeter).greet(path + ".2", "face").changed))


@fleet_task
def look(fleet: Fleet) -> None:
    """Count the hosts."""
    print(len(fleet.hosts))
    fleet.each(lambda host: None)


ns.add_task(greet)
ns.add_task(look)
'''


def install(source: Path, target: Path) -> None:
    """Install a distribution from a copy, without dependencies and without the network."""
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
            "--no-build-isolation", "--target", str(target), str(source),
        ],
        check=True,
        capture_output=True,
        text=True,
    )  # fmt: skip


def inv(project: Path, site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    (made / "inventories").mkdir(parents=True)
    (made / "tasks.py").write_text(TASKS)
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "tests" / "outside", source)
    install(source, tmp_path / "site")
    return tmp_path / "site"


def test_a_strangers_operation_and_connector_work_once_installed(
    project: Path, outside: Path
) -> None:
    (project / "inventories" / "default.yaml").write_text(
        "all:\n  hosts:\n    one:\n      kubexm_connection: courier\n      kubexm_become: false\n"
        "      kubexm_connection_options: {sender: somebody}\n"
    )
    sent = inv(project, outside, "hosts.run", "echo from $COURIER")
    assert "from somebody" in sent.stdout, sent.stderr

    target = project / "greeting"
    first = inv(project, outside, "greet", str(target), "--diff")
    assert first.returncode == 0, first.stderr
    assert "+hello step" in first.stdout
    assert "True" in first.stdout
    assert target.read_text() == "hello step\n"
    assert target.with_name("greeting.2").read_text() == "hello face\n"
    second = inv(project, outside, "greet", str(target))
    assert second.returncode == 0
    assert "False" in second.stdout


def test_a_strangers_inventory_and_secrets_work_once_installed(
    project: Path, outside: Path
) -> None:
    listed = inv(project, outside, "hosts.list", "-i", "almanac:1752", "--limit", "season2")
    assert listed.returncode == 0, listed.stderr
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    assert [(row[0], row[-1]) for row in rows] == [
        ("month7", "season2"),
        ("month8", "season2"),
        ("month9", "season2"),
    ]
    (project / "inventories" / "default.yaml").write_text(
        "all: {hosts: {one: {kubexm_connection: local, kubexm_user: !secret riddle:ydobon}}}\n"
    )
    named = inv(project, outside, "hosts.list")
    assert "nobody" in named.stdout, named.stderr
    (project / "inventories" / "default.yaml").write_text(
        "all: {hosts: {one: {kubexm_password: !secret riddel:x}}}\n"
    )
    unknown = inv(project, outside, "hosts.list")
    assert unknown.returncode == 5
    assert "default.yaml:1:38: there is no provider of secrets named 'riddel'" in unknown.stderr
    assert "there are: cmd, env, file, keyring, riddle" in unknown.stderr


def stripped(tmp_path: Path, *groups: str) -> Path:
    """Install kubexm itself, without the entry points of these groups."""
    source, site = tmp_path / "kubexm-source", tmp_path / "stripped"
    source.mkdir()
    for name in ("kubexm", "plugins"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    text = (ROOT / "pyproject.toml").read_text()
    for group in groups:
        text, found = re.subn(
            rf'\[project\.entry-points\."{re.escape(group)}"\]\n([^\[\n][^\n]*\n)*', "", text
        )
        assert found == 1, group
    (source / "pyproject.toml").write_text(text)
    install(source, site)
    return site


def test_without_its_entry_points_the_core_imports_and_lists_its_commands(
    project: Path, tmp_path: Path
) -> None:
    site = stripped(tmp_path, "kubexm.connectors", "kubexm.families", "kubexm.tasks")
    (project / "inventories" / "default.yaml").write_text("all: {hosts: {one: {}}}\n")
    listed = inv(project, site, "--list")
    assert listed.returncode == 0, listed.stderr
    assert "Count the hosts." in listed.stdout
    assert "node.prepare" not in listed.stdout
    done = inv(project, site, "look")
    assert done.returncode == 5
    assert done.stdout == "1\n"
    assert "no plugin named 'ssh' in kubexm.connectors" in done.stderr
    assert "reinstall kubexm" in done.stderr


def test_without_families_a_debian_host_is_told_what_to_install(
    project: Path, tmp_path: Path
) -> None:
    site = stripped(tmp_path, "kubexm.families")
    (project / "inventories" / "default.yaml").write_text(
        "all: {hosts: {one: {kubexm_connection: local, kubexm_become: false}}}\n"
    )
    facts = inv(project, site, "hosts.facts", "--output", "json")
    if '"id": "debian"' not in facts.stdout:
        pytest.skip("this machine is not Debian")
    done = inv(project, site, "node.prepare", "--check")
    assert done.returncode == 2
    assert "no OS family is installed for Debian GNU/Linux" in done.stdout
    assert "install a distribution that provides a family for debian" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
