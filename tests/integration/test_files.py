"""Every handler of files keeps its promises on a real file system, under a real sh."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.local import LocalConnector
from kubexm.errors import HostError, NotConvergedError
from kubexm.runner import Catalogue, Host, Status
from kubexm.runner.operations import (
    BlockInFile,
    CommandRun,
    Directory,
    FileContent,
    LineInFile,
    PathAbsent,
    SymbolicLink,
)
from kubexm.secret import Secret
from kubexm.shell import Session
from kubexm.testing import HandlerContract
from kubexm_linux import family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kubexm.runner import Operation

pytestmark = pytest.mark.integration

LONG = "x" * 65_536


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with something of every kind in it."""
    path = tmp_path / "a home"
    (path / "dir/sub").mkdir(parents=True)
    (path / "dir/sub/file").write_text("deep\n")
    (path / "conf").write_text("# c\na = 1\nb = 2\na = 3")
    (path / "crlf").write_bytes(b"a = 1\r\nb = 2\r\n")
    (path / "latin1").write_bytes(b"caf\xe9\nlast\xff")
    (path / "empty").touch()
    (path / "binary").write_bytes(bytes(range(256)))
    (path / "link").symlink_to("conf")
    (path / "dirlink").symlink_to("dir")
    (path / "dangling").symlink_to("nowhere")
    (path / "long").write_text(f"{LONG}\n")
    (path / "conf").chmod(0o640)
    return path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("KUBEXM_STATE", str(tmp_path / "state"))
    session = Session.open(LocalConnector().open)
    yield Host.open("here", session, Catalogue([family]))
    session.close()


CHANGES: dict[str, Callable[[str], Operation]] = {
    "new file": lambda at: FileContent(path=f"{at}/new/f", content="one\ntwo", mode=0o600),
    "file": lambda at: FileContent(path=f"{at}/conf", content="other\n"),
    "file by link": lambda at: FileContent(path=f"{at}/link", content="other\n"),
    "mode of a file": lambda at: FileContent(path=f"{at}/empty", content="", mode=0o4700),
    "empty file": lambda at: FileContent(path=f"{at}/conf", content=""),
    "binary file": lambda at: FileContent(path=f"{at}/binary", content=b"\0\xff" * 50_000),
    "secret": lambda at: FileContent(path=f"{at}/key", content=Secret("hush hush"), mode=0o600),
    "other secret": lambda at: FileContent(path=f"{at}/conf", content=Secret("hush hush")),
    "large file": lambda at: FileContent(path=f"{at}/long", content=LONG * 2),
    "new directory": lambda at: Directory(path=f"{at}/x/y/z", mode=0o700),
    "setgid directory": lambda at: Directory(path=f"{at}/dir", mode=0o2775),
    "directory by link": lambda at: Directory(path=f"{at}/dirlink", mode=0o711),
    "file removed": lambda at: PathAbsent(path=f"{at}/conf"),
    "directory removed": lambda at: PathAbsent(path=f"{at}/dir"),
    "link removed": lambda at: PathAbsent(path=f"{at}/dirlink"),
    "dangling link removed": lambda at: PathAbsent(path=f"{at}/dangling"),
    "line replaced": lambda at: LineInFile(path=f"{at}/conf", line="a=9", pattern=r"^a\s*="),
    "line added": lambda at: LineInFile(path=f"{at}/conf", line="c = 3"),
    "line in a link's file": lambda at: LineInFile(path=f"{at}/link", line="c = 3"),
    "line in a new file": lambda at: LineInFile(path=f"{at}/n/f", line="c", mode=0o600),
    "line in an empty file": lambda at: LineInFile(path=f"{at}/empty", line=""),
    "line with CRLF": lambda at: LineInFile(path=f"{at}/crlf", line="a = 2", pattern="^a"),
    "line beside latin-1": lambda at: LineInFile(path=f"{at}/latin1", line="naïve"),
    "block": lambda at: BlockInFile(path=f"{at}/conf", name="b 1", block="one\n\ntwo\n"),
    "block in a new file": lambda at: BlockInFile(path=f"{at}/n/f", name="b", block="x"),
    "block with CRLF": lambda at: BlockInFile(path=f"{at}/crlf", name="b", block="x", comment=";"),
    "command": lambda at: CommandRun(
        command=f"cat; echo done > '{at}/made'; echo said; echo loud >&2", creates=f"{at}/made"
    ),
    "command unless": lambda at: CommandRun(
        command=f"echo x >> '{at}/empty'", unless=f"cat; grep x '{at}/empty'", name="an x"
    ),
    "command only if": lambda at: CommandRun(
        command=f"rm '{at}/empty'", only_if=f"echo noise; test -e '{at}/empty'"
    ),
}


@pytest.mark.parametrize("make", CHANGES.values(), ids=CHANGES.keys())
def test_handler_keeps_its_promises(
    host: Host, home: Path, make: Callable[[str], Operation]
) -> None:
    HandlerContract(host=host, operation=make(str(home)), watched=(str(home),)).check()


def test_what_is_so_already_is_left_alone(host: Host, home: Path) -> None:
    for operation in (
        FileContent(path=f"{home}/conf", content="# c\na = 1\nb = 2\na = 3", mode=0o640),
        Directory(path=f"{home}/dirlink"),
        PathAbsent(path=f"{home}/nothing/here"),
        LineInFile(path=f"{home}/crlf", line="b = 2"),
        LineInFile(path=f"{home}/conf", line="a = 3"),
        BlockInFile(path=f"{home}/nothing", name="b", block=""),
        CommandRun(command="exit 1", creates=f"{home}/dangling"),
        CommandRun(command="exit 1", unless="true"),
        CommandRun(command="exit 1", only_if="exit 3"),
    ):
        contract = HandlerContract(host=host, operation=operation, watched=(str(home),))
        contract.check_settled()


