"""Users, groups, links and the time zone on a real host, confirmed by others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.operator import Operator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = pytest.mark.lab

TASKS = '''\
from kubexm.runner.operations import SymbolicLink, Timezone, UserAccount, UserGroup
from kubexm.tasks import Fleet, fleet_task, ns


@fleet_task
def people(fleet: Fleet, zone: str = "Europe/Berlin") -> None:
    """Groups, users, a link and the time zone."""
    fleet.apply(
        "people",
        UserGroup(name="kube-cert", system=True),
        UserAccount(name="kube", group="kube-cert", system=True, shell="/usr/sbin/nologin"),
        UserAccount(name="ops", groups=frozenset({"kube-cert", "adm"}), create_home=True),
        SymbolicLink(path="/etc/kubernetes/pki", target="ssl"),
        Timezone(name=zone),
    )


ns.add_task(people)
'''


@pytest.fixture
def host(lab_hosts: tuple[LabHost, ...]) -> LabHost:
    lab_hosts[0].reset()
    return lab_hosts[0]


@pytest.fixture
def operator(tmp_path: Path, lab: Laboratory, host: LabHost) -> Operator:
    operator = Operator.with_hosts(tmp_path, lab, (host,))
    (tmp_path / "tasks.py").write_text(TASKS)
    return operator


def test_users_groups_links_and_the_zone_are_as_predicted_and_stay_so(
    operator: Operator, host: LabHost
) -> None:
    predicted = operator.inv("people", "--check", "--diff", "--output", "json")
    applied = operator.inv("people", "--diff", "--output", "json")
    assert applied.exit_code == 0, applied.stdout
    for foreseen, done in zip(
        predicted.of("operation.ended"), applied.of("operation.ended"), strict=True
    ):
        if "rests_on" not in foreseen:
            assert foreseen["diff"] == done["diff"]
        assert foreseen["status"] == done["status"] == "changed"

    kube = host.exec("getent", "passwd", "kube").stdout.strip().split(":")
    assert kube[-1] == "/usr/sbin/nologin"
    assert int(kube[2]) < 1000
    assert host.exec("id", "-gn", "kube").stdout == "kube-cert\n"
    assert set(host.exec("id", "-Gn", "ops").stdout.split()) == {"ops", "kube-cert", "adm"}
    assert host.exec("stat", "-c", "%U", "/home/ops").stdout == "ops\n"
    assert host.exec("readlink", "/etc/kubernetes/pki").stdout == "ssl\n"
    assert host.exec("date", "+%Z", "-d", "2026-01-15").stdout == "CET\n"

    again = operator.inv("people", "--output", "json")
    assert [event["changed"] for event in again.of("operation.ended")] == [False] * 5
    host.reboot()
    assert operator.inv("people", "--check", "--detailed-exitcode").exit_code == 0


def test_a_user_is_changed_where_it_differs_and_keeps_its_other_groups(
    operator: Operator, host: LabHost
) -> None:
    host.exec("groupadd", "kube-cert", check=True)
    host.exec("groupadd", "extra", check=True)
    host.exec("useradd", "-G", "extra", "-s", "/bin/sh", "kube", check=True)
    done = operator.inv("people")
    assert done.exit_code == 0, done.stdout
    assert "extra" in host.exec("id", "-Gn", "kube").stdout.split()
    assert host.exec("id", "-gn", "kube").stdout == "kube-cert\n"
    assert host.exec("getent", "passwd", "kube").stdout.strip().endswith("/usr/sbin/nologin")


def test_a_zone_that_does_not_exist_is_told_with_the_way_out(operator: Operator) -> None:
    done = operator.inv("people", "--zone", "Europe/Berlim")
    assert done.exit_code == 2
    assert "no time zone Europe/Berlim" in done.stdout
    assert "tzdata" in done.stdout
