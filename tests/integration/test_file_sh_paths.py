"""What file.sh says about paths, how it makes directories, and how it removes things."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.integration.shells import (
    NAMES,
    NOBODY,
    UNKNOWN,
    Shell,
    make_shell,
    mode_of,
    names_in,
    needs_root,
    open_directory,
    silence,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture(params=NAMES)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    return make_shell(request.param, tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def public() -> Iterator[Path]:
    yield from open_directory()


def test_state_says_what_is_there(shell: Shell, home: Path) -> None:
    content = b"\0binary\xff\n"
    (home / "file").write_bytes(content)
    (home / "file").chmod(0o4711)
    (home / "dir").mkdir(mode=0o700)
    (home / "link").symlink_to("file")
    os.mkfifo(home / "pipe", 0o600)
    uid, gid = os.getuid(), os.getgid()
    digest = hashlib.sha256(content).hexdigest()

    def state(name: str, limit: int = 100) -> list[bytes]:
        answer = shell.call("kx_file_state", home / name, limit)
        assert (answer.status, answer.stderr) == (0, "")
        return answer.stdout.split(b"\n", 1)

    head, rest = state("file")
    assert head.startswith(f"file 4711 {uid} {gid} {len(content)} {digest} ".encode())
    assert rest == content
    assert state("file", len(content) - 1)[1] == b""
    assert state("file", -1)[1] == b""
    assert state("dir")[0].startswith(f"directory 700 {uid} {gid} 0 - ".encode())
    assert state("link")[0].startswith(b"link ")
    assert state("link")[1] == b"file\n"
    assert state("pipe")[0].startswith(f"special 600 {uid} {gid} 0 - ".encode())
    assert state("nothing")[0] == b"absent"
    assert state("no/such/parent")[0] == b"absent"
    (home / "dir").chmod(0o2700)
    assert state("dir/no/such")[0].startswith(f"absent {gid} ".encode())


@needs_root
def test_state_of_what_may_not_be_seen_is_an_error(shell: Shell, public: Path) -> None:
    (public / "closed").mkdir(mode=0o700)
    (public / "secret").write_text("x")
    (public / "secret").chmod(0o600)
    stranger = replace(shell, as_user=NOBODY, path="/usr/bin:/bin")
    for name in ("closed/file", "closed/deep/file", "secret"):
        answer = stranger.call("kx_content_state", public / name, 100)
        assert answer.status != 0
        assert "ermission denied" in answer.stderr


@needs_root
def test_owner_without_a_name_is_a_number_and_stays(shell: Shell, home: Path) -> None:
    (home / "f").write_text("old")
    os.chown(home / "f", UNKNOWN, UNKNOWN)
    head = shell.call("kx_file_state", home / "f", -1).stdout
    assert head.startswith(f"file 644 {UNKNOWN} {UNKNOWN} ".encode())
    assert head.endswith(b" UNKNOWN:UNKNOWN\n")
    assert shell.replace(home / "f", b"new").status == 0
    assert ((home / "f").stat().st_uid, (home / "f").stat().st_gid) == (UNKNOWN, UNKNOWN)


def test_directory_with_its_parents(shell: Shell, home: Path) -> None:
    assert shell.call("kx_directory", home / "a/b/c", "2750", "", "").status == 0
    assert (mode_of(home / "a"), mode_of(home / "a/b")) == (0o755, 0o755)
    assert mode_of(home / "a/b/c") == 0o2750
    assert sorted(shell.kept()) == [str(home / name) for name in ("a", "a/b", "a/b/c")]
    assert shell.call("kx_directory", home / "a/b/c", "755", "", "").status == 0
    assert mode_of(home / "a/b/c") == 0o755


def test_attributes_of_a_directory_are_kept_without_what_is_in_it(shell: Shell, home: Path) -> None:
    (home / "d").mkdir()
    (home / "d").chmod(0o2711)
    (home / "d/f").write_text("x")
    (home / "link").symlink_to("d")
    assert shell.call("kx_directory", home / "link", "700", "", "").status == 0
    assert mode_of(home / "d") == 0o700
    original = shell.kept()[str(home / "d")] / "original"
    assert (mode_of(original), names_in(original)) == (0o2711, [])
    assert names_in(home / "d") == ["f"]


def test_removal_keeps_files_and_follows_no_link(shell: Shell, home: Path) -> None:
    (home / "target").write_text("stays")
    (home / "d/sub").mkdir(parents=True)
    (home / "d/sub/f").write_text("x")
    (home / "d/link").symlink_to(home)
    (home / "link").symlink_to("target")
    (home / "dangling").symlink_to("nowhere")
    (home / "f").write_text("kept")
    os.mkfifo(home / "pipe")
    for name in ("d", "link", "dangling", "f", "pipe", "nothing"):
        assert shell.call("kx_remove", home / name) == silence()
    assert names_in(home) == ["target"]
    kept = shell.kept()
    assert sorted(kept) == [str(home / name) for name in ("dangling", "f", "link")]
    assert (kept[str(home / "f")] / "original").read_text() == "kept"
    assert (kept[str(home / "link")] / "original").readlink().name == "target"


@pytest.mark.parametrize("path", ["/etc", "root/etc", "root"])
def test_top_level_directory_is_not_removed(shell: Shell, home: Path, path: str) -> None:
    (home / "root").symlink_to("/")
    # a harmless stand-in for rm in case the check should fail
    answer = shell.run(f"rm() {{ echo REMOVED; }}; kx_remove '{home / path}/.'")
    assert answer.status == 1
    assert "is not removed" in answer.stderr
    assert answer.stdout == b""
