"""An operation of one's own: a greeting in a file, one word that this package alone knows of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import HostError
from kubexm.runner import Change, Operation, OperationPlugin, Outcome, Scope, text_diff
from kubexm.shell import Library, Reply, Script

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubexm.facts import Facts

_SHELL = Library(
    "kubexm_outside",
    """
greeting_read() { [ ! -e "$1" ] || cat -- "$1"; }
greeting_write() { cat >"$1"; }
""",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting(Operation):
    """A file that holds "hello NAME"."""

    path: str
    name: str

    def label(self) -> str:
        """See `Operation.label`."""
        return f"greeting for {self.name}"

    def touches(self) -> Scope:
        """See `Operation.touches`."""
        return frozenset({f"file:{self.path}"})


class Greetings:
    """`Greeting` on any Linux."""

    operation = Greeting

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: Greeting, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del facts
        return _SHELL.call("greeting_read", op.path)

    def read(self, op: Greeting, reply: Reply, facts: Facts) -> str:
        """See `Handler.read`."""
        del facts
        if reply.exit_status != 0:
            message = f"cannot read {op.path}"
            raise HostError(message)
        return reply.text

    def change(self, op: Greeting, state: str, facts: Facts) -> Change[str] | None:
        """See `Handler.change`."""
        del facts
        after = f"hello {op.name}\n"
        if state == after:
            return None
        return Change(
            before=state,
            after=after,
            script=_SHELL.call("greeting_write", op.path, payload=after.encode()),
            diff=text_diff(op.path, state, after),
        )


class Greeter:
    """A face: `host.use(Greeter).greet(...)`."""

    def __init__(self, apply: Callable[[Operation], Outcome]) -> None:
        self._apply = apply

    def greet(self, path: str, name: str) -> Outcome:
        """See `Greeting`."""
        return self._apply(Greeting(path=path, name=name))


plugin = OperationPlugin(operation=Greeting, handlers={"linux": (Greetings(),)})
