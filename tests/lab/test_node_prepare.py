"""The main job on real hosts: predicted, applied, confirmed by others, and never twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.lab.conftest import require_laboratory
from tests.lab.image import Suite
from tests.lab.laboratory import Laboratory
from tests.lab.operator import Done, Operator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.lab.host import LabHost

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

CONVERGED_TRIPS = 2
"""Facts, and one reading of everything."""

FIRST_RUN_TRIPS = 4
"""Facts, reading, applying, and once more for the unit that a package brings.

This is the profile's own number on a bare Debian host. It may only go down.
"""


@pytest.fixture(scope="module", params=list(Suite))
def place(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    """The laboratory of all, with three hosts, and one of the next release with a host."""
    if request.param is Suite.BOOKWORM:
        lab: Laboratory = request.getfixturevalue("lab")
        for host in lab.hosts()[:3]:
            host.reset()
        yield lab
        return
    require_laboratory()
    lab = Laboratory.unused(request.param)
    try:
        lab.up(1)
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="module")
def bare(place: Laboratory) -> tuple[LabHost, ...]:
    return place.hosts()[:3]


@pytest.fixture(scope="module")
def operator(
    tmp_path_factory: pytest.TempPathFactory, place: Laboratory, bare: tuple[LabHost, ...]
) -> Operator:
    project: Path = tmp_path_factory.mktemp("project")
    settings = "    node: {timezone: Etc/UTC, time_servers: [198.18.88.1]}\n"
    return Operator.with_hosts(project, place, bare, more=settings)


@pytest.fixture(scope="module")
def predicted(operator: Operator) -> Done:
    return operator.inv("node.prepare", "--check", "--diff", "--output", "json")


@pytest.fixture(scope="module")
def applied(operator: Operator, predicted: Done) -> Done:
    assert predicted.exit_code == 0, predicted.stdout + predicted.stderr
    return operator.inv("node.prepare", "--diff", "--output", "json")


def by_operation(done: Done, host: str) -> Mapping[object, dict[str, object]]:
    return {event["operation"]: event for event in done.of("operation.ended", host)}


def test_check_changes_nothing_and_apply_does_what_it_predicted(
    predicted: Done, applied: Done, bare: tuple[LabHost, ...]
) -> None:
    assert applied.exit_code == 0, applied.stdout + applied.stderr
    for host in bare:
        foreseen, done = by_operation(predicted, host.name), by_operation(applied, host.name)
        assert foreseen.keys() == done.keys()
        assert any(event["changed"] for event in done.values())
        for name, prediction in foreseen.items():
            if "rests_on" in prediction:
                continue
            assert prediction["status"] == done[name]["status"], name
            assert prediction["diff"] == done[name]["diff"], name
        assert any("rests_on" not in event for event in foreseen.values() if event["changed"])


def test_independent_commands_confirm_every_change(
    applied: Done, bare: tuple[LabHost, ...]
) -> None:
    assert applied.exit_code == 0
    for host in bare:
        packages = ("chrony", "conntrack", "socat", "ebtables", "ethtool")
        listed = host.exec("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages)
        assert set(listed.stdout.split("\n")) >= {f"{name} installed" for name in packages}
        hosts = host.exec("cat", "/etc/hosts").stdout
        for other in bare:
            assert hosts.count(f"{other.address} {other.name}\n") == 1
        assert host.exec("hostname").stdout.strip() == host.name
        assert host.exec("cat", "/etc/hostname").stdout.strip() == host.name
        assert host.exec("systemctl", "is-enabled", "chrony").stdout.strip() == "enabled"
        assert host.exec("systemctl", "is-active", "chrony").stdout.strip() == "active"
        modules = host.exec("cat", "/etc/modules-load.d/kubernetes.conf").stdout.split()
        assert {"overlay", "br_netfilter"} <= set(modules)
        sysctl = host.exec("cat", "/etc/sysctl.d/99-kubernetes.conf").stdout
        assert "net.ipv4.ip_forward" in sysctl
        assert host.exec("cat", "/proc/sys/net/ipv4/ip_forward").stdout.strip() == "1"
        limits = host.exec("cat", "/etc/security/limits.d/99-kubernetes.conf").stdout
        assert "* hard nofile 1048576" in limits
        assert host.exec("stat", "-c", "%F %a %U", "/etc/kubernetes").stdout == (
            "directory 755 root\n"
        )
        assert host.exec("id", "-gn", "kube").stdout == "kube-cert\n"
        assert host.exec("date", "+%Z").stdout == "UTC\n"
        sources = host.exec("cat", "/etc/chrony/conf.d/kubernetes.conf").stdout
        assert "server 198.18.88.1 iburst" in sources


def test_the_summary_tells_what_does_not_apply_in_a_container(applied: Done) -> None:
    told = [event.get("notes", []) for event in applied.of("operation.ended")]
    notes = [note for some in cast("list[list[str]]", told) for note in some]
    assert any("container" in note for note in notes)


def unchanged(done: Done) -> None:
    assert done.exit_code == 0, done.stdout + done.stderr
    changed = [event["operation"] for event in done.of("operation.ended") if event["changed"]]
    assert changed == []


def test_a_second_run_changes_nothing_in_two_round_trips(operator: Operator, applied: Done) -> None:
    assert applied.exit_code == 0
    again = operator.inv("node.prepare", "--output", "json")
    unchanged(again)
    assert {event["trips"] for event in again.of("host.ended")} == {CONVERGED_TRIPS}


def test_the_first_run_keeps_to_its_budget_of_round_trips(applied: Done) -> None:
    assert max(int(str(event["trips"])) for event in applied.of("host.ended")) <= FIRST_RUN_TRIPS


def test_after_a_reboot_still_nothing_changes(
    operator: Operator, applied: Done, bare: tuple[LabHost, ...]
) -> None:
    assert applied.exit_code == 0
    for host in bare:
        host.reboot()
    unchanged(operator.inv("node.prepare", "--output", "json"))
    for host in bare:
        assert host.exec("hostname").stdout.strip() == host.name
        assert host.exec("systemctl", "is-active", "chrony").stdout.strip() == "active"


def test_a_service_is_restarted_when_a_file_that_it_reads_has_changed(
    operator: Operator, applied: Done, bare: tuple[LabHost, ...]
) -> None:
    assert applied.exit_code == 0
    host = bare[0]
    before = host.exec("systemctl", "show", "-p", "MainPID", "chrony").stdout
    host.exec("sh", "-c", "sleep 1; echo '# edited' >>/etc/chrony/conf.d/kubernetes.conf")
    done = operator.inv("node.prepare", "--output", "json", "--limit", host.name)
    changed = [event["operation"] for event in done.of("operation.ended") if event["changed"]]
    assert changed == ["file /etc/chrony/conf.d/kubernetes.conf", "service chrony"]
    assert host.exec("systemctl", "show", "-p", "MainPID", "chrony").stdout != before
    unchanged(operator.inv("node.prepare", "--output", "json", "--limit", host.name))


def test_a_person_sees_a_table_and_the_diffs(operator: Operator, applied: Done) -> None:
    assert applied.exit_code == 0
    for line in operator.inv("node.prepare", "--diff").stdout.splitlines():
        if line.startswith("lab1"):
            assert line.split()[1] == "ok"
            break
    else:
        pytest.fail("no row for lab1")
