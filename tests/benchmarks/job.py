"""The jobs, as data: each tool writes them in its own language."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

BASE = "/srv/bench"
"""Each host has a directory of its own below it, because all are one machine."""


class Job(StrEnum):
    """What is measured."""

    PING = "ping"
    """Connect, and start a shell or what the tool has instead."""
    FACTS = "facts"
    """Everything that the tool finds out about a host by default."""
    COMMAND = "command"
    """One shell command, `hostname`."""
    FIRST = "first"
    """The forty operations on hosts where none of the per-host ones is done."""
    CONVERGED = "converged"
    """The same, where nothing is left to do."""
    FILE = "file"
    """One large file to every host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A directory, mode 0755."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A file with this content, mode 0644."""

    path: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A file from a template that names the host as `{{ host_name }}`."""

    path: str
    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line in a file."""

    path: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symbolic link."""

    path: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user who exists."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Packages that are installed."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A service that is enabled and running."""

    name: str


Item: TypeAlias = Folder | Text | Rendered | Line | Link | Account | Packages | Unit


def payload(name: str) -> str:
    """Where a host has the large file."""
    return f"{BASE}/{name}-payload"


def items(home: str) -> tuple[Item, ...]:
    """The forty operations, in order.

    Accounts, packages and services are there from the start: the hosts are one machine, on which
    only one at a time could make them.

    Args:
        home: The host's own directory; tools with variables of their own pass such a one.
    """
    text = "".join(f"# {number:02} what a configuration file says\n" for number in range(30))
    made: list[Item] = [Folder(path=home)]
    made += [Folder(path=f"{home}/d{n}") for n in range(7)]
    made += [
        Text(path=f"{home}/d{n % 7}/file{n}.conf", content=f"n = {n}\n{text}") for n in range(10)
    ]
    template = "host = {{ host_name }}\n{% for n in range(20) %}key{{ n }} = {{ n }}\n{% endfor %}"
    made += [
        Rendered(path=f"{home}/d{n}/t{n}.conf", template=f"t = {n}\n{template}") for n in range(6)
    ]
    made += [Line(path=f"{home}/d0/file0.conf.lines{n}", line=f"setting{n} = on") for n in range(4)]
    made += [Link(path=f"{home}/d{n}/link", target=f"{home}/d{n}") for n in range(4)]
    sysctl = "net.ipv4.ip_forward = 1\nvm.swappiness = 10\n"
    made += [Text(path=f"{home}/9{n}-sysctl.conf", content=sysctl) for n in range(2)]
    made += [Account(name=name) for name in ("games", "backup", "nopass")]
    made += [Packages(names=("sudo", "tzdata", "kmod")), Packages(names=("cron", "procps"))]
    made.append(Unit(name="cron"))
    return tuple(made)
