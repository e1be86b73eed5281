"""Where runs keep what outlives them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kubexm.errors import UsageError
from kubexm.runtime import WorkDirectory


@pytest.mark.parametrize(
    ("inventory", "name"),
    [
        ("inventories/default.yaml", "default"),
        ("./inventories/default.yaml", "default"),
        ("hosts.ini", "hosts"),
        ("prod/hosts.yaml", "prod-hosts"),
        ("inventories/prod", "prod"),
        ("/etc/kubexm/prod.yml", "etc-kubexm-prod"),
        ("10.0.0.1,10.0.0.2,", "10.0.0.1-10.0.0.2"),
        ("inventories/my site.yaml", "my-site"),
        ("inventories/sandbox.yaml", "sandbox-inventory"),
        ("", "none"),
    ],
)
def test_an_inventory_has_a_directory_of_its_own(
    monkeypatch: pytest.MonkeyPatch, inventory: str, name: str
) -> None:
    monkeypatch.delenv("KUBEXM_WORK_DIR", raising=False)
    assert WorkDirectory.of(inventory).path == Path.cwd() / ".kubexm" / name


def test_another_place_is_named_by_the_flag_or_else_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBEXM_WORK_DIR", str(tmp_path / "env"))
    assert WorkDirectory.of("a.yaml").path == tmp_path / "env" / "a"
    assert WorkDirectory.of("a.yaml", str(tmp_path / "flag")).path == tmp_path / "flag" / "a"


def test_directories_are_made_when_they_are_asked_for_and_are_private(tmp_path: Path) -> None:
    work = WorkDirectory(path=tmp_path / "work" / "a")
    assert not work.path.exists()
    made = work.make("runs", "r")
    assert made == work.run("r")
    for path in (made, made.parent, work.path, tmp_path / "work"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_what_cannot_be_made_is_told_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be made") as caught:
        WorkDirectory(path=tmp_path / "file" / "a").make()
    assert "--work-dir" in caught.value.hint
