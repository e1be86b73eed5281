"""What every handler promises, tried on a real host."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from kubexm.runner import Change, Host, Operation, Outcome, Status, check
from kubexm.secret import Secret
from kubexm.shell import Reply, Script, quote

if TYPE_CHECKING:
    from kubexm.errors import HostError

_TREE = (
    "find {paths} -xdev -exec stat -c '%n %F %a %u %g %s %y' {{}} + | sort; "
    "find {paths} -xdev -type f -exec sha256sum {{}} + | sort"
)


class ContractError(AssertionError):
    """A handler does not keep a promise; the message says which one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerContract:
    """The promises of one handler, with one operation on one host.

    - Its probe only reads, and two readings of one state are equal byte for byte.
    - `read` and `change` are pure, and the state that a change expects needs no other change.
    - Check mode changes nothing and predicts the very diff and state that apply comes to.
    - Applying costs two round trips; a second time costs one and changes nothing.
    - A secret shows in no outcome.

    Args:
        host: Open, and free to be changed. Its handler for the operation is the one on trial.
        operation: Not so yet on the host.
        watched: Paths on the host that a probe or a prediction could touch by mistake.
    """

    host: Host
    operation: Operation
    watched: tuple[str, ...] = ()

    def check(self) -> Outcome:
        """Try every promise; the host is as the operation says afterwards.

        Returns:
            What applying came to.

        Raises:
            ContractError: A promise is broken.
            HostError: The host could not be asked at all.
        """
        change = self._decided()
        if change is None:
            self._fail("the operation is so already, so that nothing can be tried")
        self._predicted(change)
        outcome = self._applied(change)
        self.check_settled()
        return outcome

    def check_settled(self) -> None:
        """Try the promises about an operation that is so already.

        Raises:
            ContractError: A promise is broken.
        """
        before = self._tree()
        trips = self.host.session.trips
        outcome = self._converged()
        self._expect("status when it is so already", outcome.status, Status.OK)
        self._expect("diff when it is so already", outcome.diff, "")
        self._expect("round trips when it is so already", self.host.session.trips - trips, 1)
        self._expect("watched paths when it is so already", self._tree(), before)

    def _decided(self) -> Change[object] | None:
        """What the handler makes of the host; its probe and its pure part on trial."""
        handler, facts, op = self.host.handler(self.operation), self.host.facts, self.operation
        before = self._tree()
        probe = handler.probe(op, facts)
        first, second = self._ask(probe), self._ask(probe)
        self._expect("watched paths after two probes", self._tree(), before)
        self._expect("second reading", _shown(second), _shown(first))
        self._expect("probe made twice", handler.probe(op, facts), probe)
        state = handler.read(op, first, facts)
        self._expect("state read twice", handler.read(op, second, facts), state)
        change: Change[object] | None = handler.change(op, state, facts)
        self._expect("change decided twice", handler.change(op, state, facts), change)
        if change is not None:
            self._expect("state before the change", change.before, state)
            rest = handler.change(op, change.after, facts)
            self._expect("what is left to do in the expected state", rest, None)
            if not change.diff:
                self._fail("the change has no diff")
        return change

    def _predicted(self, change: Change[object]) -> None:
        before = self._tree()
        (outcome,), _ = check(self.host, (self.operation,))
        self._raise(outcome.error)
        self._expect("status in check mode", outcome.status, Status.CHANGED)
        self._compare("in check mode", outcome, change)
        self._expect("watched paths after check mode", self._tree(), before)

    def _applied(self, change: Change[object]) -> Outcome:
        trips = self.host.session.trips
        outcome = self._converged()
        self._expect("status", outcome.status, Status.CHANGED)
        self._compare("after it was applied", outcome, change)
        self._expect("round trips", self.host.session.trips - trips, 2)
        return outcome

    def _converged(self) -> Outcome:
        (outcome,) = self.host.converge(self.operation)
        self._raise(outcome.error)
        for field in dataclasses.fields(self.operation):
            value = getattr(self.operation, field.name)
            if isinstance(value, Secret) and value.reveal() in repr(outcome):
                self._fail(f"the outcome shows the secret {field.name}")
        return outcome

    def _compare(self, when: str, outcome: Outcome, change: Change[object]) -> None:
        is_secret = self.operation.is_secret
        self._expect(f"diff {when}", outcome.diff, "" if is_secret else change.diff)
        self._expect(f"state {when}", outcome.after, None if is_secret else change.after)

    def _tree(self) -> str:
        """Everything about the watched paths but their access times."""
        if not self.watched:
            return ""
        paths = " ".join(quote(path) for path in self.watched)
        return self._ask(Script(_TREE.format(paths=paths))).text

    def _ask(self, script: Script) -> Reply:
        return self.host.session.ask(script, deadline_s=self.host.deadline_s)

    def _raise(self, error: HostError | None) -> None:
        if error is not None:
            message = f"{self.operation.label()}: {error}"
            raise ContractError(message) from error

    def _expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self._fail(
                f"{what}:\n{_indented(found)}\nwhere the contract wants\n{_indented(wanted)}"
            )

    def _fail(self, problem: str) -> NoReturn:
        message = f"{self.operation.label()}: {problem}"
        raise ContractError(message)


def _shown(reply: Reply) -> str:
    return f"exit status {reply.exit_status}\n{reply.text}"


def _indented(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return "\n".join(f"  {line}" for line in text.splitlines()) or "  (nothing)"
