from __future__ import annotations

import base64
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.connector.known_hosts import (
    Entry,
    HostKey,
    Marker,
    Standing,
    compare,
    name_of,
    parse_line,
)
from kubexm.connector.known_hosts_file import KnownHostsFile

# Made with ssh-keygen of OpenSSH 9.2; the hashed names with `ssh-keygen -H`.
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPpWM7+lCeC5+lvc5+a/Y/YqvFVj4JIe6qpNRF7X+i1e"
ED25519_FINGERPRINT = "SHA256:J5Mh/XxwXAdrq/d3/4m07iLtEdeZk7GTYQL5qa7+wGY"
HASHED_LAB1 = "|1|u/YPgKlspA3b4J4nrGjy+dpdbgw=|ZTiIIn0+7KYJuYK1ybcNNt2tfSY="
HASHED_LAB1_2222 = "|1|uGYci9YW4cPj4pVIbdOR7Vq+iHI=|+WVwDGQCDbz3JsF4dD4h4Imk3V4="


def key(seed: str, algorithm: str = "ssh-ed25519") -> HostKey:
    """A key with a valid outer form; the rest of it is no matter here."""
    name = algorithm.encode()
    return HostKey(algorithm=algorithm, blob=len(name).to_bytes(4, "big") + name + seed.encode())


def entry(line: str) -> Entry:
    parsed = parse_line(line, Path("known_hosts"), 1)
    assert parsed is not None
    return parsed


def write(path: Path, *lines: str) -> KnownHostsFile:
    path.write_text("".join(f"{line}\n" for line in lines))
    return KnownHostsFile(path)


def test_a_key_shows_the_fingerprint_that_ssh_keygen_shows() -> None:
    assert entry(f"lab1 {ED25519} root@lab1").key.fingerprint == ED25519_FINGERPRINT
    assert str(entry(f"lab1 {ED25519}").key) == f"ssh-ed25519 {ED25519_FINGERPRINT}"


@pytest.mark.parametrize(
    ("address", "port", "name"),
    [
        ("lab1", 22, "lab1"),
        ("Lab1.Example.COM", 22, "lab1.example.com"),
        ("lab1", 2222, "[lab1]:2222"),
        ("fd00::1", 22, "fd00::1"),
        ("fd00::1", 2222, "[fd00::1]:2222"),
        ("alias", 0, "alias"),
    ],
)
def test_a_host_is_recorded_under_the_name_that_openssh_uses(
    address: str, port: int, name: str
) -> None:
    assert name_of(address, port) == name


@pytest.mark.parametrize(
    ("names", "matching", "other"),
    [
        ("lab1", "lab1", "lab11"),
        ("LAB1", "lab1", "lab2"),
        ("lab1,198.18.88.11", "198.18.88.11", "198.18.88.1"),
        ("[lab1]:2222", "[lab1]:2222", "lab1"),
        ("*.example.com", "a.example.com", "example.com"),
        ("lab?", "lab7", "lab77"),
        ("*.example.com,!bad.example.com", "good.example.com", "bad.example.com"),
        ("!bad.example.com,*.example.com", "good.example.com", "bad.example.com"),
        ("[*.example.com]:2222", "[a.example.com]:2222", "a.example.com"),
        ("a.c", "a.c", "abc"),
        (HASHED_LAB1, "lab1", "lab2"),
        (HASHED_LAB1_2222, "[lab1]:2222", "lab1"),
    ],
)
def test_a_line_speaks_of_the_hosts_that_its_patterns_name(
    names: str, matching: str, other: str
) -> None:
    line = entry(f"{names} {ED25519}")
    assert line.matches(matching)
    assert not line.matches(other)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "# lab1 " + ED25519,
        "lab1",
        "lab1 ssh-ed25519",
        "lab1 ssh-ed25519 not-base64!",
        "lab1 ssh-ed25519 AAAA",
        "lab1 ssh-rsa " + ED25519.split()[1],
        "lab1 1024 35 14545648949",
        "@unheard-of lab1 " + ED25519,
        "@revoked lab1",
        "\x00\xff",
    ],
)
def test_comments_and_broken_lines_are_skipped(line: str) -> None:
    assert parse_line(line, Path("known_hosts"), 1) is None


def test_broken_hashes_match_nothing() -> None:
    for names in ("|1|", "|1|a|b", "|2|u/YPgKlspA3b4J4nrGjy+dpdbgw=|ZTiIIn0+7KYJuYK1ybcNNt2tfSY="):
        assert not entry(f"{names} {ED25519}").matches("lab1")


def test_markers_are_read_and_windows_line_ends_do_no_harm() -> None:
    assert entry(f"@revoked * {ED25519}").marker is Marker.REVOKED
    assert entry(f"@cert-authority *.example.com {ED25519} ca").marker is Marker.AUTHORITY
    assert entry(f"lab1 {ED25519}\r").key == entry(f"lab1\t{ED25519}").key


def test_a_key_on_record_is_known_whatever_else_is_recorded() -> None:
    entries = [entry(f"lab1 {key('a').line}"), entry(f"lab1 {key('b').line}")]
    standing, said = compare(entries, key("b"))
    assert standing is Standing.KNOWN
    assert said == (entries[1],)


def test_another_key_of_the_same_type_is_a_change_and_the_old_one_is_named() -> None:
    entries = [entry(f"lab1 {key('x', 'ssh-rsa').line}"), entry(f"lab1 {key('a').line}")]
    assert compare(entries, key("b")) == (Standing.CHANGED, (entries[1],))


