"""Hosts in memory whose only state is which marks were set, and a log of everybody's work."""

from __future__ import annotations

import shlex
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubexm.errors import HostError
from kubexm.runner import Catalogue, Change, Done, Family, Operation, Procedure, Scope, scope
from kubexm.shell import Reply, Script
from kubexm.testing import FakeFleet, FakeMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kubexm.facts import Facts
    from kubexm.runner import Host

ALWAYS = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark(Operation):
    """A mark is set.

    Args:
        name: Its name.
        fails: So many attempts fail before one sets it.
    """

    name: str
    fails: int = 0

    def label(self) -> str:
        return f"mark {self.name}"

    def touches(self) -> Scope:
        return scope("mark", [self.name])


class Marks:
    """`Mark` on any host."""

    operation = Mark

    def supports(self, facts: Facts) -> bool:
        del facts
        return True

    def probe(self, op: Mark, facts: Facts) -> Script:
        del facts
        return Script.command("mark_get", op.name)

    def read(self, op: Mark, reply: Reply, facts: Facts) -> str:
        del op, facts
        return reply.text

    def change(self, op: Mark, state: str, facts: Facts) -> Change[str] | None:
        del facts
        if state == "set\n":
            return None
        script = Script.command("mark_set", op.name, str(op.fails))
        return Change(before=state, after="set\n", script=script, diff=f"+{op.name}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring(Procedure):
    """A bell is rung; every time counts.

    Args:
        name: Its name.
        publishes: A value's name, under which it publishes how often it was rung.
        repeatable: See `Procedure.repeatable`.
    """

    name: str
    publishes: str = ""
    repeatable: bool = False

    def label(self) -> str:
        return f"ring {self.name}"

    def preview(self, host: Host) -> Done:
        del host
        return Done()

    def run(self, host: Host) -> Done:
        reply = host.session.ask(Script.command("ring", self.name))
        if reply.exit_status != 0:
            message = f"{self.name} does not ring"
            raise HostError(message)
        values = {self.publishes: reply.text.strip()} if self.publishes else {}
        return Done(stdout=reply.text, values=values)


@dataclass
class Log:
    """What all hosts did, in the order in which it happened. `lock` guards it."""

    did: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, host: str, what: str) -> None:
        with self.lock:
            self.did.append((host, what))

    def of(self, host: str) -> list[str]:
        """One host's work."""
        return [what for name, what in self.did if name == host]

    def hosts(self, what: str) -> list[str]:
        """The hosts that did something, in order."""
        return [name for name, done in self.did if done == what]


@dataclass
class Slate:
    """A host's state."""

    name: str
    log: Log
    marks: set[str] = field(default_factory=set)
    tries: Counter[str] = field(default_factory=Counter)
    broken: set[str] = field(default_factory=set)
    before: Callable[[str, str], None] | None = None
    """Called with the host and what it is about to do."""


def answer(text: str, payload: bytes | None, slate: Slate) -> Reply:
    """Run a script of ours."""
    del payload
    match shlex.split(text):
        case ["kx_facts"]:
            return Reply(exit_status=0, stdout=b"boot_id=1\n")
        case ["kx_lock", *_]:
            return Reply(exit_status=0)
        case ["mark_get", name]:
            return Reply(exit_status=0, stdout=b"set\n" if name in slate.marks else b"not set\n")
        case ["mark_set", name, fails]:
            return _did(slate, name, is_failing=slate.tries[name] < int(fails))
        case ["ring", name]:
            return _did(slate, name, is_failing=name in slate.broken)
        case words:
            message = f"not a command of ours: {words}"
            raise AssertionError(message)


def _did(slate: Slate, name: str, *, is_failing: bool) -> Reply:
    if slate.before is not None:
        slate.before(slate.name, name)
    slate.tries[name] += 1
    slate.log.add(slate.name, name)
    if is_failing:
        return Reply(exit_status=3, stderr=b"no luck\n")
    slate.marks.add(name)
    return Reply(exit_status=0, stdout=f"{slate.tries[name]}\n".encode())


CATALOGUE = Catalogue([Family(name="marks", match=lambda facts: 1, handlers=(Marks(),))])  # noqa: ARG005 - it fits every machine


class Village(FakeFleet):
    """A fleet of such hosts.

    Args:
        names: Of the hosts.
        groups: See `FakeFleet`.
        unreachable: See `FakeFleet`.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        groups: Mapping[str, Iterable[str]] | None = None,
        unreachable: Iterable[str] = (),
    ) -> None:
        self.log = Log()
        self.slates = {name: Slate(name=name, log=self.log) for name in names}
        machines = {name: FakeMachine(answer, slate) for name, slate in self.slates.items()}
        super().__init__(machines, CATALOGUE, groups=groups, unreachable=unreachable)
