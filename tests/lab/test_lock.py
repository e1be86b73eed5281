"""Two operators on one host at once: one works, the other is told by whom it is held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.operator import Operator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

HOLD = '''\
import time

from kubexm.runner import Host
from kubexm.tasks import Fleet, fleet_task, ns


@fleet_task
def hold(fleet: Fleet, sign: str) -> None:
    """Change a host, and think for a while."""

    def work(host: Host) -> None:
        host.files.write("/root/held", "held\\n")
        with open(sign, "w") as file:
            file.write("held")
        time.sleep(100)

    fleet.each(work)


ns.add_task(hold)
'''


def test_the_second_operator_is_told_who_is_at_work_until_the_first_is_killed(
    tmp_path: Path, lab: Laboratory, lab_hosts: tuple[LabHost, ...]
) -> None:
    first = Operator.with_hosts(tmp_path / "first", lab, lab_hosts[:1])
    second = Operator.with_hosts(tmp_path / "second", lab, lab_hosts[:1])
    (first.project / "tasks.py").write_text(HOLD)
    sign = tmp_path / "sign"
    words = [sys.executable, "-m", "invoke", "hold", str(sign)]
    with subprocess.Popen(words, cwd=first.project, stdin=subprocess.DEVNULL) as holder:
        try:
            until = time.monotonic() + 60
            while not sign.exists() and time.monotonic() < until:
                time.sleep(0.05)
            refused = second.inv("node.prepare", "--only", "files")
            assert refused.exit_code == 2
            assert "another kubexm is at work on the machine" in refused.stdout
            assert f"process {holder.pid}, since 20" in refused.stdout
            assert second.inv("node.prepare", "--only", "files", "--check").exit_code == 0
        finally:
            os.kill(holder.pid, signal.SIGKILL)
    admitted = second.inv("node.prepare", "--only", "files")
    assert admitted.exit_code == 0, admitted.stdout + admitted.stderr