def test_a_type_that_is_not_on_record_is_a_change_too() -> None:
    entries = [entry(f"lab1 {key('x', 'ssh-rsa').line}")]
    assert compare(entries, key("a")) == (Standing.CHANGED, tuple(entries))


def test_a_revoked_key_is_revoked_even_when_it_is_recorded() -> None:
    entries = [entry(f"lab1 {key('a').line}"), entry(f"@revoked * {key('a').line}")]
    assert compare(entries, key("a")) == (Standing.REVOKED, (entries[1],))
    assert compare(entries[1:], key("b")) == (Standing.NEW, ())


def test_an_authority_says_nothing_about_plain_keys() -> None:
    entries = [entry(f"@cert-authority * {key('ca').line}")]
    assert compare(entries, key("ca")) == (Standing.NEW, ())


def test_entries_tell_their_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    file = write(path, "# comment", f"a {ED25519}", "broken", "", f"b,a {ED25519}", f"* {ED25519}")
    assert [e.line for e in file.entries("a")] == [2, 5, 6]
    assert file.entries("b")[0].place == f"{path}:5"


def test_a_missing_file_has_no_entries(tmp_path: Path) -> None:
    assert KnownHostsFile(tmp_path / "none").entries("lab1") == ()


def test_one_object_serves_a_path(tmp_path: Path) -> None:
    assert KnownHostsFile.at(tmp_path / "a") is KnownHostsFile.at(tmp_path / "a")
    assert KnownHostsFile.at(tmp_path / "a") is not KnownHostsFile.at(tmp_path / "b")


def test_a_file_that_another_process_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    file = write(path, f"a {key('a').line}")
    assert [e.key for e in file.entries("a")] == [key("a")]
    path.write_text(f"b {key('bb').line}\n")
    assert file.entries("a") == ()
    assert [e.key for e in file.entries("b")] == [key("bb")]
    path.unlink()
    assert file.entries("b") == ()


def test_a_new_key_is_one_private_line_and_the_rest_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / "known_hosts"
    file = KnownHostsFile(path)
    assert file.add("[lab1]:2222", key("a")) == (Standing.NEW, ())
    assert path.read_text() == f"[lab1]:2222 {key('a').line}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o644)
    assert file.add("lab2", key("b")) == (Standing.NEW, ())
    assert path.read_text().splitlines()[0] == f"[lab1]:2222 {key('a').line}"
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_added_key_is_seen_at_once_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path / "known_hosts", "# one", f"a {key('a').line}")
    file.add("lab1", key("b"))
    (found,) = file.entries("lab1")
    assert (found.key, found.line) == (key("b"), 3)
    assert KnownHostsFile(file.path).entries("lab1") == (found,)


def test_a_line_without_end_is_not_glued_to_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"a {key('a').line}")
    file = KnownHostsFile(path)
    file.add("b", key("b"))
    assert path.read_text() == f"a {key('a').line}\nb {key('b').line}\n"
    assert [e.line for e in file.entries("b")] == [2]


def test_a_key_is_not_added_twice_nor_over_another(tmp_path: Path) -> None:
    file = KnownHostsFile(tmp_path / "known_hosts")
    file.add("lab1", key("a"))
    assert file.add("lab1", key("a"))[0] is Standing.KNOWN
    standing, said = file.add("lab1", key("b"))
    assert standing is Standing.CHANGED
    assert [e.key for e in said] == [key("a")]
    assert len(file.path.read_text().splitlines()) == 1


def test_what_another_process_added_meanwhile_counts(tmp_path: Path) -> None:
    file = KnownHostsFile(tmp_path / "known_hosts")
    assert file.entries("lab1") == ()
    KnownHostsFile(file.path).add("lab1", key("a"))
    assert file.add("lab1", key("b"))[0] is Standing.CHANGED


def test_many_threads_add_whole_lines(tmp_path: Path) -> None:
    file = KnownHostsFile(tmp_path / "known_hosts")
    other = KnownHostsFile(file.path)
    with ThreadPoolExecutor(16) as pool:
        for number in range(200):
            writer = file if number % 2 else other
            pool.submit(writer.add, f"lab{number // 2}", key(str(number // 2)))
    lines = file.path.read_text().splitlines()
    assert sorted(lines) == sorted(f"lab{n} {key(str(n)).line}" for n in range(100))


def test_a_key_that_cannot_be_written_is_remembered(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    file = KnownHostsFile(blocked / "known_hosts")
    with pytest.raises(OSError, match=r"known_hosts|file"):
        file.add("lab1", key("a"))
    assert compare(file.entries("lab1"), key("a"))[0] is Standing.KNOWN
    assert compare(file.entries("lab1"), key("b"))[0] is Standing.CHANGED


@given(
    address=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,30}", fullmatch=True),
    port=st.integers(min_value=1, max_value=65535),
    blob=st.binary(max_size=40),
)
def test_what_is_recorded_is_found_again(address: str, port: int, blob: bytes) -> None:
    written = HostKey(algorithm="ssh-ed25519", blob=key("").blob + blob)
    name = name_of(address, port)
    line = entry(f"{name} {written.line}")
    assert line.key == written
    assert line.matches(name)
    assert base64.b64decode(line.key.line.split()[1]) == written.blob


@pytest.mark.parametrize("module", ["ssh", "known_hosts_file"])
def test_fabric_and_paramiko_are_not_imported_before_they_are_needed(module: str) -> None:
    program = (
        f"import kubexm.connector.{module}, sys; "
        "sys.exit(bool({'fabric', 'paramiko', 'invoke', 'cryptography'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
