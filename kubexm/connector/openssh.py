"""The transport `openssh`: the system's own ssh, for what paramiko lacks.

That is Kerberos, security keys, smart cards, `Match exec`, and whatever else ssh_config(5) can
say; the connection options of the inventory are further settings of that kind. One connection
carries everything (ControlMaster), unless ssh runs on another machine. It never asks a question:
passwords and passphrases are for the transport `ssh`.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.connector.client import Client, ClientConnector, Refusal
from kubexm.connector.endpoint import DEFAULT_CONNECT_TIMEOUT_S, HostKeyPolicy
from kubexm.errors import AuthenticationError, ConnectError, HostKeyError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubexm.connector.endpoint import Connector, Endpoint

_HOST_KEY_CHECKING = {
    HostKeyPolicy.STRICT: "yes",
    HostKeyPolicy.ACCEPT_NEW: "accept-new",
    HostKeyPolicy.PINNED: "yes",
    HostKeyPolicy.INSECURE: "no",
}
_LONGEST_SOCKET = 80
"""Of the 107 bytes that a socket's path can have, ssh wants some for itself."""
_REFUSALS = (
    Refusal(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|REVOKED HOST KEY",
        HostKeyError,
        "the host key of {place} is not the one on record",
        "if it was reinstalled: ssh-keygen -R its address; otherwise somebody stands between",
    ),
    Refusal(
        r"Host key verification failed|No \S+ host key is known",
        HostKeyError,
        "the host key of {place} is unknown or was refused",
        "add it to known_hosts, or set kubexm_host_key_policy: accept-new",
    ),
    Refusal(
        r"Permission denied|Too many authentication failures|No supported authentication",
        AuthenticationError,
        "{place} accepted no key of ours",
        "see ssh-add -l and kubexm_private_key_file; passwords and passphrases need the "
        "connection ssh",
    ),
    Refusal(
        r"Could not resolve hostname",
        UnreachableError,
        "the name of {place} is unknown",
        "check the address in the inventory, and the resolver",
    ),
    Refusal(
        r"Connection refused",
        UnreachableError,
        "{place} refused the connection",
        "is sshd running there, and is this its port?",
    ),
    Refusal(
        r"timed out",
        UnreachableError,
        "{place} did not answer in time (timed out)",
        "is the machine up, and does a firewall drop the packets?",
    ),
    Refusal(
        r"No route to host|Network is unreachable",
        UnreachableError,
        "no route to {place}",
        "check the address, and the network and VPN",
    ),
    Refusal(
        r"kex_exchange_identification|Connection (closed|reset) by|banner exchange",
        UnreachableError,
        "{place} accepts connections but closes them before the login",
        "sshd drops bursts (MaxStartups) and hosts that failed before; or it is not sshd",
    ),
    Refusal(
        r"Bad configuration option|[Uu]nsupported option|bad configuration|usage: ssh",
        ConnectError,
        "ssh does not understand a setting for {place}",
        "check kubexm_connection_options, ~/.ssh/config and ssh -V",
    ),
    Refusal(
        r"This account is|nologin",
        ConnectError,
        "the login user of {place} may not run commands",
        "the login user needs a shell that runs commands (not nologin or false)",
    ),
)


