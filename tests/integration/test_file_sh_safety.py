"""What file.sh does when it is killed, attacked, or cannot keep an original."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.integration.shells import (
    NAMES,
    NOBODY,
    Answer,
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


ATTACKS = {
    "exchanged directory": 'mv "$d" "$d.away"; mkdir "$d"; ln -s "$v/f" "$1"',
    "linked directory": 'mv "$d" "$d.away"; ln -s "$v" "$d"',
    "link in the way": 'ln -sfn "$v" "$h/f"',
}


@needs_root
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_owner_of_the_directory_cannot_turn_a_write_elsewhere(
    shell: Shell, home: Path, tmp_path: Path, attack: str
) -> None:
    """The attacker's moves are made by the validation, between the writing and the renaming."""
    home.chmod(0o777)
    victims = tmp_path / "victims"
    victims.mkdir()
    (victims / "f").write_text("precious")
    moves = f"d=${{1%/*}}; v='{victims}'; h='{home}'; {attack}"
    answer = shell.replace(home / "f", b"new", "666", "nobody", "", moves)
    if answer.status == 0:
        assert ((home / "f").read_text(), (home / "f").is_symlink()) == ("new", False)
    else:
        assert answer.stderr
    assert names_in(victims) == ["f"]
    assert (victims / "f").read_text() == "precious"
    assert ((victims / "f").stat().st_uid, mode_of(victims / "f")) == (0, 0o644)


UNSAFE = {
    "of somebody else": "chown nobody a/b",
    "open to a group": "chmod 775 a/b",
    "open to all": "chmod 1777 a/b",
    "below one of somebody else": "chown nobody a",
    "below one that is open to all": "chmod 777 a",
    "below a link": "mv a z; ln -s z a",
}


@needs_root
@pytest.mark.parametrize("made", UNSAFE.values(), ids=UNSAFE.keys())
def test_directory_that_others_reach_is_not_safe(shell: Shell, home: Path, made: str) -> None:
    answer = shell.run(f"cd '{home}'; mkdir -p a/b; {made}; kx_safe '{home}/a/b'; echo $?")
    assert answer == Answer(status=0, stdout=b"1\n", stderr="")


@needs_root
def test_directory_of_ours_is_safe_and_so_is_one_below_tmp(shell: Shell, home: Path) -> None:
    answer = shell.run(
        f"mkdir -p '{home}/a b/c'; chmod 1777 '{home}'; kx_safe '{home}/a b/c' && kx_safe ''"
    )
    assert answer == silence()


@needs_root
def test_an_ordinary_users_own_directory_is_safe_for_her_alone(shell: Shell, public: Path) -> None:
    (public / "hers").mkdir()
    os.chown(public / "hers", NOBODY, NOBODY)
    hers = replace(shell, as_user=NOBODY, path="/usr/bin:/bin")
    assert hers.call("kx_safe", public / "hers") == silence()
    assert shell.call("kx_safe", public / "hers").status == 1


@needs_root
@pytest.mark.parametrize("old", [0o644, 0o666, None], ids=["readable", "writable", "absent"])
@pytest.mark.parametrize("default_acl", ["", "u:nobody:rw,o::r"], ids=["plain", "acl"])
def test_new_content_is_never_open_to_others(
    shell: Shell, home: Path, old: int | None, default_acl: str
) -> None:
    """Looked at by the programs that write it, whenever one of them begins."""
    if default_acl:
        setfacl = shutil.which("setfacl")
        if setfacl is None:
            pytest.skip("setfacl is not installed")
        subprocess.run([setfacl, "-d", "-m", default_acl, str(home)], check=True)
    if old is not None:
        (home / "f").write_text("old")
        (home / "f").chmod(old)
    find = (
        f"find '{home}' -path '{home}/f' -prune -o -type d ! -perm 755 -prune -o"
        " -type f ! -perm 600 -print"
    )
    look = "".join(
        f'{name}() {{ {find}; command {name} "$@"; kx_code=$?; {find}; return "$kx_code"; }};'
        for name in ("dd", "chmod", "cp")
    )
    home.chmod(0o755)
    answer = shell.run(f"{look} kx_replace '{home}/f' 600 '' '' ''", stdin=b"secret")
    assert answer == silence()
    assert (home / "f").read_text() == "secret"
    assert mode_of(home / "f") == 0o600


@needs_root
@pytest.mark.parametrize("trick", ["ln -s {victims} {d}", "mkdir {d} && chown nobody {d}"])
def test_exchanged_staging_directory_is_noticed(
    shell: Shell, home: Path, tmp_path: Path, trick: str
) -> None:
    home.chmod(0o777)
    victims = tmp_path / "victims"
    victims.mkdir()
    (victims / "f").write_text("precious")
    trick = trick.format(victims=victims, d='"$d"')
    answer = shell.run(
        'mktemp() { d=$(command mktemp "$@") && rmdir "$d" && ' + trick + '; echo "$d"; };'
        f"kx_replace '{home}/f' 666 nobody '' ''; echo $?",
        stdin=b"new",
    )
    assert answer.stdout == b"1\n"
    assert "has been replaced by something else" in answer.stderr
    assert not (home / "f").exists()
    assert (names_in(victims), (victims / "f").read_text()) == (["f"], "precious")


