"""Content is read while it is sent, and says so when it cannot be."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import TransferError
from kubexm.shell import Library, Reply, Script, Session, Slice, Slices
from kubexm.shell.frame import encode
from kubexm.testing import FakeMachine

if TYPE_CHECKING:
    from pathlib import Path


def slices(path: Path, *ranges: tuple[int, int]) -> Slices:
    parts = tuple(Slice(path=path, offset=offset, size_bytes=size) for offset, size in ranges)
    return Slices(parts=parts)


def test_slices_are_one_content(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(secrets.token_bytes(1_100_000))
    content = slices(tmp_path / "f", (3, 600_000), (0, 0), (1_000_000, 5))
    assert len(content) == 600_005
    # a piece is good until the next one is asked for
    data = b"".join(map(bytes, content.chunks()))
    whole = (tmp_path / "f").read_bytes()
    assert data == whole[3:600_003] + whole[1_000_000:1_000_005]
    assert all(len(chunk) <= 1 << 19 for chunk in content.chunks())


def test_each_piece_is_told_when_the_next_one_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(300_000))
    told: list[int] = []
    part = Slice(path=tmp_path / "f", offset=0, size_bytes=300_000)
    assert sum(map(len, Slices(parts=(part,), sent=told.append).chunks())) == sum(told) == 300_000


def test_a_file_that_is_gone_or_has_become_shorter_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    with pytest.raises(TransferError, match="became shorter"):
        list(slices(tmp_path / "f", (0, 6)).chunks())
    with pytest.raises(TransferError, match="cannot be read: No such file"):
        list(slices(tmp_path / "g", (0, 1)).chunks())


def test_a_script_reads_its_content_and_shows_only_its_size(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 500_000)
    content = slices(tmp_path / "f", (0, 500_000))
    script = Library("lib", "take() { :; }\n").call("take", content=content)
    assert repr(script) == "Script('take', payload=500000 bytes)"
    program, payloads = encode([script], "0" * 32, deadline_s=0)
    assert b"kx_run 0 take 500000" in program
    assert payloads[0] is content
    got: list[bytes | None] = []

    def answer(text: str, payload: bytes | None, state: None) -> Reply:
        del text, state
        got.append(payload)
        return Reply(exit_status=0)

    session: Session = FakeMachine(answer, None).session()
    session.run([script, Script("after", payload=b"y")]).whole()
    assert got == [b"x" * 500_000, b"y"]


def test_a_script_has_one_stdin(tmp_path: Path) -> None:
    content = slices(tmp_path / "f", (0, 1))
    with pytest.raises(ValueError, match="not both"):
        Script("cat", payload=b"x", content=content)
    with pytest.raises(ValueError, match="cannot be joined"):
        Script("cat", payload=b"x").then(Script("cat", content=content))
    assert Script("true").then(Script("cat", content=content)).stdin is content


def test_a_tied_script_has_a_watchdog_of_its_own() -> None:
    program, _ = encode([Script("a", tied=True), Script("b")], "0" * 32, deadline_s=9)
    arms = [line for line in program.decode().splitlines() if line.startswith("kx_arm")]
    assert arms == ["kx_arm 9 10 1", "kx_arm 9 10", "kx_arm 0"]
