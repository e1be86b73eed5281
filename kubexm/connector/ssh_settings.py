"""What ssh_config(5) says about one machine, as values, and what the endpoint leaves to it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.connector.endpoint import DEFAULT_CONNECT_TIMEOUT_S, Endpoint, HostKeyPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KEEPALIVE_S = 15
_KEEPALIVE_COUNT = 4
"""A peer that is gone is noticed within about a minute, as `dial` has it for the TCP link."""
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_TIME = re.compile(r"(\d+)([smhdw]?)", re.IGNORECASE)
_USER_FILES = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_SYSTEM_FILES = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """The endpoint's word where it has one, else ssh_config's, else ssh's default.

    Args:
        key_files: IdentityFile; used when the endpoint names no key.
        certificate_file: CertificateFile; empty leaves it to what lies beside the key.
        only_key_files: IdentitiesOnly.
        host_key_alias: HostKeyAlias.
        host_key_policy: The endpoint's; StrictHostKeyChecking can only make it stricter.
        known_hosts: The user's files; a new key is recorded in the first.
        system_known_hosts: Read too, never written.
        connect_timeout_s: The endpoint's, else ConnectTimeout.
        connect_attempts: The endpoint's, else ConnectionAttempts.
        keepalive_s: ServerAliveInterval; 0 asks for no sign of life.
        keepalive_count: ServerAliveCountMax.
        proxy_jump: ProxyJump as written; empty for none.
        proxy_command: ProxyCommand with its tokens; empty for none.
    """

    key_files: tuple[str, ...] = ()
    certificate_file: str = ""
    only_key_files: bool = False
    host_key_alias: str = ""
    host_key_policy: HostKeyPolicy = HostKeyPolicy.ACCEPT_NEW
    known_hosts: tuple[Path, ...]
    system_known_hosts: tuple[Path, ...]
    connect_timeout_s: float = DEFAULT_CONNECT_TIMEOUT_S
    connect_attempts: int = 1
    keepalive_s: float = _KEEPALIVE_S
    keepalive_count: int = _KEEPALIVE_COUNT
    proxy_jump: str = ""
    proxy_command: str = ""

    @classmethod
    def of(cls, endpoint: Endpoint, config: Mapping[str, object]) -> SshSettings:
        """The settings for an endpoint.

        Args:
            endpoint: Has the say.
            config: What ssh_config has for it, keys in lower case.

        Raises:
            ValueError: A value that OpenSSH would not take either; names the keyword.
        """
        words = {key: str(value) for key, value in config.items() if isinstance(value, str)}
        files = config.get("identityfile")
        timeout_s = endpoint.connect_timeout_s
        if timeout_s == DEFAULT_CONNECT_TIMEOUT_S:
            timeout_s = _seconds(words, "connecttimeout") or DEFAULT_CONNECT_TIMEOUT_S
        own = endpoint.known_hosts and shlex.quote(endpoint.known_hosts)
        keepalive_s = _seconds(words, "serveraliveinterval")
        return cls(
            key_files=tuple(files) if isinstance(files, list) else (),
            certificate_file=words.get("certificatefile", ""),
            only_key_files=words.get("identitiesonly", "").lower() == "yes",
            host_key_alias=words.get("hostkeyalias", ""),
            host_key_policy=_policy(endpoint, words.get("stricthostkeychecking", "")),
            known_hosts=tuple(_paths(own or words.get("userknownhostsfile") or _USER_FILES)),
            system_known_hosts=tuple(_paths(words.get("globalknownhostsfile") or _SYSTEM_FILES)),
            connect_timeout_s=timeout_s,
            connect_attempts=endpoint.connect_attempts
            or max(1, _number(words, "connectionattempts", 1)),
            keepalive_s=_KEEPALIVE_S if keepalive_s is None else keepalive_s,
            keepalive_count=max(1, _number(words, "serveralivecountmax", _KEEPALIVE_COUNT)),
            proxy_jump=_unless_none(words.get("proxyjump", "")),
            proxy_command=_unless_none(words.get("proxycommand", "")),
        )


def _policy(endpoint: Endpoint, checking: str) -> HostKeyPolicy:
    """`no` and `ask` of ssh_config change nothing: insecure has to be spelled out for a host."""
    policy = endpoint.host_key_policy
    if policy is HostKeyPolicy.ACCEPT_NEW and checking.lower() in {"yes", "true"}:
        return HostKeyPolicy.STRICT
    return policy


def _paths(files: str) -> Iterator[Path]:
    """`none` names no file, but whoever writes a new key needs one."""
    for name in shlex.split(files):
        where = Path("/dev/null") if name.lower() == "none" else Path(name.replace("%d", "~"))
        yield where.expanduser()


def _seconds(words: Mapping[str, str], keyword: str) -> float | None:
    """A time as ssh_config(5) writes it: 10, 1m, 1h30m; `none` is nothing."""
    text = words.get(keyword, "none")
    if text.lower() == "none":
        return None
    parts = _TIME.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        message = f"{keyword} is no time: {text!r}"
        raise ValueError(message)
    return float(sum(int(number) * _UNITS_S[unit.lower()] for number, unit in parts))


def _number(words: Mapping[str, str], keyword: str, default: int) -> int:
    text = words.get(keyword)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        message = f"{keyword} is no number: {text!r}"
        raise ValueError(message) from None


def _unless_none(text: str) -> str:
    return "" if text.lower() == "none" else text