class OpenSshConnector(ClientConnector):
    """The Connector for one machine and one login user over the system's ssh."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._directory: Path | None = None
        self._multiplexes = True
        client = Client(
            program=endpoint.inside.executable or "ssh",
            place=endpoint.address or endpoint.name,
            argv=self._argv,
            refusals=_REFUSALS,
            noise="debug[123]: |Authenticated to ",
            notices=_notices,
        )
        super().__init__(endpoint, client)

    def through(self, other: Connector) -> None:
        """See `Carried.through`. The other machine has no private place for a socket of ours."""
        super().through(other)
        self._multiplexes = False

    def close(self) -> None:
        """See `Connector.close`."""
        super().close()
        directory, self._directory = self._directory, None
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)

    def connect(self) -> None:
        """See `Connector.connect`."""
        if wanting := _wanting(self._endpoint):
            message = f"the connection openssh does not know {wanting}"
            hint = "use the connection ssh, or say it in ssh_config or kubexm_connection_options"
            raise ConnectError(message, host=self._endpoint.name, hint=hint)
        super().connect()

    def _argv(self, command: str) -> Sequence[str]:
        endpoint = self._endpoint
        is_first = self._holder is None
        settings = (
            # ssh takes the first value that it is given
            *endpoint.options.items(),
            ("BatchMode", "yes"),
            ("ConnectTimeout", _timeout(endpoint.connect_timeout_s)),
            ("ConnectionAttempts", str(endpoint.connect_attempts or "")),
            ("ServerAliveInterval", "20"),
            ("ServerAliveCountMax", "3"),
            ("StrictHostKeyChecking", _HOST_KEY_CHECKING[endpoint.host_key_policy]),
            ("UserKnownHostsFile", self._known_hosts()),
            ("Port", str(endpoint.port or "")),
            ("User", endpoint.user),
            ("IdentityFile", _path(endpoint.private_key)),
            ("CertificateFile", _path(endpoint.certificate)),
            ("ProxyJump", ",".join(map(_jump, endpoint.bastions))),
            ("ProxyCommand", endpoint.proxy_command),
            # what the first says is listened to, for the fingerprint of a new host key
            ("LogLevel", "DEBUG1" if is_first else "ERROR"),
            ("ControlMaster", "auto"),
            ("ControlPersist", "no"),
            ("ControlPath", self._socket(is_first=is_first)),
        )
        options = (f"-o{name}={value}" for name, value in settings if value)
        place = endpoint.address or endpoint.name
        return (self._client.program, "-T", "-e", "none", *options, "--", place, command)

    def _known_hosts(self) -> str:
        """Where ssh looks for host keys: nowhere, when any will do."""
        is_insecure = self._endpoint.host_key_policy is HostKeyPolicy.INSECURE
        return os.devnull if is_insecure else _path(self._endpoint.known_hosts)

    def _socket(self, *, is_first: bool) -> str:
        if is_first and self._multiplexes and self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="kubexm-"))
        path = "" if self._directory is None else f"{self._directory}/s"
        return path if path and len(path) <= _LONGEST_SOCKET else "none"


def _wanting(endpoint: Endpoint) -> str:
    """A variable that is set and that ssh cannot be told on its command line."""
    if endpoint.host_key_policy is HostKeyPolicy.PINNED:
        return "pinned host keys (kubexm_host_key)"
    if endpoint.private_key_content is not None:
        return "a key that is in no file (kubexm_private_key)"
    return "" if endpoint.proxy is None else "proxies (kubexm_proxy)"


def _timeout(seconds: float) -> str:
    """Whole seconds; nothing where nothing was said, so that ssh_config may say it."""
    return "" if seconds == DEFAULT_CONNECT_TIMEOUT_S else str(max(1, round(seconds)))


def _jump(bastion: Endpoint) -> str:
    """A bastion as ProxyJump of ssh_config(5) has it; its keys are the agent's and ssh_config's."""
    address = f"[{bastion.address}]" if ":" in bastion.address else bastion.address
    user = f"{bastion.user}@" if bastion.user else ""
    return f"{user}{address}" + (f":{bastion.port}" if bastion.port else "")


def _path(path: str) -> str:
    """A path as ssh_config(5) wants it."""
    return path and '"' + path.replace("%", "%%") + '"'


def _notices(said: str) -> Sequence[str]:
    """Each host key that ssh has accepted, with its fingerprint; bastions come before the host."""
    found: list[str] = []
    fingerprint = ""
    for line in said.splitlines():
        if shown := re.match(r"debug1: Server host key: \S+ (\S+)", line):
            fingerprint = shown[1]
        elif added := re.search(r"Permanently added (.+) to the list of known hosts", line):
            found.append(f"new host key {fingerprint} accepted for {added[1]}")
    return found


def plugin(endpoint: Endpoint) -> OpenSshConnector:
    """The entry point `openssh`."""
    return OpenSshConnector(endpoint)
