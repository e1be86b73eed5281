"""Bastions as the inventory names them → the endpoints that a connection goes through.

A bastion that is a host of the inventory brings its own address, credentials and host key, and
the bastions before it. Any other is an address for ssh, as in ProxyJump of ssh_config(5).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from kubexm.connector import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubexm.inventory.model import Host

VARIABLE = "kubexm_bastion"

_WRITTEN = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@\s]+)@)?"
    r"(?P<address>\[[0-9A-Fa-f:.%\w]+\]|[^@:/\[\]\s]+)(?::(?P<port>[0-9]{1,5}))?/?"
)
_HIGHEST_PORT = 65_535


class RouteError(Exception):
    """Bastions that lead nowhere, as a sentence; `host` is whose they are."""

    def __init__(self, message: str, *, host: str) -> None:
        super().__init__(message)
        self.host = host


class Hop(NamedTuple):
    """One bastion as it was written: `text`, and what it says when no host has that name."""

    text: str
    user: str
    address: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Hop:
        """What `gate`, `user@gate`, `gate:2222` or `user@[2001:db8::1]:22` stands for.

        Raises:
            ValueError: None of these, as a sentence without a subject.
        """
        match = _WRITTEN.fullmatch(text)
        port = int(match["port"] or 0) if match else 0
        if match is None or match["port"] == "0" or port > _HIGHEST_PORT:
            message = f"must be a host of the inventory or user@host:port, not {text!r}"
            raise ValueError(message)
        return cls(text, match["user"] or "", match["address"].strip("[]"), port)


def with_bastions(
    hosts: Sequence[Host], hops: Mapping[str, Sequence[Hop]]
) -> tuple[tuple[Host, ...], tuple[RouteError, ...]]:
    """The hosts with the endpoints of their bastions, and what is wrong with some of them.

    Args:
        hosts: All hosts.
        hops: By host's name what it is to go through.
    """
    routes = _Routes({host.name: host for host in hosts}, hops)
    found, faults = [], []
    for host in hosts:
        try:
            bastions = routes.to(host.name)
        except RouteError as error:
            faults.append(error)
            bastions = ()
        if bastions:
            host = replace(host, endpoint=replace(host.endpoint, bastions=bastions))  # noqa: PLW2901 - the same, further on
        found.append(host)
    return tuple(found), tuple(faults)


class _Routes:
    """Finds each route once; `_on_the_way` holds the hosts whose routes are being found."""

    def __init__(self, hosts: Mapping[str, Host], hops: Mapping[str, Sequence[Hop]]) -> None:
        self._hosts = hosts
        self._hops = hops
        self._found: dict[str, tuple[Endpoint, ...]] = {}
        self._on_the_way: list[str] = []

    def to(self, name: str) -> tuple[Endpoint, ...]:
        """The bastions before a host, the one that is dialled directly first.

        A host that is one of its own bastions, because it has the variable from a group, is
        reached through those that are named before it.

        Raises:
            RouteError: It goes in a circle, or through what is not reached by ssh.
        """
        if name in self._found:
            return self._found[name]
        hops = list(self._hops.get(name, ()))
        texts = [hop.text for hop in hops]
        if name in texts:
            del hops[texts.index(name) :]
        if not hops:
            return ()
        if name in self._on_the_way:
            circle = [*self._on_the_way[self._on_the_way.index(name) :], name]
            message = f"the bastions lead in a circle: {' → '.join(circle)}"
            raise RouteError(message, host=name)
        self._on_the_way.append(name)
        try:
            first = hops[0].text
            before = self.to(first) if first in self._hosts else ()
        finally:
            self._on_the_way.pop()
        route = (*before, *(self._endpoint(hop, name) for hop in hops))
        self._found[name] = route
        return route

    def _endpoint(self, hop: Hop, name: str) -> Endpoint:
        bastion = self._hosts.get(hop.text)
        if bastion is None:
            return _address(hop, self._hosts[name].endpoint)
        if bastion.connection != "ssh":
            message = (
                f"the bastion {bastion.name!r} is reached by {bastion.connection}; "
                "only ssh can go on from there"
            )
            raise RouteError(message, host=name)
        return replace(bastion.endpoint, bastions=())


def _address(hop: Hop, behind: Endpoint) -> Endpoint:
    """A bastion that no host describes: the keys of the agent, of ssh_config, of ~/.ssh.

    What is said of the way to the machine behind counts for it too, its credentials do not,
    and neither does a trust that was meant for that machine alone.
    """
    return Endpoint(
        name=hop.text,
        address=hop.address,
        port=hop.port,
        user=hop.user,
        host_key_policy=behind.host_key_policy.for_others(),
        known_hosts=behind.known_hosts,
        connect_timeout_s=behind.connect_timeout_s,
        connect_attempts=behind.connect_attempts,
        proxy=behind.proxy,
        proxy_command=behind.proxy_command,
    )
