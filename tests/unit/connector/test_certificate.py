"""Certificates as ssh-keygen makes them."""

from __future__ import annotations

import base64
import subprocess
import time
from pathlib import Path

import pytest

from kubexm.connector.certificate import Certificate
from kubexm.connector.endpoint import Endpoint, HostKeyPolicy
from kubexm.connector.host_key import HostKeyCheck
from kubexm.connector.known_hosts import HostKey
from kubexm.errors import HostKeyError


def keygen(*words: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *words], check=True, capture_output=True)


def public(path: Path) -> HostKey:
    algorithm, text = Path(f"{path}.pub").read_text().split()[:2]
    return HostKey(algorithm=algorithm, blob=base64.b64decode(text))


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    keygen("-t", "ed25519", "-N", "", "-f", str(tmp_path / "ca"))
    return tmp_path / "ca"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    keygen("-t", "ed25519", "-N", "", "-f", str(tmp_path / "host"))
    return tmp_path / "host"


def certify(authority: Path, key: Path, *words: str) -> bytes:
    """The wire form of a certificate for a key."""
    keygen("-s", str(authority), "-I", "test", *words, f"{key}.pub")
    return base64.b64decode(Path(f"{key}-cert.pub").read_text().split()[1])


def check(known_hosts: Path, policy: HostKeyPolicy = HostKeyPolicy.STRICT) -> HostKeyCheck:
    endpoint = Endpoint(name="node1", address="lab1", host_key_policy=policy)
    return HostKeyCheck(endpoint, address="lab1", port=2222, files=(known_hosts,))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_certificate_says_who_signed_it_and_for_whom(tmp_path: Path, host: Path, kind: str) -> None:
    authority = tmp_path / "other-ca"
    keygen("-t", kind, "-N", "", "-f", str(authority))
    blob = certify(authority, host, "-h", "-n", "lab1,*.example.org", "-V", "-1d:+1d")
    certificate = Certificate.read(blob)
    assert certificate.authority == public(authority)
    assert certificate.names == ("lab1", "*.example.org")
    assert certificate.fault("lab1") == ""
    assert certificate.fault("a.example.org") == ""
    assert certificate.fault("lab2") == "it is for lab1, *.example.org"
    assert "expired on" in certificate.fault("lab1", time.time() + 200_000)
    assert "not valid before" in certificate.fault("lab1", time.time() - 200_000)


def test_certificate_of_a_user_does_not_do_for_a_host(authority: Path, host: Path) -> None:
    blob = certify(authority, host, "-n", "lab1")
    assert "user's certificate" in Certificate.read(blob).fault("lab1")


def test_certificate_that_was_altered_is_none(authority: Path, host: Path) -> None:
    blob = certify(authority, host, "-h", "-n", "lab1")
    with pytest.raises(ValueError, match="signature"):
        Certificate.read(blob.replace(b"lab1", b"lab2"))
    for junk in (b"", b"junk", host.with_suffix(".pub").read_bytes(), public(host).blob):
        with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
            Certificate.read(junk)


def test_authority_on_record_vouches_for_the_host(
    tmp_path: Path, authority: Path, host: Path
) -> None:
    own = tmp_path / "known_hosts"
    own.write_text(f"@cert-authority [lab1]:*,lab* {public(authority).line}\n")
    blob = certify(authority, host, "-h", "-n", "lab1")
    check(own).check(public(host), blob)
    with pytest.raises(HostKeyError, match="not in"):
        check(own).check(public(host))


def test_certificate_that_does_not_hold_is_told_with_its_reason(
    tmp_path: Path, authority: Path, host: Path
) -> None:
    own = tmp_path / "known_hosts"
    own.write_text(f"@cert-authority * {public(authority).line}\n")
    blob = certify(authority, host, "-h", "-n", "lab2")
    with pytest.raises(HostKeyError, match=r"'test' of \[lab1\]:2222 does not hold: it is for"):
        check(own).check(public(host), blob)


def test_strange_authority_leaves_the_bare_key(tmp_path: Path, authority: Path, host: Path) -> None:
    own = tmp_path / "known_hosts"
    own.write_text(f"[lab1]:2222 {public(host).line}\n")
    blob = certify(authority, host, "-h", "-n", "lab1")
    check(own).check(public(host), blob)


@pytest.mark.parametrize("which", ["ca", "host"])
def test_what_is_revoked_is_refused_whoever_vouches(
    tmp_path: Path, authority: Path, host: Path, which: str
) -> None:
    own = tmp_path / "known_hosts"
    revoked = public(tmp_path / which)
    own.write_text(f"@cert-authority * {public(authority).line}\n@revoked * {revoked.line}\n")
    blob = certify(authority, host, "-h", "-n", "lab1")
    with pytest.raises(HostKeyError, match=f"{own}:2 revokes"):
        check(own).check(public(host), blob)
