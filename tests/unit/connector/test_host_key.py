from __future__ import annotations

from pathlib import Path

import pytest

from kubexm.connector.endpoint import Endpoint, HostKeyPolicy
from kubexm.connector.host_key import HostKeyCheck
from kubexm.errors import HostKeyChangedError, HostKeyError
from tests.unit.connector.test_known_hosts import key

NEW = HostKeyPolicy.ACCEPT_NEW
RECORDED = (HostKeyPolicy.STRICT, NEW)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    return tmp_path / "ssh_known_hosts"


def check(own: Path, system: Path, policy: HostKeyPolicy, *, port: int = 22) -> HostKeyCheck:
    endpoint = Endpoint(name="node1", address="lab1", host_key_policy=policy, known_hosts=str(own))
    return HostKeyCheck(endpoint, address="lab1", port=port, files=(own,), system_files=(system,))


@pytest.mark.parametrize("policy", RECORDED)
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


@pytest.mark.parametrize("policy", RECORDED)
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


def pinned(*keys: str) -> HostKeyCheck:
    endpoint = Endpoint(
        name="node1", address="lab1", host_key_policy=HostKeyPolicy.PINNED, host_keys=keys
    )
    return HostKeyCheck(endpoint, address="lab1", port=22, files=(Path("/nowhere/known_hosts"),))


def test_a_pinned_key_passes_by_its_text_and_by_its_fingerprint() -> None:
    for pin in (key("a").line, key("a").fingerprint):
        checked = pinned(key("other").line, pin)
        checked.check(key("a"))
        assert checked.notices == []


def test_another_key_than_the_pinned_one_is_a_change() -> None:
    for pin in (key("a").line, key("a").fingerprint):
        with pytest.raises(HostKeyChangedError) as caught:
            pinned(pin).check(key("b"))
        assert key("a").fingerprint in caught.value.message
        assert key("b").fingerprint in caught.value.message
        assert "kubexm_host_key" in caught.value.hint


def test_pinned_without_a_key_is_told() -> None:
    with pytest.raises(HostKeyError, match="no key is named"):
        pinned().check(key("a"))


def test_the_type_of_a_pinned_key_is_negotiated_first() -> None:
    offered = ("ssh-ed25519", "rsa-sha2-512")
    assert pinned(key("a", "ssh-rsa").line).preferred(offered) == ("rsa-sha2-512", "ssh-ed25519")
    assert pinned(key("a").fingerprint).preferred(offered) == offered


def test_insecure_lets_every_key_pass_and_says_so(own: Path, system: Path) -> None:
    own.write_text(f"lab1 {key('a').line}\n")
    checked = check(own, system, HostKeyPolicy.INSECURE)
    checked.check(key("b"))
    (notice,) = checked.notices
    assert "NOT checked" in notice
    assert own.read_text() == f"lab1 {key('a').line}\n"


def test_certificates_are_negotiated_first_where_an_authority_vouches(
    own: Path, system: Path
) -> None:
    own.write_text(f"@cert-authority *.example.org,lab1 {key('ca').line}\n")
    assert check(own, system, NEW).preferred(("ssh-ed25519", "rsa-sha2-512")) == (
        "ssh-ed25519-cert-v01@openssh.com",
        "rsa-sha2-512-cert-v01@openssh.com",
        "ssh-ed25519",
        "rsa-sha2-512",
    )


def test_every_file_is_read_and_the_first_is_written(own: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.write_text(f"lab1 {key('a').line}\n")
    endpoint = Endpoint(name="node1", address="lab1")
    HostKeyCheck(endpoint, address="lab1", port=22, files=(own, second)).check(key("a"))
    with pytest.raises(HostKeyChangedError, match=f"{second}:1"):
        HostKeyCheck(endpoint, address="lab1", port=22, files=(own, second)).check(key("b"))
    HostKeyCheck(endpoint, address="lab2", port=22, files=(own, second)).check(key("c"))
    assert own.read_text() == f"lab2 {key('c').line}\n"
