"""file.sh on file systems that are full, read-only, noexec or mounted over one file.

Everything is mounted in a mount namespace of the shell's own, which ends with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.integration.shells import NAMES, Shell, make_shell, open_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

UNSHARE = ("unshare", "--mount", "--propagation", "private", "--")
NOBODY = 65_534


def obstacle() -> str:
    """What keeps this machine from mounting anything; empty when nothing does."""
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    done = subprocess.run(
        [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip()


@pytest.fixture(scope="module")
def prefix() -> tuple[str, ...]:
    if said := obstacle():
        pytest.skip(f"a mount namespace is needed: {said}")
    return UNSHARE


@pytest.fixture(params=NAMES)
def shell(request: pytest.FixtureRequest, tmp_path: Path, prefix: tuple[str, ...]) -> Shell:
    return replace(make_shell(request.param, tmp_path), prefix=prefix)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = tmp_path / "volume"
    path.mkdir()
    return path


@pytest.fixture
def public() -> Iterator[Path]:
    yield from open_directory()


def test_full_disk_leaves_the_old_content_and_nothing_else(shell: Shell, volume: Path) -> None:
    answer = shell.run(
        f"mount -t tmpfs -o size=64k tmpfs '{volume}'; cd '{volume}'; echo old >f;"
        f"kx_replace '{volume}/f' 600 '' '' ''; echo $?; ls -A; cat f; stat -c %a f",
        stdin=b"x" * 1_000_000,
    )
    assert answer.stdout == b"1\nf\nold\n644\n"
    assert "No space left on device" in answer.stderr
    assert not list(shell.state.glob("originals/*"))


def test_full_disk_for_originals_leaves_the_file_alone(shell: Shell, volume: Path) -> None:
    (volume / "f").write_bytes(b"x" * 200_000)
    shell.state.mkdir()
    answer = shell.run(
        f"mount -t tmpfs -o size=64k tmpfs '{shell.state}';"
        f"kx_replace '{volume}/f' 600 '' '' ''; echo $?; ls -A '{shell.state}/originals'",
        stdin=b"new",
    )
    assert answer.stdout == b"1\n"
    assert "could not be kept" in answer.stderr
    assert (volume / "f").read_bytes() == b"x" * 200_000
    assert [path.name for path in volume.iterdir()] == ["f"]


def test_read_only_file_system_is_an_error(shell: Shell, volume: Path) -> None:
    answer = shell.run(
        f"mount -t tmpfs tmpfs '{volume}'; echo old >'{volume}/f';"
        f"mount -o remount,ro '{volume}'; for f in f new d/new; do"
        f" kx_replace '{volume}/'$f 600 '' '' ''; echo $?; done; ls -A '{volume}'",
        stdin=b"x",
    )
    assert answer.stdout == b"1\n1\n1\nf\n"
    assert answer.stderr.count("Read-only file system") == 3


def test_directory_without_leave_to_write_is_an_error(shell: Shell, public: Path) -> None:
    (public / "f").write_text("old")
    (public / "f").chmod(0o666)
    stranger = replace(
        shell, prefix=(), as_user=NOBODY, path="/usr/bin:/bin", state=public / "state"
    )
    stranger.state.mkdir()
    os.chown(stranger.state, NOBODY, NOBODY)
    answer = stranger.replace(public / "f", b"new")
    assert answer.status == 1
    assert "Permission denied" in answer.stderr
    assert (public / "f").read_text() == "old"
    assert not list(stranger.state.glob("originals/*"))


def test_noexec_does_not_matter(shell: Shell, volume: Path) -> None:
    answer = shell.run(
        f"mount -t tmpfs -o noexec tmpfs '{volume}';"
        f"kx_replace '{volume}/f' 755 '' '' 'test -s \"$1\"' && cat '{volume}/f'",
        stdin=b"#!/bin/sh\n",
    )
    assert (answer.stdout, answer.stderr) == (b"#!/bin/sh\n", "")


def test_file_that_is_a_mount_point_is_written_in_place(shell: Shell, volume: Path) -> None:
    """As /etc/hosts, /etc/hostname and /etc/resolv.conf are in a container."""
    (volume / "outside").write_text("old, and longer than the new one")
    (volume / "with space").touch()
    path = volume / "with space"
    answer = shell.run(
        f"mount --bind '{volume}/outside' '{path}' && kx_replace '{path}' 600 '' '' '' &&"
        f" cat '{path}' && ls -A '{volume}'",
        stdin=b"new\n",
    )
    assert (answer.stdout, answer.stderr) == (b"new\noutside\nwith space\n", "")
    assert (volume / "outside").read_text() == "new\n"
    assert (volume / "outside").stat().st_mode & 0o777 == 0o600
    (kept,) = shell.state.glob("originals/*/original")
    assert kept.read_text() == "old, and longer than the new one"


@pytest.mark.parametrize("where", ["d", "d/deep er", "d/f"])
def test_what_has_a_mount_below_is_not_removed(shell: Shell, volume: Path, where: str) -> None:
    (volume / "d/deep er").mkdir(parents=True)
    (volume / "d/f").touch()
    (volume / "dd").mkdir()
    source = volume / ("d/f" if where == "d/f" else "dd")
    answer = shell.run(
        f"mount --bind '{source}' '{volume}/{where}'; kx_remove '{volume}/d'; echo $?;"
        f"kx_remove '{volume}/dd'; echo $?"
    )
    assert answer.stdout == b"1\n0\n"
    assert "something is mounted at" in answer.stderr
    assert (volume / "d/f").exists()
    assert not (volume / "dd").exists()
