"""What golden transcripts do not show of services: odd replies, a start that is seen through."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import HostError, UnmetError
from kubexm.facts import Facts, Init, Machine
from kubexm.runner import overlaps
from kubexm.runner.operations import FileContent, Service
from kubexm.shell import Reply
from kubexm_linux.systemd import SYSTEMD, Running, SystemdServices, UnitState

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = ("dash", "bash --posix", "busybox sh", "mksh")
LIVE = Facts(init=Init.SYSTEMD)
each_shell = pytest.mark.parametrize("shell", SHELLS)

# Debian 12
CRON = {
    "Type": "simple",
    "RemainAfterExit": "no",
    "Id": "cron.service",
    "LoadState": "loaded",
    "ActiveState": "active",
    "UnitFileState": "enabled",
    "NeedDaemonReload": "no",
    "LoadError": "",
    "PulledIn": "yes",
}


def reply(properties: dict[str, str]) -> Reply:
    text = "".join(f"{name}={value}\n" for name, value in properties.items())
    return Reply(exit_status=0, stdout=text.encode())


def state(op: Service, **differences: str) -> UnitState:
    return SystemdServices().read(op, reply({**CRON, **differences}), LIVE)


def steps(op: Service, **differences: str) -> list[str]:
    """What would be done to cron, if it were so."""
    change = SystemdServices().change(op, state(op, **differences), LIVE)
    return [] if change is None else change.script.text.split()[2:]


def test_what_is_left_open_is_left_alone() -> None:
    op = Service(name="cron", enabled=None, running=None)
    assert steps(op, UnitFileState="disabled", ActiveState="inactive") == []


def test_a_reload_comes_first_and_only_when_it_is_needed() -> None:
    op = Service(name="cron")
    changed = {"NeedDaemonReload": "yes"}
    assert steps(op, **changed) == ["reload"]
    assert steps(op, **changed, ActiveState="failed") == ["reload", "start"]
    assert steps(op, ActiveState="failed") == ["start"]


def test_a_unit_that_old_versions_do_not_see_is_reloaded() -> None:
    op = Service(name="cron")
    unseen = {"LoadState": "not-found", "UnitFileState": "", "ActiveState": "inactive"}
    assert steps(op, **unseen, PulledIn="", OnDisk="yes") == ["reload", "enable", "start"]


@pytest.mark.parametrize("active", ["reloading", "refreshing"])
def test_a_service_that_reads_its_settings_anew_is_running(active: str) -> None:
    assert state(Service(name="cron"), ActiveState=active).running is Running.YES


@pytest.mark.parametrize("active", ["activating", "deactivating", "maintenance"])
def test_a_service_between_states_is_neither_running_nor_stopped(active: str) -> None:
    assert steps(Service(name="cron", running=True), ActiveState=active) == ["start"]
    assert steps(Service(name="cron", running=False), ActiveState=active) == ["stop"]


@pytest.mark.parametrize("word", ["enabled-runtime", "linked", "linked-runtime", "disabled", "bad"])
def test_only_what_lasts_counts_as_enabled(word: str) -> None:
    assert not state(Service(name="cron"), UnitFileState=word).enabled


def test_a_script_of_sysvinit_is_enabled_by_what_its_generator_links() -> None:
    op = Service(name="cron")
    assert steps(op, UnitFileState="generated") == []
    assert steps(op, UnitFileState="generated", PulledIn="") == ["enable"]


def test_a_unit_whose_file_is_gone_is_still_stopped() -> None:
    op = Service(name="cron", enabled=False, running=False)
    gone = {"LoadState": "not-found", "UnitFileState": ""}
    assert not state(op, **gone).exists
    assert steps(op, **gone) == ["stop"]


def test_a_missing_unit_is_assumed_to_come_disabled_and_stopped() -> None:
    op = Service(name="cron")
    with pytest.raises(UnmetError, match="there is no such unit") as caught:
        state(op, LoadState="not-found", UnitFileState="", ActiveState="inactive")
    assumed = caught.value.assumed
    assert isinstance(assumed, UnitState)
    change = SystemdServices().change(op, assumed, LIVE)
    assert change is not None
    assert change.diff == (
        "--- cron.service\n+++ cron.service\n"
        "-enabled: no\n+enabled: yes\n-running: no\n+running: yes\n"
    )


def test_a_bad_unit_is_an_error_until_its_file_changes() -> None:
    op = Service(name="cron", enabled=None)
    # Debian 11 and 13
    bad = {
        "LoadState": "bad-setting",
        "ActiveState": "inactive",
        "LoadError": 'org.freedesktop.systemd1.BadUnitSetting "Unit cron.service has a bad unit '
        'file setting."',
    }
    with pytest.raises(HostError, match=r"Unit cron\.service has a bad unit file"):
        state(op, **bad)
    assert steps(op, **bad, NeedDaemonReload="yes") == ["reload", "start"]


def test_no_answer_is_an_error_and_no_stopped_service() -> None:
    said = b"Failed to connect to bus: No such file or directory\n"
    with pytest.raises(HostError, match=r"state of cron\.service: Failed to connect"):
        SystemdServices().read(Service(name="cron"), Reply(exit_status=1, stderr=said), LIVE)


def test_a_running_service_is_restarted_when_it_is_behind_its_files() -> None:
    op = Service(name="cron", restarted_after=("/etc/crontab",))
    assert steps(op) == []
    assert steps(op, Behind="yes") == ["restart"]
    assert steps(op, Behind="yes", NeedDaemonReload="yes") == ["reload", "restart"]
    assert steps(op, ActiveState="failed") == ["start"]
    off = Service(name="cron", running=False, restarted_after=("/etc/crontab",))
    assert steps(off, Behind="yes") == ["stop"]


def test_a_pending_file_that_a_service_reads_may_restart_it() -> None:
    settings = FileContent(path="/etc/crontab", content="")
    assert not overlaps(settings.alters(), Service(name="cron").touches())
    op = Service(name="cron", restarted_after=("/etc/crontab",))
    assert overlaps(settings.alters(), op.touches())


def test_a_masked_unit_that_runs_is_left_running() -> None:
    op = Service(name="cron", enabled=None)
    assert steps(op, LoadState="masked", UnitFileState="masked", Type="") == []


def test_an_image_needs_only_systemctl() -> None:
    handler = SystemdServices()
    assert handler.supports(Facts(machine=Machine.IMAGE, init=Init.NONE, systemd_offline=True))
    assert not handler.supports(Facts(machine=Machine.IMAGE, init=Init.NONE, systemd_offline=False))


def test_a_container_without_systemd_is_not_supported() -> None:
    facts = Facts(machine=Machine.CONTAINER, init=Init.NONE, systemd_offline=True)
    assert not SystemdServices().supports(facts)


@pytest.mark.parametrize("place", ["/etc/systemd/system", "/usr/lib/systemd/system", "/etc/init.d"])
def test_a_pending_unit_file_may_bring_the_service(place: str) -> None:
    unit = FileContent(path=f"{place}/mine.service", content="")
    assert overlaps(unit.alters(), Service(name="mine").touches())


SYSTEMCTL = """
show() { printf '%s\\n' "ActiveState=$active" "Type=$kind" "NRestarts=$restarts" SubState=sub \
  Result=exit-code ExecMainStatus=3; }
