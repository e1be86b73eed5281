"""What an operator sees when something is wrong: the place, the way out, the exit code.

The other hosts' work is done all the same, and no secret is shown.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.lab.image import PASSWORD
from tests.lab.operator import Done, Operator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.host import LabHost
    from tests.lab.laboratory import Laboratory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

PING = ("hosts.ping",)
PREPARE = ("node.prepare", "--check", "--only", "names")


@pytest.fixture
def operator(tmp_path: Path, lab: Laboratory, lab_hosts: tuple[LabHost, ...]) -> Operator:
    return Operator.with_hosts(tmp_path, lab, lab_hosts)


def edit(operator: Operator, old: str, new: str) -> None:
    text = operator.inventory.read_text()
    assert old in text
    operator.inventory.write_text(text.replace(old, new))


def statuses(done: Done) -> dict[str, str]:
    """Host to status, from the table that a person sees."""
    rows = [line.split() for line in done.stdout.splitlines()]
    named = [row for row in rows if len(row) > 2 and row[0].startswith("lab")]
    return {row[0]: row[1] for row in named if not row[0].endswith(":")}


def clean(done: Done) -> None:
    assert "Traceback" not in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_a_wrong_sudo_password_is_told_at_once_and_the_others_are_done(
    operator: Operator,
) -> None:
    edit(operator, "lab2: {", "lab2: {kubexm_become_password: not-it, ")
    done = operator.inv(*PREPARE)
    clean(done)
    assert done.exit_code == 2
    assert statuses(done)["lab2"] == "failed"
    assert statuses(done)["lab1"] == statuses(done)["lab3"] != "failed"
    assert "lab2: sudo did not accept the password" in done.stdout
    assert "become_password" in done.stdout
    assert "not-it" not in done.stdout + done.stderr


def test_no_sudo_password_is_told_with_the_flag_that_asks_for_one(operator: Operator) -> None:
    text = operator.inventory.read_text()
    kept = [line for line in text.splitlines() if "become_password" not in line]
    operator.inventory.write_text("\n".join(kept))
    done = operator.inv(*PREPARE)
    clean(done)
    assert done.exit_code == 2
    assert set(statuses(done).values()) == {"failed"}
    assert "sudo asks for a password and none was given" in done.stdout
    assert "--ask-become-pass" in done.stdout


def test_a_user_who_may_not_use_sudo_is_told_so(operator: Operator) -> None:
    edit(operator, "kubexm_user: asks", "kubexm_user: plain")
    done = operator.inv(*PREPARE)
    clean(done)
    assert done.exit_code == 2
    assert "not permitted to become root with sudo" in done.stdout


def test_a_host_that_is_down_is_unreachable_and_the_others_are_done(
    operator: Operator, lab_hosts: tuple[LabHost, ...]
) -> None:
    nobody = lab_hosts[1].address.rsplit(".", 1)[0] + ".250"
    edit(operator, f"kubexm_host: {lab_hosts[1].address}", f"kubexm_host: {nobody}")
    done = operator.inv(*PREPARE)
    clean(done)
    assert done.exit_code == 4
    assert statuses(done)["lab2"] == "unreachable"
    assert statuses(done)["lab1"] == statuses(done)["lab3"] != "unreachable"
    assert nobody in done.stdout


def test_a_refused_port_is_unreachable_and_says_refused(operator: Operator) -> None:
    edit(operator, "lab2: {", "lab2: {kubexm_port: 2222, ")
    done = operator.inv(*PING)
    clean(done)
    assert done.exit_code == 4
    assert "refused" in done.stdout


@contextmanager
def silent_server(address: str) -> Iterator[int]:
    """A server that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind((address, 0))
        server.listen(8)
        yield server.getsockname()[1]


