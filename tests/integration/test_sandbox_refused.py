"""Where there can be no sandbox, the error says why and what to do instead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import ConnectError
from kubexm.shell import quote
from tests.integration.sandboxes import opened, require_sandbox, sandbox
from tests.integration.untouched import differences, machine
from tests.tasks import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

CONNECTING = """\
import os, sys
from kubexm.connector import Endpoint
from kubexm.connector.sandbox import plugin
from kubexm.errors import ConnectError

os.setuid(int(sys.argv[2]))
connector = plugin(Endpoint(name="node", options={"directory": sys.argv[1]}))
try:
    connector.connect()
except ConnectError as error:
    print(error, "|", error.hint)
connector.close()
"""


@pytest.fixture(scope="module", autouse=True)
def possible() -> None:
    require_sandbox()


def test_without_root_the_error_says_what_to_do_instead(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONNECTING, str(tmp_path), "65534"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    message, _, hint = done.stdout.partition(" | ")
    assert message.startswith("only root on Linux can make a sandbox"), done.stderr
    assert "sudo" in hint
    assert "ha.example.yaml" in hint


def test_root_in_a_container_gets_an_error_with_a_way_out(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is missing: install util-linux")
    limited = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all"]
    done = subprocess.run(
        [*limited, sys.executable, "-c", CONNECTING, str(tmp_path), "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stdout.startswith("no namespaces"), done.stderr
    assert "reach by ssh" in done.stdout


def test_an_overlay_as_root_file_system_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("unshare is missing: install util-linux")
    for name in ("upper", "work", "root"):
        (tmp_path / name).mkdir()
    layers = "lowerdir=/,upperdir=upper,workdir=work"
    script = (
        f"mount -t overlay -o {layers} none root && mount --rbind /proc root/proc && "
        "mount --rbind /dev root/dev && "
        f'mount --bind {quote(str(ROOT))} root{quote(str(ROOT))} && exec chroot root "$@"'
    )
    around = ["unshare", "--mount", "sh", "-c", script, "sh"]
    inside = ["sh", "-c", f'cd {quote(str(ROOT))} && exec "$@"', "sh"]
    done = subprocess.run(
        [*around, *inside, sys.executable, "-c", CONNECTING, "/root/base", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "root file system is an overlay" in done.stdout, done.stderr
    assert "reach by ssh" in done.stdout


def test_a_directory_that_cannot_hold_changes_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    with pytest.raises(ConnectError, match="Not a directory") as caught:
        sandbox(place).connect()
    assert "`directory`" in caught.value.hint


def test_a_file_system_that_cannot_carry_changes_is_an_error_with_a_way_out(
    tmp_path: Path,
) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("unshare is missing: install util-linux")
    for name in ("lower", "upper", "work", "kept"):
        (tmp_path / name).mkdir()
    mount = "mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none kept"
    script = f'{mount} && cd {quote(str(ROOT))} && exec "$@"'
    around = ["unshare", "--mount", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*around, sys.executable, "-c", CONNECTING, str(tmp_path / "kept"), "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stdout.startswith("no overlay can be mounted over /"), done.stderr
    assert "`directory`" in done.stdout


def test_a_sandbox_that_is_in_use_says_by_whom(tmp_path: Path) -> None:
    with opened(tmp_path):
        connector = sandbox(tmp_path, timeout_s=0.3)
        with pytest.raises(ConnectError, match=f"process {os.getpid()} is at work") as caught:
            connector.connect()
        assert "let it finish" in caught.value.hint
        assert not connector.is_connected()


def test_a_link_left_in_a_sandbox_does_not_lead_a_mount_out_of_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    before = machine()
    with opened(tmp_path / "base"):
        pass
    (tmp_path / "base" / "node" / "root" / "upper" / "dev").symlink_to(victim)
    connector = sandbox(tmp_path / "base")
    with pytest.raises(ConnectError, match="behind a link") as caught:
        connector.connect()
    assert "start anew" in caught.value.hint
    assert list(victim.iterdir()) == []
    assert differences(before, machine()) == []
