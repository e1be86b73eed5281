"""What golden transcripts do not show of packages: odd replies, deadlines, words on failure."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import HostError
from kubexm.facts import Facts, PackageManager
from kubexm.runner import overlaps
from kubexm.runner.operations import FileContent, PackagesInstalled, PackagesRemoved
from kubexm.shell import Reply
from kubexm_debian.apt import APT, AptInstalled, AptRemoved

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = ("dash", "bash --posix", "busybox sh", "mksh")
HOST = Facts(package_manager=PackageManager.APT)
each_shell = pytest.mark.parametrize("shell", SHELLS)


def reply(stdout: str, stderr: str = "", exit_status: int = 0) -> Reply:
    return Reply(exit_status=exit_status, stdout=stdout.encode(), stderr=stderr.encode())


def run(shell: str, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script that calls functions of apt.sh under one of the shells."""
    program, *options = shell.split()
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return subprocess.run(
        [path, *options, "-c", f"{APT.text}\n{script}"],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def explanation(shell: str, said: str) -> str:
    """What is made of a failure of apt-get that said this; without touching the machine."""
    script = "touch() { echo touched; }; kx_what=installing; kx_said=$SAID; kx_apt_explain"
    return run(shell, script, SAID=said).stdout


# Debian 12, a status file with a syntax error
DAMAGED = reply(
    "missing versioned-demo\nindex fresh\nversioned-demo:\n  Candidate: 1.1\n",
    "dpkg-query: error: parsing file '/var/lib/dpkg/status' near line 3807 package "
    "'versioned-demo':\n package has status triggers-pending but no triggers pending\n",
)


def test_a_damaged_database_is_an_error_and_no_absence() -> None:
    op = PackagesInstalled(names=frozenset({"versioned-demo"}))
    with pytest.raises(HostError, match=r"dpkg's database: .* near line"):
        AptInstalled().read(op, DAMAGED, HOST)
    gone = PackagesRemoved(names=frozenset({"versioned-demo"}))
    with pytest.raises(HostError, match="cannot read dpkg's database"):
        AptRemoved().read(gone, DAMAGED, HOST)


def test_a_host_without_dpkg_is_an_error() -> None:
    op = PackagesRemoved(names=frozenset({"chrony"}))
    missing = reply("", "sh: 1: dpkg-query: not found\n", 1)
    with pytest.raises(HostError, match="dpkg-query: not found"):
        AptRemoved().read(op, missing, HOST)


# Debian 12
ABSENT = reply(
    "dpkg\tamd64\tok\tinstalled\t1.21.23\t\nmissing socat\nindex fresh\nsocat:\n"
    "  Candidate: 1.7.4.4-2\n"
)


def test_the_transaction_has_the_operations_deadline_and_half_of_it_for_the_lock() -> None:
    handler = AptInstalled()
    op = PackagesInstalled(names=frozenset({"socat"}), deadline_s=61)
    change = handler.change(op, handler.read(op, ABSENT, HOST), HOST)
    assert change is not None
    assert change.script.deadline_s == 61
    assert change.script.text == "kx_apt_install 30 no '' no socat"


def test_the_expected_state_needs_no_other_change() -> None:
    handler = AptInstalled()
    op = PackagesInstalled(names=frozenset({"socat"}))
    change = handler.change(op, handler.read(op, ABSENT, HOST), HOST)
    assert change is not None
    assert handler.change(op, change.after, HOST) is None


def test_any_version_satisfies() -> None:
    handler = AptInstalled()
    op = PackagesInstalled(names=frozenset({"socat"}))
    change = handler.change(op, handler.read(op, ABSENT, HOST), HOST)
    installed = reply(
        "dpkg\tamd64\tok\tinstalled\t1.21.23\t\nsocat\tall\tok\tinstalled\t2.0\t\nmissing\n"
    )
    after = handler.read(op, installed, HOST)
    assert change is not None
    assert after == change.after
    assert handler.change(op, after, HOST) is None


@pytest.mark.parametrize("path", ["/etc/apt/sources.list.d/new.list", "/etc/yum.repos.d/new.repo"])
def test_a_pending_package_source_may_alter_what_is_on_offer(path: str) -> None:
    source = FileContent(path=path, content="")
    assert overlaps(source.alters(), PackagesInstalled(names=frozenset({"socat"})).touches())


def test_other_pending_files_do_not() -> None:
    motd = FileContent(path="/etc/motd", content="")
    assert not overlaps(motd.alters(), PackagesInstalled(names=frozenset({"socat"})).touches())


EXPLAINED = {
    # apt-get 2.2.4, 2.6.2 and 3.0.4
    "E: Unable to locate package nosuch\nE: Unable to locate package conntrack": (
        "kubexm: installing: no package source of this host offers conntrack, nosuch: "
        "check the name, or add the source that has it\n"
    ),
    "Package mail-transport-agent is a virtual package provided by:\n  postfix 3.10.13-0+deb13u1\n"
    "\nE: Package 'mail-transport-agent' has no installation candidate": (
        "kubexm: installing: nothing can be installed by the name of mail-transport-agent: "
        "name a package that provides it, or add the source that has it\n"
    ),
    "E: Failed to fetch http://127.0.0.1:9/debian/dists/bookworm/InRelease  Could not connect\n"
    "E: Some index files failed to download. They have been ignored, or old ones used instead.": (
        "touched\nkubexm: installing: a package source did not answer as it should: "
        "check its address, the network, the proxy\n"
    ),
    # apt-get 2.6.2 on a full file system
    "dpkg: unrecoverable fatal error, aborting:\n unable to flush /var/lib/dpkg/updates/tmp.i "
    "after padding: No space left on device\nE: Sub-process /usr/bin/dpkg returned an error "
    "code (2)": "kubexm: installing: the disk is full: make room on it\n",
    "no luck\ndpkg: error processing package broken-demo (--configure):\n installed broken-demo "
    "package post-installation script subprocess returned error exit status 1\n"
    "E: Sub-process /usr/bin/dpkg returned an error code (1)": (
        "kubexm: installing: broken-demo: its installation fails on this host; "
        "the next run tries again\n"
    ),
    "E: Held packages were changed and -y was used without --allow-change-held-packages.": (
        "kubexm: installing: see above\n"
    ),
}


@each_shell
@pytest.mark.parametrize("said", EXPLAINED, ids=lambda said: said.split(": ")[1][:20])
def test_a_failure_ends_with_what_to_do(shell: str, said: str) -> None:
    assert explanation(shell, said) == EXPLAINED[said]


@each_shell
def test_a_lock_that_stays_names_its_holder(shell: str) -> None:
    script = (
        "sleep() { :; }; kx_apt_holder() { kx_holder='process 7 (apt-get upgrade)'; }; "
        "kx_apt_wait 2"
    )
    done = run(shell, script)
    assert done.returncode == 75
    assert done.stderr == (
        "kubexm: waiting for process 7 (apt-get upgrade), which holds the package lock\n"
        "kubexm: the package lock is still held by process 7 (apt-get upgrade) after 2 s: "
        "let it finish, or end it; nothing was changed\n"
    )


@each_shell
def test_a_lock_that_comes_free_leaves_the_rest_of_the_time(shell: str) -> None:
    script = (
        "n=3; sleep() { n=$((n - 1)); }; kx_apt_holder() { kx_holder=x; [ $n != 0 ]; }; "
        "kx_apt_wait 30 && echo $kx_wait"
    )
    assert run(shell, script).stdout == "27\n"


@each_shell
def test_a_reader_that_goes_away_does_not_cut_a_transaction_short(
    shell: str, tmp_path: Path
) -> None:
    script = (
        'mktemp() { command mktemp -d "$HERE/XXXXXX"; }; '
        "(kx_apt_do installing sh -c 'sleep 0.3; echo out; echo err >&2; echo done >$HERE/done') "
        "2>&1 | true; sleep 0.6; ls $HERE"
    )
    assert run(shell, script, HERE=str(tmp_path)).stdout == "done\n"


@each_shell
def test_what_a_transaction_said_comes_out_on_both_streams(shell: str, tmp_path: Path) -> None:
    script = (
        'mktemp() { command mktemp -d "$HERE/XXXXXX"; }; '
        "kx_apt_do installing sh -c 'echo out; echo err >&2; exit 3'"
    )
    done = run(shell, script, HERE=str(tmp_path))
    assert done.returncode == 3
    assert done.stdout == "out\n"
    assert done.stderr == "err\nkubexm: installing: see above\n"
    assert list(tmp_path.iterdir()) == []


@each_shell
def test_a_transaction_cannot_ask(shell: str, tmp_path: Path) -> None:
    script = (
        'mktemp() { command mktemp -d "$HERE/XXXXXX"; }; '
        "kx_apt_do installing sh -c 'env | grep -E \"DEBIAN|DEBCONF|APT_|UCF|NEEDRESTART\" | sort'"
    )
    assert run(shell, script, HERE=str(tmp_path)).stdout.splitlines() == [
        "APT_LISTBUGS_FRONTEND=none",
        "APT_LISTCHANGES_FRONTEND=none",
        "DEBCONF_NONINTERACTIVE_SEEN=true",
        "DEBIAN_FRONTEND=noninteractive",
        "NEEDRESTART_MODE=l",
        "UCF_FORCE_CONFFOLD=1",
    ]


@each_shell
def test_state_is_read_under_every_shell(shell: str) -> None:
    if shutil.which("dpkg-query") is None:
        pytest.skip("dpkg-query is not installed")
    done = run(shell, "kx_apt_state 'awk dpkg no-such-package dpkg:all no-missing'")
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert [line.split("\t")[0] for line in lines[:-1]].count("dpkg") == 1
    assert lines[-1] == "missing no-such-package dpkg:all no-missing"