def test_a_host_that_accepts_and_says_nothing_does_not_hold_up_the_run(
    operator: Operator, lab_hosts: tuple[LabHost, ...]
) -> None:
    with silent_server("127.0.0.1") as port:
        edit(
            operator,
            f"kubexm_host: {lab_hosts[1].address}",
            f"kubexm_host: 127.0.0.1, kubexm_port: {port}",
        )
        done = operator.inv(*PING, timeout_s=40)
    clean(done)
    assert done.exit_code == 4
    assert statuses(done)["lab2"] == "unreachable"
    assert statuses(done)["lab1"] == "ok"


def test_a_changed_host_key_names_the_file_and_the_line(
    operator: Operator, lab_hosts: tuple[LabHost, ...]
) -> None:
    other = lab_hosts[2].host_keys[0]
    known = operator.project / "known_hosts"
    known.write_text(f"# a comment\n{lab_hosts[1].address} {other}\n")
    done = operator.inv(*PING)
    clean(done)
    assert done.exit_code == 4
    assert f"{known}:2" in done.stdout
    assert "ssh-keygen -R" in done.stdout
    assert statuses(done)["lab1"] == "ok"


def test_a_new_host_key_is_accepted_once_and_its_fingerprint_shown(operator: Operator) -> None:
    first = operator.inv(*PING)
    assert first.exit_code == 0
    assert first.stderr.count("SHA256:") == 3
    assert "SHA256:" not in operator.inv(*PING).stderr


def test_strict_host_keys_refuse_an_unknown_host(operator: Operator) -> None:
    edit(operator, "  vars:\n", "  vars:\n    kubexm_host_key_policy: strict\n")
    done = operator.inv(*PING)
    clean(done)
    assert done.exit_code == 4
    assert "SHA256:" in done.stdout


def test_a_wrong_login_is_told_with_what_was_tried(operator: Operator) -> None:
    edit(operator, "kubexm_user: asks", "kubexm_user: nobody-here")
    done = operator.inv(*PING)
    clean(done)
    assert done.exit_code == 4
    assert "nobody-here@" in done.stdout


def test_an_unknown_group_in_limit_suggests_what_exists(operator: Operator) -> None:
    done = operator.inv(*PING, "--limit", "kube_nodes")
    clean(done)
    assert done.exit_code == 5
    assert "kube_nodes" in done.stderr
    assert "kube_node" in done.stderr.replace("kube_nodes", "")


def test_a_misspelt_key_has_file_line_and_a_suggestion(operator: Operator) -> None:
    edit(operator, "kubexm_user:", "kubexm_usr:")
    done = operator.inv(*PING)
    clean(done)
    line = operator.inventory.read_text().split("kubexm_usr")[0].count("\n") + 1
    assert done.exit_code == 5
    assert f"default.yaml:{line}:" in done.stderr
    assert "kubexm_user" in done.stderr


def test_a_yaml_error_has_file_and_line(operator: Operator) -> None:
    edit(operator, "  vars:\n", "  vars: [\n")
    done = operator.inv(*PING)
    clean(done)
    assert done.exit_code == 5
    assert "default.yaml:" in done.stderr


def test_a_node_setting_that_does_not_exist_is_told_with_a_suggestion(
    operator: Operator,
) -> None:
    edit(operator, "  vars:\n", "  vars:\n    node: {pakages: [curl]}\n")
    done = operator.inv("node.prepare", "--check")
    clean(done)
    assert done.exit_code == 5
    line = operator.inventory.read_text().split("pakages")[0].count("\n") + 1
    assert f"default.yaml:{line}" in done.stderr
    assert "did you mean 'packages'?" in done.stderr
    assert done.stdout == ""


def test_a_package_that_does_not_exist_fails_its_host_with_the_tail_of_stderr(
    operator: Operator,
) -> None:
    edit(operator, "lab2: {", "lab2: {node: {packages: [no-such-package]}, ")
    done = operator.inv("node.prepare", "--only", "packages", "--limit", "lab2")
    clean(done)
    assert done.exit_code == 2
    assert "no-such-package: check the name" in done.stdout
