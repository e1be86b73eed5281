"""Adversarial operations on a machine that is nothing but keys with values.

Their scripts run in memory and, with the library `KEYS`, in a real sh where each key is a file
of a directory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from kubexm.errors import UnmetError
from kubexm.facts import Facts
from kubexm.runner import (
    EVERYTHING,
    Catalogue,
    Change,
    Family,
    Host,
    Operation,
    Scope,
    scope,
    text_diff,
)
from kubexm.shell import Reply, Script, quote
from kubexm.testing.fake import FakeMachine
from tests.unit.runner.store import HOSTNAME, KEYS, Store, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kubexm.secret import Secret
    from kubexm.testing.fake import Fault


class Conduct(StrEnum):
    """How a change behaves."""

    HONEST = "honest"
    FAILS = "fails"
    """After all but its own key."""
    LIES = "lies"
    """Says that it succeeded, and does nothing."""
    DIES = "dies"
    """Takes the whole session along; only on a real machine."""


class ByFact(StrEnum):
    """What of an operation depends on the fact."""

    NOTHING = ""
    VALUE = "value"
    PROBE = "probe"
    """It reads the key that is called like the host."""


Values = tuple[tuple[str, str | None], ...]
"""A state: the probed keys, in the probe's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(Operation):
    """A key has a value.

    Args:
        name: Unique in a sequence; its change writes it to the log.
        key: Its own.
        value: What should be there; the first of `watches`' value is appended if it `derives`.
        watches: Keys that its probe reads too.
        also: What its change sets besides, before its own.
        needs: A key without which it cannot be read.
        takes_payload: The value travels as the change's payload.
        flaps: No two readings are equal.
        says: What its change writes to both outputs; the secret, when it has one.
        secret: The value, instead of `value`.
        hides: Its handler calls the probe secret, though it holds no `Secret`.
        answered: Its probe may be answered without a process, so that it is read late.
        lasting: Its probe is, so that it may not be read again.
        directory: Of the keys, on a real machine.
    """

    name: str
    key: str
    value: str = "1"
    watches: tuple[str, ...] = ()
    derives: bool = False
    also: tuple[tuple[str, str], ...] = ()
    needs: str = ""
    conduct: Conduct = Conduct.HONEST
    by_fact: ByFact = ByFact.NOTHING
    takes_payload: bool = False
    flaps: bool = False
    says: str = ""
    secret: Secret | None = None
    hides: bool = False
    answered: bool = False
    lasting: bool = False
    directory: str = "-"

    @property
    def reads(self) -> tuple[str, ...]:
        """The keys of its probe that do not depend on facts."""
        return tuple(filter(None, (self.key, *self.watches, self.needs)))

    @property
    def sets(self) -> tuple[str, ...]:
        """The keys that its change may alter."""
        return (*(key for key, _ in self.also), self.key)

    @property
    def alters_facts(self) -> bool:
        """Whether the fact is among them."""
        return HOSTNAME in self.sets

    def label(self) -> str:
        """See `Operation.label`."""
        return f"key {self.name}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return EVERYTHING if self.by_fact is ByFact.PROBE else scope("key", self.reads)

    def alters(self) -> Scope:
        """See `Operation.alters`."""
        return EVERYTHING if self.alters_facts else scope("key", self.sets)


class PickyKey(Key):
    """A key whose handler depends on the fact; there is none for the host name "z"."""


