"""Content that a script takes from the session's own stdin: all of it, whatever comes of it."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import DeadlineError, SessionLostError, TransferError
from kubexm.runner import PutOptions, Source
from kubexm.runner.transfer import put
from kubexm.shell import TRANSFER, Reply, Script, Session, Slice, Slices, quote
from tests.integration.wire import SHELLS, USERLAND, machine, session_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

SIZES = (1, 65_535, 65_536, 65_537, 200_000)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Originals of these tests are not kept on this machine."""
    monkeypatch.setenv("KUBEXM_STATE", str(tmp_path / "state"))


@pytest.fixture(params=[*SHELLS, USERLAND])
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    with session_on(machine(request.param, tmp_path_factory.mktemp("machine"))) as session:
        yield session


def taking(text: str, content: bytes, tmp_path: Path) -> Script:
    """A script that takes this content."""
    source = tmp_path / "source"
    source.write_bytes(content)
    part = Slice(path=source, offset=0, size_bytes=len(content))
    return Script(text, libraries=(TRANSFER,), content=Slices(parts=(part,), direct=True))


@pytest.mark.parametrize("size", SIZES)
def test_content_goes_to_the_end_of_a_file_and_the_next_script_begins_behind_it(
    session: Session, tmp_path: Path, size: int
) -> None:
    (tmp_path / "file").write_bytes(b"before")
    content = secrets.token_bytes(size)
    receive = taking(f"kx_receive {quote(str(tmp_path / 'file'))} 6", content, tmp_path)
    received, after = session.run((receive, Script("echo after"))).whole()
    assert isinstance(received, Reply)
    assert isinstance(after, Reply)
    assert (received.exit_status, received.stderr, after.stdout) == (0, b"", b"after\n")
    assert (tmp_path / "file").read_bytes() == b"before" + content


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", ["/dev/full", "/nonexistent/file"])
def test_what_cannot_be_written_is_taken_all_the_same(
    session: Session, tmp_path: Path, size: int, target: str
) -> None:
    receive = taking(f"kx_receive {target} 0", secrets.token_bytes(size), tmp_path)
    received, after = session.run((receive, Script("echo after"))).whole()
    assert isinstance(received, Reply)
    assert isinstance(after, Reply)
    assert (received.exit_status, after.stdout) == (1, b"after\n")
    if target == "/dev/full":
        assert b"No space left on device" in received.stderr


@pytest.mark.parametrize("text", [":", "dd bs=1 count=5 of=/dev/null 2>/dev/null", "exit 3"])
def test_what_a_script_leaves_is_never_taken_for_a_program(
    session: Session, tmp_path: Path, text: str
) -> None:
    lines = f"\ntouch {quote(str(tmp_path / 'ran'))}\n" * 3
    batch = session.run((taking(text, lines.encode(), tmp_path), Script("echo after")))
    assert isinstance(batch.ended_by, SessionLostError)
    assert session.broken
    assert not (tmp_path / "ran").exists()


def test_where_a_file_may_not_grow_the_session_ends_soon(session: Session, tmp_path: Path) -> None:
    text = f"ulimit -f 200; kx_receive {quote(str(tmp_path / 'file'))} 0"
    began = time.monotonic()
    batch = session.run((taking(text, secrets.token_bytes(400_000), tmp_path),), deadline_s=60)
    assert time.monotonic() - began < 20
    # a signal ends dd, or it fails as on a full disk where that signal is ignored
    if batch.ended_by is None:
        (reply,) = batch.replies
        assert isinstance(reply, Reply)
        assert reply.exit_status == 1
    else:
        assert isinstance(batch.ended_by, SessionLostError)


class Slow:
    """Content that comes slower than a deadline allows."""

    direct = True

    def __len__(self) -> int:
        return 20

    def chunks(self) -> Iterator[bytes]:
        """A byte every now and then."""
        for _ in range(20):
            time.sleep(0.2)
            yield b"x"


def test_a_deadline_that_passes_meanwhile_is_told_as_such(session: Session, tmp_path: Path) -> None:
    receive = f"kx_receive {quote(str(tmp_path / 'file'))} 0"
    script = Script(receive, libraries=(TRANSFER,), content=Slow())
    batch = session.run((script,), deadline_s=1, grace_s=1)
    assert isinstance(batch.ended_by, DeadlineError)


def test_a_large_file_is_put_in_parts(session: Session, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(secrets.token_bytes((9 << 20) + 5))
    target = tmp_path / "there" / "file"
    target.parent.mkdir()
    source = Source.read(tmp_path / "source")
    put(session, source, str(target), PutOptions(mode=0o640), deadline_s=60)
    assert target.read_bytes() == (tmp_path / "source").read_bytes()
    assert target.stat().st_mode & 0o7777 == 0o640
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_parts_do_not_go_on_where_somebody_else_has_been(session: Session, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(secrets.token_bytes(9 << 20))
    source = Source.read(tmp_path / "source")
    stage = tmp_path / ".file.kubexm-put"
    stage.mkdir(mode=0o755)
    (stage / source.entries[0].digest).write_bytes(b"begun")
    with pytest.raises(TransferError, match="changed by something else"):
        put(session, source, str(tmp_path / "file"), PutOptions(), deadline_s=60)
    assert not (tmp_path / "file").exists()
    put(session, source, str(tmp_path / "file"), PutOptions(), deadline_s=60)
    assert (tmp_path / "file").read_bytes() == (tmp_path / "source").read_bytes()