REFUSALS: dict[str, tuple[Callable[[str], Operation], str]] = {
    "file over a directory": (
        lambda at: FileContent(path=f"{at}/dir", content="x"), "not a regular file"
    ),
    "file by a dangling link": (
        lambda at: FileContent(path=f"{at}/dangling", content="x"), "dangling"
    ),
    "directory over a file": (lambda at: Directory(path=f"{at}/conf"), "not a directory"),
    "directory by a dangling link": (lambda at: Directory(path=f"{at}/dangling"), "nowhere"),
    "line in a directory": (lambda at: LineInFile(path=f"{at}/dir", line="x"), "not a regular"),
    "line in binary": (lambda at: LineInFile(path=f"{at}/binary", line="x"), "no text file"),
    "line in a large file": (
        lambda at: LineInFile(path=f"{at}/long", line="x"), "larger than 64 KiB"
    ),
    "block without its end": (
        lambda at: BlockInFile(path=f"{at}/damaged", name="b", block="x"), "damaged, line 2: "
    ),
    "block that makes a file too large": (
        lambda at: BlockInFile(path=f"{at}/conf", name="b", block=LONG), "would become larger"
    ),
    "command that does not do what its condition wants": (
        lambda at: CommandRun(command="true", creates=f"{at}/nothing"), "still not so"
    ),
    "command that fails": (
        lambda at: CommandRun(command="echo why >&2; exit 7", creates=f"{at}/x"), "status 7: why"
    ),
    "condition that no shell can read": (
        lambda at: CommandRun(command=f"touch '{at}/x'", only_if="echo 'x"), "could not be tried"
    ),
    "file that does not pass": (
        lambda at: FileContent(path=f"{at}/conf", content="x", validate="false"), "validation"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_is_an_error_and_changes_nothing(
    host: Host, home: Path, make: Callable[[str], Operation], message: str
) -> None:
    (home / "damaged").write_text("one\n# BEGIN kubexm b\ntwo\n")
    before = {path: path.lstat().st_mtime_ns for path in home.rglob("*")}
    with pytest.raises(HostError, match=message):
        host.apply(make(str(home)))
    assert {path: path.lstat().st_mtime_ns for path in home.rglob("*")} == before


def test_operations_on_one_file_have_sequential_meaning(host: Host, home: Path) -> None:
    path = f"{home}/etc/app.conf"
    operations = (
        PathAbsent(path=f"{home}/conf"),
        Directory(path=f"{home}/conf", mode=0o700),
        FileContent(path=path, content="a = 1\n"),
        LineInFile(path=path, line="a = 2", pattern="^a"),
        BlockInFile(path=path, name="extra", block="b = 3"),
        CommandRun(command=f"cp '{path}' '{path}.copy'", creates=f"{path}.copy"),
        LineInFile(path=path, line="c = 4"),
    )
    first = host.converge(*operations)
    assert [outcome.status for outcome in first] == [Status.CHANGED] * len(operations)
    expected = "a = 2\n# BEGIN kubexm extra\nb = 3\n# END kubexm extra\n"
    assert (home / "etc/app.conf").read_text() == f"{expected}c = 4\n"
    assert (home / "etc/app.conf.copy").read_text() == expected
    assert stat.S_IMODE((home / "conf").stat().st_mode) == 0o700
    trips = host.session.trips
    again = host.converge(operations[1], *operations[3:])
    assert [outcome.status for outcome in again] == [Status.OK] * 5
    assert host.session.trips - trips == 1


def test_removal_shows_no_content(host: Host, home: Path) -> None:
    outcome = host.apply(PathAbsent(path=f"{home}/conf"))
    assert "a = 1" not in repr(outcome)
    assert outcome.diff.startswith("--- ")


def test_what_a_later_operation_does_is_not_held_against_an_earlier_one(
    host: Host, tmp_path: Path
) -> None:
    """Readings after changes are put off, but not behind what alters them."""
    home = tmp_path / "plain"
    for name in ("v1", "v2", "gone"):
        (home / name).mkdir(parents=True)
    (home / "cur").symlink_to("v1")
    outcomes = host.converge(
        PathAbsent(path=f"{home}/gone"),
        FileContent(path=f"{home}/gone/again", content="x\n"),
        FileContent(path=f"{home}/cur/conf", content="x\n"),
        FileContent(path=f"{home}/v1/conf", content="y\n"),
        SymbolicLink(path=f"{home}/cur", target=f"{home}/v2"),
        FileContent(path=f"{home}/alone", content="x\n"),
    )
    assert [outcome.status for outcome in outcomes] == [Status.CHANGED] * 6


def test_what_is_read_late_is_still_held_against_its_operation(host: Host, tmp_path: Path) -> None:
    """The file's own validation takes the content away again: nothing says so but a reading."""
    home = tmp_path / "plain"
    home.mkdir()
    outcomes = host.converge(
        FileContent(path=f"{home}/first", content="x\n"),
        FileContent(path=f"{home}/bad", content="x\n", validate=': >"$1"'),
        FileContent(path=f"{home}/last", content="x\n"),
    )
    assert [str(outcome.status) for outcome in outcomes] == ["changed", "failed", "changed"]
    assert isinstance(outcomes[1].error, NotConvergedError)
