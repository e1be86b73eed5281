"""Files and trees go to a host and come back: whole, checked, at once, and not twice."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.local import LocalConnector
from kubexm.errors import SessionLostError, TransferError, UsageError
from kubexm.runner import Catalogue, Host, PutOptions, Source, Status, Transfer
from kubexm.runner.transfer import get, put
from kubexm.shell import Exchange, Session
from kubexm_linux import family
from tests.integration.wire import SHELLS, USERLAND, machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubexm.connector.local import LocalProcess

pytestmark = pytest.mark.integration

LARGE = 9 << 20
DEFAULT = PutOptions()
NAMES = (
    "plain",
    "-dash",
    "two words",
    "qu'o\"te$(x)",
    "new\nline",
    "\udcff\udcfe",
    "é",
    "a|b",
    "*",
)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("KUBEXM_STATE", str(tmp_path / "state"))
    session = Session.open(LocalConnector().open)
    yield session
    session.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with something of every kind in it."""
    root = tmp_path / "source"
    (root / "sub/deep").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (root / "sub" / name).write_bytes(secrets.token_bytes(number * 9_000))
    (root / "empty").touch()
    (root / "link").symlink_to("sub/plain")
    (root / "dangling").symlink_to("no where\nat all")
    (root / "program").write_text("#!/bin/sh\n")
    (root / "program").chmod(0o750)
    (root / "closed").mkdir()
    (root / "closed/file").write_text("x")
    (root / "closed").chmod(0o555)
    return root


def shape(root: Path) -> dict[str, tuple[int, object]]:
    """Every path below a root: its mode, and its content or target."""
    found: dict[str, tuple[int, object]] = {}
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        content: object = None
        if stat.S_ISLNK(mode):
            mode, content = 0, os.readlink(path)  # noqa: PTH115 - as it is written
        elif stat.S_ISREG(mode):
            content = path.read_bytes()
        found[str(path.relative_to(root))] = mode, content
    return found


def drafts(*roots: Path) -> list[Path]:
    """What a transfer has left that nobody asked for."""
    return [path for root in roots for path in root.rglob("*kubexm*")]


def put_to(
    session: Session,
    source: Path,
    path: Path,
    options: PutOptions = DEFAULT,
    *,
    check: bool = False,
) -> Transfer:
    return put(session, Source.read(source), str(path), options, deadline_s=60, check=check)


