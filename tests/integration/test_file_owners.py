"""Whose files are, what a setgid directory hands down, and what an ordinary user may do."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.local import LocalConnector, LocalProcess
from kubexm.errors import HostError
from kubexm.runner import Catalogue, Host
from kubexm.runner.operations import Directory, FileContent, LineInFile, PathAbsent
from kubexm.shell import Session
from kubexm.testing import HandlerContract
from kubexm_linux import family
from tests.integration.shells import NOBODY, needs_root, open_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    (path / "dir").mkdir(parents=True)
    (path / "conf").write_text("a = 1\n")
    return path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("KUBEXM_STATE", str(tmp_path / "state"))
    session = Session.open(LocalConnector().open)
    yield Host.open("here", session, Catalogue([family]))
    session.close()


@pytest.fixture
def public() -> Iterator[Path]:
    yield from open_directory()


@needs_root
@pytest.mark.parametrize("mode", [0o6, 0o60, 0o64, 0o600, 0o640, 0o644, 0o4755])
@pytest.mark.parametrize(("owner", "group"), [("", ""), ("44", ""), ("4", "0"), ("", "0")])
def test_a_new_file_has_mode_and_owner_however_few_their_digits(
    host: Host, home: Path, mode: int, owner: str, group: str
) -> None:
    file = FileContent(path=f"{home}/f", content="x", mode=mode, owner=owner, group=group)
    host.converge(file)
    found = (home / "f").stat()
    assert stat.S_IMODE(found.st_mode) == mode
    assert (found.st_uid, found.st_gid) == (int(owner or 0), int(group or 0))


@needs_root
@pytest.mark.parametrize(("owner", "group"), [("nobody", ""), ("54321", "54322"), ("", "nogroup")])
def test_owners_by_name_and_by_number(host: Host, home: Path, owner: str, group: str) -> None:
    for operation in (
        FileContent(path=f"{home}/conf", content="x", owner=owner, group=group),
        FileContent(path=f"{home}/f", content="x", owner=owner, group=group),
        Directory(path=f"{home}/dir", owner=owner, group=group),
        Directory(path=f"{home}/d", owner=owner, group=group),
    ):
        HandlerContract(host=host, operation=operation).check()
    line = LineInFile(path=f"{home}/conf", line="y")
    before = (home / "conf").stat()
    HandlerContract(host=host, operation=line).check()
    after = (home / "conf").stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid,
        before.st_gid,
        before.st_mode,
    )


@needs_root
def test_setgid_directory_hands_its_group_down(host: Host, home: Path) -> None:
    os.chown(home / "dir", -1, 54_321)
    (home / "dir").chmod(0o2775)
    for operation in (
        FileContent(path=f"{home}/dir/f", content="x"),
        FileContent(path=f"{home}/dir/new/f", content="x"),
        Directory(path=f"{home}/dir/d"),
        LineInFile(path=f"{home}/dir/l", line="x"),
        PathAbsent(path=f"{home}/dir/f"),
        FileContent(path=f"{home}/dir/g", content="x", group="nogroup"),
        FileContent(path=f"{home}/dir/h", content="x", group="54321"),
    ):
        HandlerContract(host=host, operation=operation).check()


@needs_root
def test_ordinary_user_keeps_originals_in_her_home(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(public))
    monkeypatch.delenv("KUBEXM_STATE", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    os.chown(public, NOBODY, NOBODY)
    (public / "theirs").write_text("root's")
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "sh", "-c"]
    session = Session.open(lambda command: LocalProcess([*become, command]))
    host = Host.open("here", session, Catalogue([family]))
    for operation in (
        FileContent(path=f"{public}/new/f", content="x"),
        LineInFile(path=f"{public}/new/f", line="y"),
        Directory(path=f"{public}/d", mode=0o700),
        PathAbsent(path=f"{public}/new/f"),
        # the directory is hers, so that she may remove it; she may not give another one away
        PathAbsent(path=f"{public}/theirs"),
    ):
        HandlerContract(host=host, operation=operation).check()
    with pytest.raises(HostError, match="Operation not permitted"):
        host.apply(FileContent(path=f"{public}/g", content="x", owner="root"))
    assert not (public / "g").exists()
    originals = public / ".local/state/kubexm/originals"
    assert stat.S_IMODE(originals.stat().st_mode) == 0o700
    assert [path.read_text() for path in originals.glob("*/original")] == ["root's"]
    session.close()
