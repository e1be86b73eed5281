"""What an operation is, and what a handler does with it: the border that plugins implement."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from kubexm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.facts import Facts
    from kubexm.shell import Reply, Script

Scope: TypeAlias = frozenset[str]
"""Names of things on a machine, as "kind:name", for example "file:/etc/hosts" or
"package:chrony". A name that ends in "*" stands for everything that starts so."""

EVERYTHING: Scope = frozenset({"*"})


def overlaps(one: Scope, other: Scope) -> bool:
    """Whether two scopes may mean the same thing somewhere."""
    return any(_meets(a, b) for a in one for b in other)


def _meets(a: str, b: str) -> bool:
    if a.endswith("*") and b.endswith("*"):
        return a[:-1].startswith(b[:-1]) or b[:-1].startswith(a[:-1])
    if a.endswith("*"):
        return b.startswith(a[:-1])
    if b.endswith("*"):
        return a.startswith(b[:-1])
    return a == b


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What should be, as a value. Subclasses are frozen dataclasses, named by a noun of state."""

    def label(self) -> str:
        """The operation in a few words, free of secrets: "package chrony, socat"."""
        return type(self).__name__

    def touches(self) -> Scope:
        """What its reading depends on. The default, everything, is always safe."""
        return EVERYTHING

    def alters(self) -> Scope:
        """What its change may alter. The default is what it touches."""
        return self.touches()

    @property
    def is_secret(self) -> bool:
        """Whether a `Secret` is in it at any depth: then reply, states and diff are secret too."""
        kind: Any = type(self)
        for name in _field_names(kind):
            value = getattr(self, name)
            if type(value) not in _PLAIN and holds_secret(value):
                return True
        return False


@functools.cache
def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


_PLAIN: frozenset[type] = frozenset({str, int, bool, bytes, float, type(None)})
"""What most fields are: told at a look, because every operation is asked several times a run."""


def holds_secret(value: object) -> bool:
    """Whether a secret is in it, at any depth of what an operation's field may be made of."""
    if type(value) in _PLAIN:
        return False
    match value:
        case Secret():
            return True
        case Mapping():
            return any(holds_secret(item) for item in value.values())
        case tuple() | list() | frozenset() | set():
            return any(holds_secret(item) for item in value)
        case _ if dataclasses.is_dataclass(value):
            kind: Any = type(value)
            return any(holds_secret(getattr(value, name)) for name in _field_names(kind))
        case _:
            return False


def scope(kind: str, names: Iterable[str]) -> Scope:
    """A scope of one kind: `scope("file", ["/etc/hosts"])`."""
    return frozenset(f"{kind}:{name}" for name in names)


OperationT_contra = TypeVar("OperationT_contra", bound=Operation, contravariant=True)
StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[StateT]):
    """What it takes to get from the state that was read to the one that should be.

    Args:
        before: The state that was read.
        after: The state to expect.
        script: Brings it about; exit status 0 means success.
        diff: Unified, before to after; exact, because check mode shows the same.
        alters_facts: The host's facts are read again after it, before anything else is done.
    """

    before: StateT
    after: StateT
    script: Script
    diff: str
    alters_facts: bool = False


class Handler(Protocol[OperationT_contra, StateT]):
    """How one kind of machine reads and changes one kind of operation. Pure: never does I/O.

    Everything it knows arrives as arguments, so a recorded reply tests it without a machine.
    """

    @property
    def operation(self) -> type[Any]:
        """The class of operations that it handles."""
        ...

    def supports(self, facts: Facts) -> bool:
        """Whether it can work on this machine; the first that can is chosen."""
        ...

    def probe(self, op: OperationT_contra, facts: Facts) -> Script:
        """A read-only script, safe in check mode, whose output is canonical.

        Sorted, without timestamps or PIDs: two readings of one state are equal byte for byte.
        """
        ...

    def read(self, op: OperationT_contra, reply: Reply, facts: Facts) -> StateT:
        """The state that the reply describes.

        Raises:
            UnmetError: A prerequisite is missing, so there is no state to speak of.
            HostError: The reply makes no sense; "cannot tell" is an error, never a guess.
        """
        ...

    def change(self, op: OperationT_contra, state: StateT, facts: Facts) -> Change[StateT] | None:
        """What to do; `None` when it is already so.

        Raises:
            HostError: It cannot be done on this machine, and why.
        """
        ...


AnyHandler: TypeAlias = Handler[Any, Any]


@runtime_checkable
class Notes(Protocol):
    """An optional ability of a handler: to say what does not apply on this machine."""

    def notes(self, op: Any, state: Any, facts: Facts) -> tuple[str, ...]:  # noqa: ANN401 - see Handler
        """Sentences such as "net.ipv4.ip_forward: not set at run time in a container"."""
        ...