@pytest.mark.parametrize("kind", [*SHELLS, USERLAND])
def test_a_tree_arrives_whole_and_comes_back_whole(
    kind: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEXM_STATE", str(tmp_path / "state"))
    (tmp_path / "machine").mkdir()
    (tree / "large").write_bytes(secrets.token_bytes(LARGE))
    session = Session.open(machine(kind, tmp_path / "machine").open)
    there, back = tmp_path / "not/there/yet", tmp_path / "back/again"
    first = put_to(session, tree, there)
    assert shape(there) == shape(tree)
    assert len(first.changed) == len(shape(tree)) + 1
    again = put_to(session, tree, there)
    assert (again.changed, again.sent_bytes, again.diff) == ((), 0, "")
    got = get(session, str(there), back, deadline_s=60)
    assert shape(back) == shape(tree)
    assert got.sent_bytes == first.sent_bytes
    assert get(session, str(there), back, deadline_s=60).changed == ()
    assert drafts(there.parent, back.parent) == []
    session.close()


def test_only_what_differs_is_sent(session: Session, tree: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    put_to(session, tree, there)
    (there / "empty").write_text("not any more")
    (there / "program").chmod(0o700)
    (there / "link").unlink()
    (there / "besides").write_text("stays")
    foreseen = put_to(session, tree, there, check=True)
    done = put_to(session, tree, there)
    assert done.changed == foreseen.changed
    assert sorted(Path(path).name for path in done.changed) == ["empty", "link", "program"]
    assert done.diff == foreseen.diff
    assert f"-{there}/program: file 0700" in done.diff
    assert f"+{there}/program: file 0750" in done.diff
    assert (there / "besides").read_text() == "stays"
    assert {**shape(tree), "besides": shape(there)["besides"]} == shape(there)


def test_check_mode_changes_nothing(session: Session, tree: Path, tmp_path: Path) -> None:
    foreseen = put_to(session, tree, tmp_path / "there", check=True)
    assert len(foreseen.changed) == len(shape(tree)) + 1
    assert not (tmp_path / "there").exists()
    put_to(session, tree, tmp_path / "there")
    got = get(session, str(tmp_path / "there"), tmp_path / "back", deadline_s=60, check=True)
    assert got.changed
    assert not (tmp_path / "back").exists()


def test_a_file_gets_the_mode_and_owner_that_are_asked_for(
    session: Session, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving files away needs root")
    source = tmp_path / "source"
    source.write_text("x")
    there = tmp_path / "there"
    put_to(session, source, there, PutOptions(mode=0o4711, owner="nobody", group="daemon"))
    status = there.stat()
    assert (stat.S_IMODE(status.st_mode), there.owner(), there.group()) == (
        0o4711,
        "nobody",
        "daemon",
    )
    source.write_text("y")
    put_to(session, source, there, PutOptions(mode=0o600))
    assert (stat.S_IMODE(there.stat().st_mode), there.owner()) == (0o600, "nobody")
    with pytest.raises(TransferError, match="invalid user"):
        put_to(session, source, there, PutOptions(owner="no-such-user"))
    with pytest.raises(ValueError, match="not a file mode"):
        PutOptions(mode=0o10000)


def test_a_link_to_a_file_is_followed_by_a_file_and_replaced_by_a_tree(
    session: Session, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("old")
    (tmp_path / "alias").symlink_to("real")
    (tmp_path / "link").symlink_to("alias/file")
    source = tmp_path / "source"
    source.write_text("new")
    done = put_to(session, source, tmp_path / "link")
    assert done.changed == (str(tmp_path / "real/file"),)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/file").read_text() == "new"
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").write_text("mine")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/link").symlink_to("../real/file")
    put_to(session, tree, tmp_path / "dir")
    assert (tmp_path / "dir/link").read_text() == "mine"
    assert not (tmp_path / "dir/link").is_symlink()
    assert (tmp_path / "real/file").read_text() == "new"


def test_a_tree_is_not_written_through_a_link_in_its_place(
    session: Session, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "there/sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TransferError, match="is a link, not a directory"):
        put_to(session, tree, tmp_path / "there")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_is_in_the_way_is_named(session: Session, tree: Path, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="is not a directory"):
        put_to(session, tree, tree / "program")
    with pytest.raises(TransferError, match="is a directory, not a file"):
        put_to(session, tree / "program", tmp_path)
    with pytest.raises(TransferError, match="there is nothing at"):
        get(session, str(tmp_path / "nothing"), tmp_path / "x", deadline_s=60)
    with pytest.raises(UsageError, match="No such file"):
        Source.read(tmp_path / "nothing")
    os.mkfifo(tree / "pipe")
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        Source.read(tree)
    got = get(session, str(tree), tmp_path / "got", deadline_s=60)
    assert got.left_out == (str(tree / "pipe"),)


def test_an_original_is_kept_before_it_is_replaced(session: Session, tmp_path: Path) -> None:
    source, there = tmp_path / "source", tmp_path / "there"
    source.write_text("new")
    there.write_text("old")
    put_to(session, source, there)
    originals = list((tmp_path / "state/originals").glob("*/original"))
    assert [path.read_text() for path in originals] == ["old"]


def test_a_source_that_changes_meanwhile_is_not_put_in_place(
    session: Session, tmp_path: Path
) -> None:
    source, there = tmp_path / "source", tmp_path / "there"
    for size in (1000, LARGE):
        source.write_bytes(secrets.token_bytes(size))
        there.write_text("old")
        looked = Source.read(source)
        source.write_bytes(secrets.token_bytes(size))
        with pytest.raises(TransferError, match="not the content that was to be sent"):
            put(session, looked, str(there), DEFAULT, deadline_s=60)
        assert there.read_text() == "old"
        assert drafts(tmp_path) == []
    source.write_bytes(b"")
    with pytest.raises(TransferError, match="became shorter"):
        put(session, looked, str(there), DEFAULT, deadline_s=60)
    assert there.read_text() == "old"


class Cut:
    """A process whose link breaks when so many bytes of its stdin have passed."""

    def __init__(self, process: LocalProcess, left: int) -> None:
        self._process = process
        self._left = left

    def exchange(self, outgoing: memoryview, timeout_s: float) -> Exchange:
        moved = self._process.exchange(outgoing[: max(self._left, 1)], timeout_s)
        self._left -= moved.taken
        if self._left <= 0:
            self._process.kill()
        return moved

    def close_stdin(self) -> None:
        self._process.close_stdin()

    def exit_status(self) -> int | None:
        return self._process.exit_status()

    def kill(self) -> None:
        self._process.kill()


def cut_after(left: int) -> Callable[[str], Cut]:
    return lambda command: Cut(LocalConnector().open(command), left)


def test_a_large_file_goes_on_where_it_was_interrupted(session: Session, tmp_path: Path) -> None:
    source, there = tmp_path / "source", tmp_path / "there"
    source.write_bytes(secrets.token_bytes(LARGE))
    there.write_text("old")
    with pytest.raises(SessionLostError):
        put_to(Session.open(cut_after(LARGE // 2)), source, there)
    assert there.read_text() == "old"
    seen: list[tuple[int, int]] = []
    done = put(
        session,
        Source.read(source),
        str(there),
        DEFAULT,
        deadline_s=60,
        progress=lambda moved, total: seen.append((moved, total)),
    )
    assert done.resumed_bytes > LARGE // 4
    assert done.resumed_bytes + done.sent_bytes == LARGE
    assert seen == sorted(seen)
    assert seen[-1] == (LARGE, LARGE)
    assert there.read_bytes() == source.read_bytes()
    assert drafts(tmp_path) == []


def test_a_damaged_beginning_is_sent_again(session: Session, tmp_path: Path) -> None:
    source, there = tmp_path / "source", tmp_path / "there"
    source.write_bytes(secrets.token_bytes(LARGE))
    with pytest.raises(SessionLostError):
        put_to(Session.open(cut_after(LARGE // 2)), source, there)
    (part,) = (tmp_path / ".there.kubexm-put").iterdir()
    with part.open("r+b") as file:
        file.write(b"damaged")
    done = put_to(session, source, there)
    assert done.resumed_bytes > 0
    assert there.read_bytes() == source.read_bytes()
    assert drafts(tmp_path) == []


@pytest.mark.parametrize("writer", ["other content", "small content", "host.files.write"])
def test_what_nobody_goes_on_with_is_taken_away_by_the_next_write(
    session: Session, tmp_path: Path, writer: str
) -> None:
    source, there = tmp_path / "source", tmp_path / "there"
    source.write_bytes(secrets.token_bytes(LARGE))
    with pytest.raises(SessionLostError):
        put_to(Session.open(cut_after(LARGE // 2)), source, there)
    assert drafts(tmp_path)
    match writer:
        case "other content":
            source.write_bytes(secrets.token_bytes(LARGE))
            assert put_to(session, source, there).resumed_bytes == 0
        case "small content":
            source.write_text("small")
            put_to(session, source, there)
        case _:
            Host.open("here", session, Catalogue([family])).files.write(str(there), "x")
    assert drafts(tmp_path) == []


def test_a_host_cannot_make_us_write_elsewhere(
    session: Session, tree: Path, tmp_path: Path
) -> None:
    local = tmp_path / "local"
    local.mkdir()
    (local / "sub").symlink_to(tmp_path / "outside")
    (tmp_path / "outside").mkdir()
    (tree / "sub/deep/file").write_text("x")
    with pytest.raises(TransferError, match="File exists"):
        get(session, str(tree), local, deadline_s=60)
    assert not list((tmp_path / "outside").iterdir())


def test_the_host_face_reports_what_moved(session: Session, tree: Path, tmp_path: Path) -> None:
    host = Host.open("here", session, Catalogue([family]))
    told: list[str] = []
    host.progress = lambda label, moved, total: told.append(f"{label}: {moved}/{total}")
    outcome = host.put(tree, str(tmp_path / "there"))
    assert outcome.status is Status.CHANGED
    assert isinstance(outcome.after, Transfer)
    assert outcome.label == f"put {tree} to {tmp_path}/there"
    assert told[-1].endswith(f"{outcome.after.sent_bytes}/{outcome.after.sent_bytes}")
    assert host.put(tree, str(tmp_path / "there")).status is Status.OK
    assert host.get(str(tmp_path / "there"), tmp_path / "back").changed
    with pytest.raises(TransferError):
        host.get("/nothing/there", tmp_path / "back")
    assert [outcome.status for outcome in host.history] == [
        Status.CHANGED,
        Status.OK,
        Status.CHANGED,
        Status.FAILED,
    ]


def test_nothing_on_a_host_rests_on_what_is_got_from_it(
    session: Session, tree: Path, tmp_path: Path
) -> None:
    host = Host.open("here", session, Catalogue([family]), check=True)
    assert host.get(str(tree), tmp_path / "back").changed
    assert host.put(tree, str(tmp_path / "there")).rests_on == ()
    assert host.put(tree, str(tmp_path / "there")).rests_on == (f"put {tree} to {tmp_path}/there",)
