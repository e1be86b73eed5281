"""A run that is killed at any moment goes on to the end that it would have come to."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from kubexm.engine.journal import Journal
from kubexm.runtime import WorkDirectory
from tests.lab.operator import Operator
from tests.lab.site import GROUPS, SECRET, UNIT, start

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

ONCE = [f"once{number}" for number in range(GROUPS)]
_PATIENCE_S = 120
_RESUMES = 10


class Site:
    """Two hosts, and an operator whose process is killed."""

    def __init__(self, project: Path, lab: Laboratory, hosts: tuple[LabHost, ...]) -> None:
        self.operator = Operator.with_hosts(project, lab, hosts, user="root")
        self.hosts = hosts
        self.out = project / "out"
        for host in hosts:
            host.exec("tee", "/etc/systemd/system/kx.service", stdin=UNIT, check=True)
            host.exec("systemctl", "daemon-reload", check=True)

    @property
    def journal(self) -> Journal:
        return Journal(WorkDirectory(path=self.operator.project / ".kubexm" / "default"))

    def reset(self) -> None:
        """As before the first run; the journal stays."""
        script = "systemctl stop kx; rm -rf /etc/kx /var/lib/kx; mkdir /etc/kx /var/lib/kx"
        for host in self.hosts:
            host.exec("sh", "-c", script, check=True)

    def run(self, *, resume: str = "") -> int:
        """Walk the plan to its end."""
        self.out.unlink(missing_ok=True)
        process = start(self.operator.project, self.out, resume=resume)
        process.join(_PATIENCE_S)
        assert process.exitcode is not None, f"it does not end:\n{self.said()}"
        return process.exitcode

    def run_killed(self, lines: int, delay_s: float, *, resume: str = "") -> None:
        """Walk the plan, and be killed so long after so many lines have been told."""
        self.out.unlink(missing_ok=True)
        process = start(self.operator.project, self.out, resume=resume)
        limit = time.monotonic() + _PATIENCE_S
        while process.is_alive() and self.told() < lines:
            assert time.monotonic() < limit, self.said()
            time.sleep(0.002)
        time.sleep(delay_s)
        assert process.pid is not None
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join(_PATIENCE_S)
        self.wait_quiet()

    def said(self) -> str:
        return self.out.read_text("utf-8") if self.out.exists() else ""

    def told(self) -> int:
        return self.said().count("\n")

    def wait_quiet(self) -> None:
        """Until no command of the killed run is at work on any host."""
        limit = time.monotonic() + _PATIENCE_S
        for host in self.hosts:
            # a script that is at work ends by itself, and then its session lets go of the host
            while host.exec("pgrep", "-f", "sshd: root@notty").returncode == 0:
                assert time.monotonic() < limit
                time.sleep(0.05)

    def once(self, host: LabHost) -> list[str]:
        return host.exec("cat", "/var/lib/kx/once").stdout.split()

    def state(self) -> dict[str, str]:
        """Everything that the plan is about, read without kubexm."""
        script = (
            "cd /; for f in etc/kx/* var/lib/kx/*; do stat -c '%n %a' $f; cat $f; done; "
            "cat etc/kx/*.conf | cmp - var/lib/kx/seen && echo the service has seen it all"
        )
        return {host.name: host.exec("sh", "-c", script).stdout for host in self.hosts}


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, lab: Laboratory, lab_hosts: tuple[LabHost, ...]
) -> Site:
    return Site(tmp_path_factory.mktemp("site"), lab, lab_hosts[:2])


@pytest.fixture(scope="module")
def undisturbed(site: Site) -> tuple[dict[str, str], int]:
    """What a run comes to that nobody kills, and how many lines it tells."""
    site.reset()
    assert site.run() == 0, site.said()
    state = site.state()
    for host in site.hosts:
        assert site.once(host) == ONCE
        assert "the service has seen it all" in state[host.name]
    return state, site.told()


def answered(site: Site) -> list[str]:
    """Look at what nobody saw the end of, and say what is there; what that was."""
    with site.journal as journal:
        run = journal.runs()[-1].run
        unknown = journal.past(run).unknown
        for name, step, _ in unknown:
            host = next(host for host in site.hosts if host.name == name)
            journal.answer(run, name, step, is_done=step in site.once(host))
    return [f"{step} on {name}" for name, step, _ in unknown]


def resumed_to_the_end(site: Site) -> list[str]:
    """Resume until nothing is left, without an answer before it is asked for."""
    unknown: list[str] = []
    for _ in range(_RESUMES):
        code = site.run(resume="last")
        if code == 0:
            return unknown
        assert code == 2, site.said()
        found = answered(site)
        assert found, site.said()
        unknown += found
    message = f"it does not come to an end:\n{site.said()}"
    raise AssertionError(message)


def killed_and_resumed(
    site: Site, undisturbed: tuple[dict[str, str], int], *, seed: int, kills: int
) -> list[str]:
    """A run that is killed, resumed, killed again and so on; what was unknown on its way."""
    state, lines = undisturbed
    moment = random.Random(seed)  # noqa: S311 - a moment, not a secret
    site.reset()
    with site.journal as journal:
        known = len(journal.runs())
    unknown: list[str] = []
    for _ in range(kills):
        with site.journal as journal:
            has_begun = len(journal.runs()) > known
        if has_begun:
            unknown += answered(site)
        told = moment.randrange(lines if kills == 1 else lines // (kills - 1))
        resume = "last" if has_begun else ""
        site.run_killed(told, moment.uniform(0, 0.1), resume=resume)
        with site.journal as journal:
            assert journal.faults() == ()
    with site.journal as journal:
        has_begun = len(journal.runs()) > known
    if has_begun:
        unknown += resumed_to_the_end(site)
    else:
        assert site.run() == 0, site.said()
    for host in site.hosts:
        assert site.once(host) == ONCE, f"seed {seed}, unknown were {unknown}"
    assert site.state() == state, f"seed {seed}, unknown were {unknown}"
    with site.journal as journal:
        assert journal.faults() == ()
        last = journal.runs()[-1]
        assert (last.owed, last.is_left) == (0, False)
    return unknown


@pytest.mark.parametrize(("seed", "kills"), [(1, 1), (2, 1), (3, 4), (4, 4)])
def test_a_run_that_is_killed_comes_to_the_same_end_when_it_is_resumed(
    site: Site, undisturbed: tuple[dict[str, str], int], seed: int, kills: int
) -> None:
    killed_and_resumed(site, undisturbed, seed=seed, kills=kills)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_a_hundred_kills_lead_to_the_same_end(
    site: Site, undisturbed: tuple[dict[str, str], int]
) -> None:
    unknown: list[str] = []
    for seed in range(50):
        unknown += killed_and_resumed(site, undisturbed, seed=100 + seed, kills=1)
    for seed in range(10):
        unknown += killed_and_resumed(site, undisturbed, seed=200 + seed, kills=5)
    # the moments are spread well enough to hit commands at work, and to miss most of them
    assert 0 < len(unknown) < 100


def test_no_secret_is_in_what_the_killed_runs_have_left(site: Site) -> None:
    left = [path for path in (site.operator.project / ".kubexm").rglob("*") if path.is_file()]
    assert left
    assert not [path for path in left if SECRET.encode() in path.read_bytes()]
