from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.connector.endpoint import Endpoint, HostKeyPolicy
from kubexm.connector.host_key import HostKeyCheck
from kubexm.errors import HostKeyError
from tests.unit.connector.test_known_hosts import key

if TYPE_CHECKING:
    from pathlib import Path

NEW = HostKeyPolicy.ACCEPT_NEW


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    return tmp_path / "ssh_known_hosts"


def check(own: Path, system: Path, policy: HostKeyPolicy, *, port: int = 22) -> HostKeyCheck:
    endpoint = Endpoint(name="node1", address="lab1", host_key_policy=policy, known_hosts=str(own))
    return HostKeyCheck(endpoint, address="lab1", port=port, system_file=system)


@pytest.mark.parametrize("policy", HostKeyPolicy)
def test_a_key_on_record_passes_silently(own: Path, system: Path, policy: HostKeyPolicy) -> None:
    own.write_text(f"lab1 {key('a').line}\n")
    checked = check(own, system, policy)
    checked.check(key("a"))
    assert checked.notices == []


def test_the_machines_own_file_counts_too_and_is_not_written(own: Path, system: Path) -> None:
    system.write_text(f"lab1 {key('a').line}\n")
    check(own, system, HostKeyPolicy.STRICT).check(key("a"))
    with pytest.raises(HostKeyError, match=str(system)):
        check(own, system, NEW).check(key("b"))
    assert not own.exists()


def test_a_new_key_is_recorded_and_told(own: Path, system: Path) -> None:
    checked = check(own, system, NEW, port=2222)
    checked.check(key("a"))
    (notice,) = checked.notices
    assert key("a").fingerprint in notice
    assert "[lab1]:2222" in notice
    assert str(own) in notice
    again = check(own, system, HostKeyPolicy.STRICT, port=2222)
    again.check(key("a"))
    assert again.notices == []


def test_a_new_key_that_cannot_be_recorded_is_told_as_such(tmp_path: Path, system: Path) -> None:
    (tmp_path / "file").write_text("")
    own = tmp_path / "file" / "known_hosts"
    checked = check(own, system, NEW)
    checked.check(key("a"))
    assert "not recorded" in checked.notices[0]
    with pytest.raises(HostKeyError, match="CHANGED"):
        check(own, system, NEW).check(key("b"))


def test_strict_refuses_an_unknown_key_and_says_how_to_learn_it(own: Path, system: Path) -> None:
    with pytest.raises(HostKeyError) as caught:
        check(own, system, HostKeyPolicy.STRICT, port=2222).check(key("a"))
    error = caught.value
    assert error.host == "node1"
    assert "[lab1]:2222" in error.message
    assert key("a").fingerprint in error.message
    assert f"ssh-keyscan -p 2222 lab1 >> {own}" in error.hint
    assert "accept-new" in error.hint
    assert not own.exists()


def test_strict_says_when_only_certificates_are_trusted(own: Path, system: Path) -> None:
    own.write_text(f"@cert-authority * {key('ca').line}\n")
    with pytest.raises(HostKeyError, match=f"{own}:1 vouches for certificates only"):
        check(own, system, HostKeyPolicy.STRICT).check(key("a"))


@pytest.mark.parametrize("policy", HostKeyPolicy)
def test_a_changed_key_is_an_error_that_shows_both_and_where(
    own: Path, system: Path, policy: HostKeyPolicy
) -> None:
    own.write_text(f"# mine\nlab1 {key('a').line}\n")
    with pytest.raises(HostKeyError) as caught:
        check(own, system, policy).check(key("b"))
    message = caught.value.message
    assert "lab1" in message
    assert f"{own}:2" in message
    assert key("a").fingerprint in message
    assert key("b").fingerprint in message
    assert f"ssh-keygen -R lab1 -f {own}" in caught.value.hint
    assert own.read_text() == f"# mine\nlab1 {key('a').line}\n"


def test_the_removal_of_a_name_with_a_port_is_quoted(own: Path, system: Path) -> None:
    own.write_text(f"[lab1]:2222 {key('a').line}\n")
    with pytest.raises(HostKeyError) as caught:
        check(own, system, NEW, port=2222).check(key("b"))
    assert "ssh-keygen -R '[lab1]:2222' -f" in caught.value.hint


def test_a_revoked_key_is_refused(own: Path, system: Path) -> None:
    own.write_text(f"lab1 {key('a').line}\n@revoked * {key('a').line}\n")
    with pytest.raises(HostKeyError, match=f"{own}:2 revokes"):
        check(own, system, NEW).check(key("a"))


def test_a_key_recorded_without_a_port_vouches_for_itself_only(own: Path, system: Path) -> None:
    own.write_text(f"lab1 {key('a').line}\n")
    check(own, system, HostKeyPolicy.STRICT, port=2222).check(key("a"))
    checked = check(own, system, NEW, port=2222)
    checked.check(key("b"))
    assert len(checked.notices) == 1


def test_the_types_on_record_are_negotiated_first(own: Path, system: Path) -> None:
    offered = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
    assert check(own, system, NEW).preferred(offered) == offered
    own.write_text(
        f"lab1 {key('r', 'ssh-rsa').line}\n@revoked lab1 {key('e').line}\n"
        f"lab1 {key('s', 'sk-ssh-ed25519@openssh.com').line}\n"
    )
    system.write_text(f"lab1 {key('x', 'ecdsa-sha2-nistp256').line}\n")
    assert check(own, system, NEW).preferred(offered) == (
        "rsa-sha2-512",
        "rsa-sha2-256",
        "ecdsa-sha2-nistp256",
        "ssh-ed25519",
    )