systemctl() {
  case $* in
  *' show '*) show | grep "^$4=" ;;
  reset-failed*) return 1 ;;
  *) echo "systemctl $*" ;;
  esac
}
journalctl() { case $* in *-u*) echo "$journal" ;; esac; }
sleep() { echo "sleep $1"; eval "$meanwhile"; }
active=active kind=simple restarts=0 meanwhile= journal='it said this'
"""
"""A systemd that is as the variables say; `meanwhile` happens while somebody sleeps."""


def run(shell: str, script: str) -> subprocess.CompletedProcess[str]:
    """Call functions of systemd.sh under such a systemd."""
    program, *options = shell.split()
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return subprocess.run(
        [path, *options, "-c", f"{SYSTEMD.text}{SYSTEMCTL}{script}"],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "Asia/Kolkata"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def start(shell: str, script: str) -> subprocess.CompletedProcess[str]:
    return run(shell, f"{script}\nkx_unit_start one.service")


@each_shell
@pytest.mark.parametrize("kind", ["simple", "exec", "idle"])
def test_a_simple_service_is_watched_for_a_second(shell: str, kind: str) -> None:
    done = start(shell, f"kind={kind}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "systemctl --no-ask-password start -- one.service\nsleep 1\n"


@each_shell
@pytest.mark.parametrize("kind", ["notify", "notify-reload", "forking", "oneshot", "dbus", ""])
def test_a_service_that_says_when_it_is_ready_is_not_waited_for(shell: str, kind: str) -> None:
    done = start(shell, f"kind='{kind}'")
    assert done.returncode == 0, done.stderr
    assert "sleep" not in done.stdout


@each_shell
@pytest.mark.parametrize(
    ("meanwhile", "verdict"),
    [
        ("active=failed", "failed (sub), result exit-code, exit status 3"),
        ("active=activating", "activating (sub), result exit-code, exit status 3"),
        ("restarts=1", "active (sub), result exit-code, exit status 3"),
    ],
)
def test_a_service_that_dies_meanwhile_is_a_failure(
    shell: str, meanwhile: str, verdict: str
) -> None:
    done = start(shell, f"meanwhile={meanwhile}")
    assert done.returncode == 1
    assert done.stderr == f"it said this\nkubexm: one.service did not stay up: {verdict}\n"


# what the journal said under these versions of systemd
SKIPPED = {
    "247": "Condition check resulted in one.service being skipped.",
    "252": "one.service was skipped because of an unmet condition check (ConditionPathExists=/no).",
    "257": "one.service skipped, unmet condition check ConditionPathExists=/no",
}


@each_shell
@pytest.mark.parametrize("version", SKIPPED)
def test_a_condition_that_is_not_met_is_told_apart(shell: str, version: str) -> None:
    journal = f"Nov 21 09:36:48 vm systemd[1]: {SKIPPED[version]}"
    done = start(shell, f"active=inactive journal='{journal}'")
    assert done.returncode == 1
    assert done.stderr == (
        f"{journal}\nkubexm: one.service was not started: "
        "a condition in its unit file is not met on this host\n"
    )


PRECISE = """
systemctl() {
  case $* in
  *timestamp=us*) echo 'Sat 2026-11-21 10:09:55.500000 UTC' ;;
  *is-active*) return 0 ;;
  esac
}
"""
OLDER = """
systemctl() {
  case $* in
  *timestamp=us*) return 1 ;;
  *show*) echo "InactiveExitTimestamp=$(date -d @1795255795 '+%a %F %T %Z')" ;;
  *is-active*) return 0 ;;
  esac
}
"""
"""systemctl before 248; its times are those of the time zone, whose name may mean several."""


@each_shell
@pytest.mark.parametrize("systemd", [PRECISE, OLDER], ids=["248", "247"])
def test_a_service_is_behind_a_file_that_is_younger_than_its_start(
    shell: str, systemd: str, tmp_path: Path
) -> None:
    for name, changed_at in (("old", 1795255795), ("new", 1795255796)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (changed_at, changed_at))
    script = f"{systemd}cd {tmp_path}; kx_unit_behind one.service"
    assert run(shell, f"{script} old nosuch").stdout == ""
    assert run(shell, f"{script} old nosuch new").stdout == "Behind=yes\n"
    stopped = f"{systemd.replace('is-active*) return 0', 'is-active*) return 3')}"
    assert run(shell, f"{stopped}cd {tmp_path}; kx_unit_behind one.service new").stdout == ""
