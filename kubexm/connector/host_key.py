"""Whether to trust the key that a host presents: the policy, and the words for each refusal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from kubexm.connector.endpoint import HostKeyPolicy
from kubexm.connector.known_hosts import Entry, HostKey, Marker, Standing, compare, name_of
from kubexm.connector.known_hosts_file import SYSTEM_FILE, KnownHostsFile
from kubexm.errors import HostKeyError
from kubexm.shell import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paramiko import PKey

    from kubexm.connector.endpoint import Endpoint

_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}
"""One RSA key, several ways to sign with it (RFC 8332)."""


class HostKeyCheck:
    """What is on record for one host, and the verdict on the key that it presents.

    paramiko calls `missing_host_key` for every key, since it is given no known_hosts of its own.

    Args:
        endpoint: The policy and the known_hosts file.
        address: The host's address as it is dialled, or its HostKeyAlias.
        port: 0 when an alias stands for address and port.
        system_file: Read too, never written.
    """

    def __init__(
        self, endpoint: Endpoint, *, address: str, port: int, system_file: Path = SYSTEM_FILE
    ) -> None:
        own = Path(endpoint.known_hosts or "~/.ssh/known_hosts").expanduser()
        self._host = endpoint.name
        self._policy = endpoint.host_key_policy
        self._scan = f"ssh-keyscan -p {port or 22} {quote(address)}"
        self._name = name_of(address, port)
        self._portless = name_of(address, 0)
        self._file = KnownHostsFile.at(own)
        self._system_file = KnownHostsFile.at(system_file)
        self.notices: list[str] = []

    def preferred(self, offered: Sequence[str]) -> tuple[str, ...]:
        """The algorithms to negotiate, those of the keys on record first.

        Otherwise a host with several keys may present one that happens not to be on record.
        """
        known: list[str] = []
        for entry in (*self._entries(self._name), *self._entries(self._portless)):
            if entry.marker is Marker.NONE:
                known += _ALGORITHMS.get(entry.key.algorithm, (entry.key.algorithm,))
        return tuple(dict.fromkeys((*(a for a in known if a in offered), *offered)))

    def missing_host_key(self, client: object, hostname: str, key: PKey) -> None:
        """Let the key pass or raise; see `paramiko.MissingHostKeyPolicy`.

        Raises:
            HostKeyError: It is changed, revoked, or unknown under the strict policy.
        """
        del client, hostname
        self.check(HostKey(algorithm=key.get_name(), blob=key.asbytes()))

    def check(self, key: HostKey) -> None:
        """Let the key pass, recording it when it is new and the policy says so.

        Raises:
            HostKeyError: It is changed, revoked, or unknown under the strict policy.
        """
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
        return (*self._file.entries(name), *self._system_file.entries(name))

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

    def _changed(self, key: HostKey, rivals: Sequence[Entry]) -> HostKeyError:
        recorded = ", ".join(f"{e.key} ({e.place})" for e in rivals)
        # The name may be in the file in several forms; ssh-keygen -R knows them all.
        removals = "; ".join(
            f"ssh-keygen -R {quote(self._name)} -f {quote(str(path))}"
            for path in dict.fromkeys(e.path for e in rivals)
        )
        return HostKeyError(
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
