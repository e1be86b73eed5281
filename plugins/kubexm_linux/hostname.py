"""The machine's own name, now and at boot (hostname(5), hostname(7))."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

from kubexm.errors import HostError
from kubexm.runner import Change, fields_diff
from kubexm.runner.operations import Hostname
from kubexm.shell import FILE, Library, Reply, Script
from kubexm_linux.state import Kind, probe_state, read_state

if TYPE_CHECKING:
    from kubexm.facts import Facts

NAMES = Library.load("kubexm_linux", "names")
"""Functions about the machine's own name."""

PATH = "/etc/hostname"
_LIMIT = 4096
_MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class HostnameState:
    """The two places where a name is.

    Args:
        running: The kernel's; `None` for an image, which has no kernel.
        persistent: The one in /etc/hostname; empty when there is none.
        mode: Of that file; the one that it would be made with when there is none.
    """

    running: str | None
    persistent: str
    mode: int = _MODE


class Hostnames:
    """`Hostname` on any Linux: a container has a name of its own (uts_namespaces(7))."""

    operation = Hostname

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: Hostname, facts: Facts) -> Script:
        """See `Handler.probe`; an image would answer with the name of the machine it is on."""
        del op
        file = probe_state(PATH, limit=_LIMIT)
        return Script.command("uname", "-n").then(file) if facts.machine.is_booted else file

    def read(self, op: Hostname, reply: Reply, facts: Facts) -> HostnameState:
        """See `Handler.read`."""
        del op
        running, rest = None, reply
        if facts.machine.is_booted and reply.exit_status == 0:
            name, _, stdout = reply.stdout.partition(b"\n")
            running, rest = name.decode("ascii", "backslashreplace"), replace(reply, stdout=stdout)
        file = read_state(PATH, rest, limit=_LIMIT)
        if file.kind is Kind.ABSENT:
            return HostnameState(running=running, persistent="")
        if file.content is None:
            message = f"{PATH} is {_oddity(file.kind)}"
            raise HostError(message, hint="remove it first")
        persistent = _first_name(file.content.decode("utf-8", "backslashreplace"))
        return HostnameState(running=running, persistent=persistent, mode=file.mode)

    def change(
        self, op: Hostname, state: HostnameState, facts: Facts
    ) -> Change[HostnameState] | None:
        """See `Handler.change`."""
        del facts
        running = None if state.running is None else op.name
        after = replace(state, running=running, persistent=op.name)
        if after == state:
            return None
        scripts: list[Script] = []
        if state.persistent != op.name:
            payload = f"{op.name}\n".encode()
            write = ("kx_replace", PATH, f"{state.mode:o}")
            scripts.append(FILE.call(*write, payload=payload, in_variable=True))
        if state.running != running:
            scripts.append(NAMES.call("kx_hostname_set", op.name))
        return Change(
            before=state,
            after=after,
            script=reduce(Script.then, scripts),
            diff=fields_diff("hostname", state, after),
            alters_facts=True,
        )

    def notes(self, op: Hostname, state: HostnameState, facts: Facts) -> tuple[str, ...]:
        """See `Notes.notes`."""
        del state
        if facts.machine.is_booted:
            return ()
        return (f"{op.label()}: only in {PATH}, because an image is not running",)


def _first_name(text: str) -> str:
    """hostname(5): the first line that is neither empty nor a comment."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")


def _oddity(kind: Kind) -> str:
    match kind:
        case Kind.FILE:
            return f"larger than {_LIMIT} bytes"
        case Kind.DANGLING:
            return "a symbolic link that leads nowhere"
        case _:
            return f"not a regular file but a {kind}"