class KeyHandler:
    """Reads and sets keys.

    Args:
        operation: `Key`, or a subclass.
        suffix: Tells this handler's values from another's.
        hostnames: Those that it supports; all when empty.
    """

    def __init__(
        self, operation: type[Key] = Key, *, suffix: str = "", hostnames: tuple[str, ...] = ()
    ) -> None:
        self._operation = operation
        self._suffix = suffix
        self._hostnames = hostnames

    @property
    def operation(self) -> type[Key]:
        """See `Handler.operation`."""
        return self._operation

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        return not self._hostnames or facts.hostname in self._hostnames

    def probe(self, op: Key, facts: Facts) -> Script:
        """See `Handler.probe`."""
        reads = op.reads + ((facts.hostname,) if op.by_fact is ByFact.PROBE else ())
        flap = [["keys_flap", op.directory]] if op.flaps else []
        script = replace(_script(["keys_get", op.directory, *reads], *flap), lasting=op.lasting)
        if op.answered and not op.flaps:
            script = replace(script, answer="false")  # never is
        return script.hidden() if op.hides else script

    def read(self, op: Key, reply: Reply, facts: Facts) -> Values:
        """See `Handler.read`."""
        del facts
        said = reply.text.splitlines()
        lines = [line.partition("=") for line in (said[:-1] if op.flaps else said)]
        values = tuple((key, value if equals else None) for key, equals, value in lines)
        if op.needs and dict(values)[op.needs] is None:
            message = f"{op.needs} is not there"
            assumed = tuple((key, "any" if key == op.needs else value) for key, value in values)
            raise UnmetError(message, assumed=assumed)
        return values

    def change(self, op: Key, state: Values, facts: Facts) -> Change[Values] | None:
        """See `Handler.change`."""
        present = dict(state)
        wanted = op.secret.reveal() if op.secret is not None else op.value
        if op.derives:
            wanted += f".{present[op.watches[0]] or ''}"
        if op.by_fact is ByFact.VALUE:
            wanted += f"@{facts.hostname}"
        wanted += self._suffix
        if present[op.key] == wanted:
            return None
        will = dict(op.also) | {op.key: wanted}
        after = tuple((key, will.get(key, value)) for key, value in state)
        before = None if present[op.key] is None else f"{present[op.key]}\n"
        return Change(
            before=state,
            after=after,
            script=self._script(op, wanted),
            diff=text_diff(op.key, before, f"{wanted}\n"),
            alters_facts=op.alters_facts,
        )

    def _script(self, op: Key, wanted: str) -> Script:
        lines = [["keys_log", op.directory, op.name]]
        if op.says:
            lines.append(["keys_say", *[wanted if op.secret is not None else op.says] * 2])
        if op.conduct is not Conduct.LIES:
            lines += [["keys_set", op.directory, *pair] for pair in op.also]
        if op.conduct is Conduct.FAILS:
            lines.append(["exit", "3"])
        if op.conduct is Conduct.DIES:
            lines.append(["keys_die"])
        if op.conduct is not Conduct.HONEST:
            return _script(*lines)
        if op.takes_payload:
            last = ["keys_take", op.directory, op.key]
            return _script(*lines, last, payload=wanted.encode())
        return _script(*lines, ["keys_set", op.directory, op.key, wanted])


CATALOGUE = Catalogue(
    [
        Family(
            name="keys",
            match=lambda facts: 1,  # noqa: ARG005 - it fits every machine
            handlers=(
                KeyHandler(),
                KeyHandler(PickyKey, suffix="!a", hostnames=("a",)),
                KeyHandler(PickyKey, suffix="!b", hostnames=("b", "c")),
            ),
        )
    ]
)


def fake(
    keys: Mapping[str, str],
    *,
    faults: Iterable[Fault] = (),
    before_trip: Callable[[int, Store], None] | None = None,
    flaps: Callable[[str], bool] | None = None,
) -> tuple[Host, FakeMachine[Store]]:
    """A host, and the machine in memory behind it; without a host name in `keys` it is "a"."""
    store = Store({HOSTNAME: "a", **keys})
    machine = FakeMachine(answer, store, faults=faults, before_trip=before_trip, flaps=flaps)
    facts = Facts(hostname=store.keys[HOSTNAME])
    return Host("fake", machine.session(), CATALOGUE, facts), machine


def _script(*commands: list[str], payload: bytes | None = None) -> Script:
    text = "\n".join(" ".join(map(quote, words)) for words in commands)
    return Script(text, libraries=(KEYS,), payload=payload)