@needs_root
def test_exchanged_new_directory_is_noticed(shell: Shell, home: Path, tmp_path: Path) -> None:
    home.chmod(0o777)
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    answer = shell.run(
        f'mkdir() {{ command mkdir "$@" && case $* in *"-- {home}/d") rmdir "{home}/d" &&'
        f' ln -s "{victim}" "{home}/d" ;; esac; }};'
        f"kx_directory '{home}/d' 777 nobody ''; echo $?"
    )
    assert answer.stdout.endswith(b"1\n")
    assert "has been replaced by something else" in answer.stderr
    assert (mode_of(victim), victim.stat().st_uid, names_in(victim)) == (0o700, 0, [])


def test_original_is_kept_exactly_once(shell: Shell, home: Path) -> None:
    (home / "f").write_text("original")
    (home / "f").chmod(0o640)
    os.utime(home / "f", (1, 2))
    for content in (b"first", b"second"):
        assert shell.replace(home / "f", content).status == 0
        assert shell.replace(home / "new", content).status == 0
    kept = shell.kept()
    assert sorted(kept) == [str(home / "f"), str(home / "new")]
    entry = kept[str(home / "f")]
    assert names_in(entry) == ["original", "path"]
    assert (entry / "original").read_text() == "original"
    assert mode_of(entry / "original") == 0o640
    assert (entry / "original").stat().st_mtime == 2
    assert kept[str(home / "new")].name.startswith("absent%2F")
    for directory in (shell.state, shell.state / "originals", entry):
        assert mode_of(directory) == 0o700


def test_nothing_is_touched_when_its_original_cannot_be_kept(shell: Shell, home: Path) -> None:
    (home / "f").write_text("original")
    shell.state.write_text("a file in the way")
    for answer in (
        shell.replace(home / "f", b"new"),
        shell.replace(home / "deep/new", b"new"),
        shell.call("kx_attributes", home / "f", "600", "", ""),
        shell.call("kx_remove", home / "f"),
    ):
        assert answer.status == 1
    assert ((home / "f").read_text(), mode_of(home / "f")) == ("original", 0o644)
    assert names_in(home) == ["f"]


def test_what_a_killed_write_left_is_removed_by_the_next(shell: Shell, home: Path) -> None:
    (home / "f").write_text("old")
    (home / ".f.kubexm-not-ours").write_text("a stranger's")
    with subprocess.Popen(
        [*shell.argv, shell.script(f"kx_replace '{home}/f' 644 '' '' ''")],
        stdin=subprocess.PIPE,
        env=shell.env,
        start_new_session=True,
    ) as writer:
        assert writer.stdin is not None
        writer.stdin.write(b"half of it")
        writer.stdin.flush()
        until = time.monotonic() + 10
        while len(names_in(home)) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        os.killpg(writer.pid, signal.SIGKILL)
    assert len(names_in(home)) == 3
    assert (home / "f").read_text() == "old"
    assert shell.replace(home / "f", b"new").status == 0
    assert names_in(home) == [".f.kubexm-not-ours", "f"]


def test_half_kept_original_is_kept_anew(shell: Shell, home: Path) -> None:
    (home / "f").write_text("original")
    name = quote(str(home / "f"), safe="")
    half = shell.state / f"originals/new{name}-gone.abcdef"
    half.mkdir(parents=True)
    (half / "original").write_text("orig")
    assert shell.replace(home / "f", b"new").status == 0
    assert (shell.kept()[str(home / "f")] / "original").read_text() == "original"
    assert not half.exists()


def test_two_sessions_that_write_one_file_at_once_both_succeed(shell: Shell, home: Path) -> None:
    (home / "f").write_text("original")
    replace = f"kx_replace '{home}/f' 644 '' '' ''"
    writers = []
    for mark in ("one", "two"):
        script = f"kx_mark={mark}.; for n in 1 2 3 4 5; do echo {mark} | {replace} || exit; done"
        argv = [*shell.argv, shell.script(script)]
        env = shell.env | {"KUBEXM_MARK": f"{mark}.0."}
        writers.append(subprocess.Popen(argv, env=env, stderr=subprocess.PIPE))
    said = [writer.communicate(timeout=60)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], said
    assert names_in(home) == ["f"]
    assert (home / "f").read_text() in {"one\n", "two\n"}
    assert (shell.kept()[str(home / "f")] / "original").read_text() == "original"
