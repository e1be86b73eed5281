"""Whether to trust the key that a host presents: the policy, and the words for each refusal."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, assert_never

from kubexm.connector.certificate import Certificate
from kubexm.connector.endpoint import HostKeyPolicy
from kubexm.connector.known_hosts import Entry, HostKey, Marker, Standing, compare, name_of
from kubexm.connector.known_hosts_file import KnownHostsFile
from kubexm.errors import HostKeyChangedError, HostKeyError
from kubexm.shell import quote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from paramiko import PKey

    from kubexm.connector.endpoint import Endpoint

_CERTIFIED = "-cert-v01@openssh.com"
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}
"""One RSA key, several ways to sign with it (RFC 8332)."""


class HostKeyCheck:
    """What is on record for one host, and the verdict on the key that it presents.

    paramiko calls `missing_host_key` for every key, since it is given no known_hosts of its own.

    Args:
        endpoint: The policy, and the keys that are pinned.
        address: The host's address as it is dialled, or its HostKeyAlias.
        port: 0 when an alias stands for address and port.
        files: known_hosts files; a new key is recorded in the first.
        system_files: Read too, never written.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        address: str,
        port: int,
        files: Sequence[Path],
        system_files: Sequence[Path] = (),
    ) -> None:
        self._host = endpoint.name
        self._policy = endpoint.host_key_policy
        self._pinned = endpoint.host_keys
        self._scan = f"ssh-keyscan -p {port or 22} {quote(address)}"
        self._name = name_of(address, port)
        self._portless = name_of(address, 0)
        self._file = KnownHostsFile.at(files[0])
        self._files = tuple(KnownHostsFile.at(path) for path in (*files, *system_files))
        self.notices: list[str] = []

    def preferred(self, offered: Sequence[str]) -> tuple[str, ...]:
        """The algorithms to negotiate, those of the keys on record first.

        Otherwise a host with several keys may present one that happens not to be on record; and
        where an authority vouches for the host, its certificate rather than its bare key.
        """
        known: list[str] = []
        certified = False
        if self._policy is HostKeyPolicy.PINNED:
            for pin in self._pinned:
                algorithm = pin.split()[0]
                known += _ALGORITHMS.get(algorithm, (algorithm,))
        else:
            for entry in (*self._entries(self._name), *self._entries(self._portless)):
                certified = certified or entry.marker is Marker.AUTHORITY
                if entry.marker is Marker.NONE:
                    known += _ALGORITHMS.get(entry.key.algorithm, (entry.key.algorithm,))
        first = [algorithm + _CERTIFIED for algorithm in offered] if certified else []
        return tuple(dict.fromkeys((*first, *(a for a in known if a in offered), *offered)))

    def missing_host_key(self, client: object, hostname: str, key: PKey) -> None:
        """Let the key pass or raise; see `paramiko.MissingHostKeyPolicy`.

        Raises:
            HostKeyError: It is changed, revoked, not the pinned one, or unknown under the strict
                policy; or its certificate does not hold.
        """
        del client, hostname
        presented = HostKey(algorithm=key.get_name(), blob=key.asbytes())
        certificate = getattr(key, "public_blob", None)
        self.check(presented, certificate.key_blob if certificate is not None else b"")

    def check(self, key: HostKey, certificate: bytes = b"") -> None:
        """Let the key pass, recording it when it is new and the policy says so.

        Args:
            key: What the host presents.
            certificate: What it presents about that key, in its wire form.

        Raises:
            HostKeyError: See `missing_host_key`.
        """
        match self._policy:
            case HostKeyPolicy.INSECURE:
                self.notices.append(
                    f"the host key {key} of {self._name} was NOT checked (insecure)"
                )
            case HostKeyPolicy.PINNED:
                self._check_pinned(key)
            case HostKeyPolicy.STRICT | HostKeyPolicy.ACCEPT_NEW:
                if not (certificate and self._is_certified(key, certificate)):
                    self._check_recorded(key)
            case _:
                assert_never(self._policy)

    def _check_pinned(self, key: HostKey) -> None:
        if key.fingerprint in self._pinned or key.line in self._pinned:
            return
        if not self._pinned:
            message = f"the host key policy of {self._name} is pinned, and no key is named"
            raise HostKeyError(message, host=self._host, hint="set kubexm_host_key")
        pins = ", ".join(_shown(pin) for pin in self._pinned)
        msg = f"{self._name} presents the host key {key}; pinned in the inventory is {pins}"
        raise HostKeyChangedError(
            msg,
            host=self._host,
            hint="someone may be standing between. Only if you know that this is the machine's "
            "key: change kubexm_host_key",
        )

    def _is_certified(self, key: HostKey, blob: bytes) -> bool:
        """Whether an authority that is on record for the host vouches for its key.

        Raises:
            HostKeyError: One of them does, and it no longer counts.
        """
        try:
            certificate = Certificate.read(blob)
        except ValueError:
            return False  # what stands without it is the bare key
        authorities = [
            entry
            for entry in (*self._entries(self._name), *self._entries(self._portless))
            if entry.key == certificate.authority
        ]
        for entry in authorities:
            if entry.marker is Marker.REVOKED:
                raise self._revoked(certificate.authority, [entry])
        vouching = [entry for entry in authorities if entry.marker is Marker.AUTHORITY]
        if not vouching:
            return False
        standing, said = compare(self._entries(self._name), key)
        if standing is Standing.REVOKED:
            raise self._revoked(key, said)
        if fault := certificate.fault(self._portless):
            msg = (
                f"the certificate {certificate.identity!r} of {self._name} does not hold: {fault} "
                f"({vouching[0].place} trusts its authority)"
            )
            raise HostKeyError(
                msg,
                host=self._host,
                hint="have the authority sign the host's key again (ssh-keygen -s CA -h)",
            )
        return True

    def _check_recorded(self, key: HostKey) -> None:
        standing, said = compare(self._entries(self._name), key)
        if standing is Standing.NEW:
            # As OpenSSH does: a key recorded without its port vouches for the same key.
            plain, entries = compare(self._entries(self._portless), key)
            if plain in {Standing.KNOWN, Standing.REVOKED}:
                standing, said = plain, entries
        if standing is Standing.NEW and self._policy is HostKeyPolicy.ACCEPT_NEW:
            standing, said = self._record(key)
            if standing is Standing.NEW:
                return
        match standing:
            case Standing.KNOWN:
                return
            case Standing.NEW:
                raise self._unknown(key)
            case Standing.CHANGED:
                raise self._changed(key, said)
            case Standing.REVOKED:
                raise self._revoked(key, said)
            case _:
                assert_never(standing)

    def _entries(self, name: str) -> tuple[Entry, ...]:
        return tuple(entry for file in self._files for entry in file.entries(name))

    def _record(self, key: HostKey) -> tuple[Standing, tuple[Entry, ...]]:
        try:
            standing, said = self._file.add(self._name, key)
        except OSError as error:
            where = f"not recorded: {self._file.path}: {error.strerror}"
            standing, said = Standing.NEW, ()
        else:
            where = f"recorded in {self._file.path}"
        if standing is Standing.NEW:
            self.notices.append(f"new host key {key} accepted for {self._name} and {where}")
        return standing, said

    def _unknown(self, key: HostKey) -> HostKeyError:
        authorities = [e.place for e in self._entries(self._name) if e.marker is Marker.AUTHORITY]
        only = f" ({authorities[0]} vouches for certificates only)" if authorities else ""
        return HostKeyError(
            f"the host key of {self._name} is not in {self._file.path}{only}; it presents {key}",
            host=self._host,
            hint=f"compare the fingerprint on the machine itself, then: "
            f"{self._scan} >> {quote(str(self._file.path))}; "
            "or trust on first use: host_key_policy accept-new",
        )

    def _changed(self, key: HostKey, rivals: Sequence[Entry]) -> HostKeyChangedError:
        recorded = ", ".join(f"{e.key} ({e.place})" for e in rivals)
        # The name may be in the file in several forms; ssh-keygen -R knows them all.
        removals = "; ".join(
            f"ssh-keygen -R {quote(self._name)} -f {quote(str(path))}"
            for path in dict.fromkeys(e.path for e in rivals)
        )
        return HostKeyChangedError(
            f"the host key of {self._name} has CHANGED: on record is {recorded}, it presents {key}",
            host=self._host,
            hint="someone may be standing between. Only if you know that the machine "
            f"was reinstalled or has a new key: {removals}",
        )

    def _revoked(self, key: HostKey, said: Sequence[Entry]) -> HostKeyError:
        return HostKeyError(
            f"{self._name} presents the host key {key}, which {said[0].place} revokes",
            host=self._host,
            hint="the key is known to be stolen: do not connect until the machine has a new one",
        )


def _shown(pin: str) -> str:
    """A pinned key as messages have keys: its type and its fingerprint."""
    match pin.split():
        case [algorithm, text]:
            return str(HostKey(algorithm=algorithm, blob=base64.b64decode(text)))
        case _:
            return pin
