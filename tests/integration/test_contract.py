"""The contract of handlers notices every broken promise, tried with handlers that break one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.local import LocalConnector
from kubexm.runner import Catalogue, Change, Family, Host, Operation
from kubexm.secret import Secret
from kubexm.shell import Reply, Script, Session, quote
from kubexm.testing import ContractError, HandlerContract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kubexm.facts import Facts
    from kubexm.runner import AnyHandler

pytestmark = pytest.mark.integration


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Operation):
    """A file with one line of text."""

    path: str
    text: str = "wanted"
    secret: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteState:
    text: str


class Honest:
    """Keeps every promise; each of the others breaks one."""

    operation = Note

    def supports(self, facts: Facts) -> bool:
        del facts
        return True

    def probe(self, op: Note, facts: Facts) -> Script:
        del facts
        return Script(f"cat {quote(op.path)} || :")

    def read(self, op: Note, reply: Reply, facts: Facts) -> NoteState:
        del op, facts
        return NoteState(text=reply.text.strip())

    def change(self, op: Note, state: NoteState, facts: Facts) -> Change[NoteState] | None:
        del facts
        if state.text == op.text:
            return None
        return Change(
            before=state,
            after=NoteState(text=op.text),
            script=Script(f"echo {quote(op.text)} >{quote(op.path)}"),
            diff=f"-{state.text}\n+{op.text}\n",
        )


class WritingProbe(Honest):
    def probe(self, op: Note, facts: Facts) -> Script:
        return Script(f"touch {quote(op.path)}.log; {super().probe(op, facts).text}")


class RestlessProbe(Honest):
    def probe(self, op: Note, facts: Facts) -> Script:
        return Script(
            f"{super().probe(op, facts).text}; cat /proc/uptime /proc/sys/kernel/random/uuid"
        )


class WrongForecast(Honest):
    def change(self, op: Note, state: NoteState, facts: Facts) -> Change[NoteState] | None:
        change = super().change(op, state, facts)
        return change and replace(change, after=NoteState(text="something else"))


class UnsettledForecast(Honest):
    def read(self, op: Note, reply: Reply, facts: Facts) -> NoteState:
        return NoteState(text=super().read(op, reply, facts).text.upper())


class NoDiff(Honest):
    def change(self, op: Note, state: NoteState, facts: Facts) -> Change[NoteState] | None:
        change = super().change(op, state, facts)
        return change and replace(change, diff="")


class Idle(Honest):
    def change(self, op: Note, state: NoteState, facts: Facts) -> Change[NoteState] | None:
        change = super().change(op, state, facts)
        return change and replace(change, script=Script("true"))


class Chatty(Honest):
    """Prints the secret in a note of its own making."""

    def read(self, op: Note, reply: Reply, facts: Facts) -> NoteState:
        return super().read(op, reply, facts)

    def notes(self, op: Note, state: NoteState, facts: Facts) -> tuple[str, ...]:
        del state, facts
        return (op.secret.reveal(),) if op.secret else ()


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session.open(LocalConnector().open)
    yield session
    session.close()


def contract(
    session: Session, handler: AnyHandler, home: Path, **fields: Secret
) -> HandlerContract:
    family = Family(name="any", match=lambda _: 1, handlers=(handler,))
    host = Host.open("here", session, Catalogue([family]))
    (home / "note").write_text("other\n")
    operation = Note(path=str(home / "note"), secret=fields.get("secret"))
    return HandlerContract(host=host, operation=operation, watched=(str(home),))


def test_honest_handler_passes(session: Session, tmp_path: Path) -> None:
    outcome = contract(session, Honest(), tmp_path).check()
    assert outcome.diff == "-other\n+wanted\n"
    contract(session, Honest(), tmp_path, secret=Secret("hush")).check()


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (WritingProbe(), "watched paths after two probes"),
        (RestlessProbe(), "second reading"),
        (WrongForecast(), "what is left to do in the expected state"),
        (UnsettledForecast(), "the host is still not so"),
        (NoDiff(), "the change has no diff"),
        (Idle(), "the host is still not so"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_broken_promise_is_told(
    session: Session, tmp_path: Path, handler: AnyHandler, message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        contract(session, handler, tmp_path).check()


def test_secret_that_shows_is_told(session: Session, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="shows the secret secret"):
        contract(session, Chatty(), tmp_path, secret=Secret("hush hush")).check()


def test_nothing_to_try_is_told(session: Session, tmp_path: Path) -> None:
    one = contract(session, Honest(), tmp_path)
    (tmp_path / "note").write_text("wanted\n")
    with pytest.raises(ContractError, match="is so already"):
        one.check()
    one.check_settled()
    (tmp_path / "note").write_text("other\n")
    with pytest.raises(ContractError, match="status when it is so already"):
        one.check_settled()
