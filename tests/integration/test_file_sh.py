"""How file.sh replaces files, under every shell, with GNU's tools and with busybox's."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.integration.shells import (
    NAMES,
    NOBODY,
    UNKNOWN,
    Shell,
    applets,
    make_shell,
    mode_of,
    names_in,
    needs_root,
    silence,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

ODD_NAMES = (
    "with space", "-dash", "quo'te", 'dou"ble', "back\\slash", "*glob?[a]", "$HOME", "`id`",
    "ünïcode", "n" * 250, "semi;colon&", ".hidden", "#hash", "tab\there", "~", "%s",
)  # fmt: skip


@pytest.fixture(params=NAMES)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    return make_shell(request.param, tmp_path)


@pytest.fixture(params=[0o755, 0o1777], ids=["ours", "shared"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory where only we may write, and one where we must expect others."""
    path = tmp_path / "home"
    path.mkdir()
    path.chmod(request.param)
    return path


def test_content_arrives_byte_for_byte(shell: Shell, home: Path) -> None:
    content = os.urandom(300_000) + b"\0\n\r\n"
    for data in (content, b"", b"no newline"):
        assert shell.replace(home / "a/b/f", data, "640").status == 0
        assert (home / "a/b/f").read_bytes() == data
    assert mode_of(home / "a/b/f") == 0o640
    assert mode_of(home / "a") == mode_of(home / "a/b") == 0o755
    assert names_in(home / "a/b") == ["f"]


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: name[:12])
def test_odd_names_are_just_names(shell: Shell, home: Path, name: str) -> None:
    bystander = home / ".*glob.kubexm-abcdef"
    bystander.write_text("left alone")
    path = home / name
    for content in (b"one", b"two"):
        assert shell.replace(path, content) == silence()
        assert path.read_bytes() == content
    assert shell.call("kx_attributes", path, "600", "", "").status == 0
    assert mode_of(path) == 0o600
    assert str(path) in shell.kept()
    assert shell.call("kx_remove", path).status == 0
    assert names_in(home) == [bystander.name]


def test_mode_with_setuid_survives_a_new_content(shell: Shell, home: Path) -> None:
    (home / "f").write_text("old")
    (home / "f").chmod(0o4755)
    assert shell.replace(home / "f", b"new", "4755").status == 0
    assert mode_of(home / "f") == 0o4755


@needs_root
def test_setuid_survives_a_change_of_owner(shell: Shell, home: Path) -> None:
    (home / "f").write_text("x")
    assert shell.call("kx_attributes", home / "f", "6755", "nobody", str(UNKNOWN)).status == 0
    assert mode_of(home / "f") == 0o6755
    assert ((home / "f").stat().st_uid, (home / "f").stat().st_gid) == (NOBODY, UNKNOWN)
    assert shell.replace(home / "f", b"new", "6755", "root").status == 0
    assert mode_of(home / "f") == 0o6755
    assert ((home / "f").stat().st_uid, (home / "f").stat().st_gid) == (0, UNKNOWN)


@needs_root
def test_file_capability_survives_what_changes_only_the_mode(shell: Shell, home: Path) -> None:
    (home / "f").write_text("x")
    setcap = shutil.which("setcap", path="/usr/sbin:/sbin")
    if setcap is None:
        pytest.skip("setcap is not installed")
    subprocess.run([setcap, "cap_net_raw+ep", str(home / "f")], check=True)
    assert shell.call("kx_attributes", home / "f", "750", "root", "0").status == 0
    assert "security.capability" in os.listxattr(home / "f")
    assert shell.replace(home / "f", b"other content", "750", "root").status == 0
    assert "security.capability" not in os.listxattr(home / "f")


def test_directory_in_the_way_is_an_error(shell: Shell, home: Path) -> None:
    (home / "d").mkdir()
    os.mkfifo(home / "pipe")
    (home / "to-dir").symlink_to("d")
    for name in ("d", "pipe", "to-dir"):
        answer = shell.replace(home / name, b"x")
        assert (answer.status, "not a regular file" in answer.stderr) == (1, True)
    assert names_in(home) == ["d", "pipe", "to-dir"]
    assert names_in(home / "d") == []


def test_file_where_a_directory_should_be_is_an_error(shell: Shell, home: Path) -> None:
    (home / "f").write_text("x")
    assert shell.replace(home / "f/below", b"x").status != 0
    assert shell.call("kx_directory", home / "f", "755", "", "").status != 0
    assert (home / "f").read_text() == "x"
    assert shell.kept() == {}


def test_link_is_followed_and_stays(shell: Shell, home: Path) -> None:
    (home / "real").write_text("old")
    (home / "near").symlink_to("real")
    (home / "far").symlink_to(home / "near")
    assert shell.replace(home / "far", b"new").status == 0
    assert (home / "real").read_text() == "new"
    assert (home / "near").is_symlink()
    assert (home / "far").is_symlink()
    assert shell.call("kx_content_state", home / "far", 9).stdout.endswith(b"\nnew")


@pytest.mark.parametrize("target", ["nothing", "no/parent", "loop"])
def test_link_that_leads_nowhere_is_left_alone(shell: Shell, home: Path, target: str) -> None:
    (home / "loop").symlink_to(target)
    assert shell.call("kx_content_state", home / "loop", 9).stdout == b"dangling\n"
    for answer in (
        shell.replace(home / "loop", b"x"),
        shell.call("kx_attributes", home / "loop", "600", "", ""),
        shell.call("kx_directory", home / "loop", "700", "", ""),
    ):
        assert (answer.status, "leads nowhere" in answer.stderr) == (1, True)
    assert names_in(home) == ["loop"]


def test_refused_content_leaves_everything_as_it_was(shell: Shell, home: Path) -> None:
    (home / "f").write_text("old")
    check = 'cat -- "$1" && ! grep -q bad -- "$1"'
    answer = shell.replace(home / "f", b"bad", "600", "", "", check)
    assert (answer.status, answer.stdout) == (1, b"bad")
    assert "did not pass its validation" in answer.stderr
    assert ((home / "f").read_text(), mode_of(home / "f")) == ("old", 0o644)
    assert names_in(home) == ["f"]
    assert shell.kept() == {}
    assert shell.replace(home / "f", b"good", "600", "", "", f"{check}; exit").status == 0
    assert (home / "f").read_text() == "good"


def test_validation_sees_a_file_that_only_its_owner_can_read(shell: Shell, home: Path) -> None:
    (home / "f").write_text("old")
    answer = shell.replace(home / "f", b"secret", "644", "", "", 'stat -c %a -- "$1"')
    assert answer.stdout == b"600\n"


def test_validation_sees_the_file_under_its_own_name(shell: Shell, home: Path) -> None:
    check = 'pwd; echo "${1##*/}"; cat'
    answer = shell.replace(home / "a.service", b"x", "644", "", "", check)
    assert answer.stdout == b"/\na.service\n"


def test_extended_attributes_and_access_list_are_kept(
    shell: Shell, home: Path, tmp_path: Path
) -> None:
    tools = ("setfattr", "getfattr", "setfacl", "getfacl")
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    file = home / "f"
    file.write_text("old")
    try:
        os.setxattr(file, "user.note", b'with "quotes" \0 and more')
    except OSError as error:
        pytest.skip(f"no extended attributes on {tmp_path}: {error}")
    listed = subprocess.run(["setfacl", "-m", "u:nobody:rw", str(file)], check=False)
    if listed.returncode != 0:
        pytest.skip(f"no access lists on {tmp_path}")
    before = access_list(file)
    if shell.name == "busybox":
        # as on Alpine with the packages acl and attr
        shell = replace(shell, path=applets(tmp_path / "alpine", *tools))
    answer = shell.call(
        "kx_replace", file, f"{mode_of(file):o}", "", "", 'getfacl -pE -- "$1"', stdin=b"new"
    )
    assert (answer.status, answer.stderr) == (0, "")
    assert b"user:nobody:rw-" in answer.stdout
    assert b"mask::---" in answer.stdout
    assert (file.read_text(), access_list(file)) == ("new", before)
    assert os.getxattr(file, "user.note") == b'with "quotes" \0 and more'


def access_list(path: Path) -> str:
    return subprocess.run(
        ["getfacl", "-pn", str(path)], capture_output=True, text=True, check=True
    ).stdout
