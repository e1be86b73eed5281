from __future__ import annotations

import pytest

from kubexm.errors import HostError
from kubexm.facts import Facts
from kubexm.runner.operations import CommandRun
from kubexm.shell import Reply
from kubexm_linux.command import Commands, CommandState

FACTS = Facts()
OP = CommandRun(command="make 'it'\nso", creates="/it is", only_if="test x", deadline_s=7)


def test_conditions_are_arguments() -> None:
    assert Commands().probe(OP, FACTS).text == "kx_needed '/it is' '' 'test x'"


def test_command_is_run_as_it_is_with_its_deadline() -> None:
    change = Commands().change(OP, CommandState(is_needed=True), FACTS)
    assert change is not None
    assert (change.script.text, change.script.deadline_s) == (OP.command, 7)
    assert change.script.payload is None
    assert change.diff == "+ran: make 'it'\n"
    assert Commands().change(OP, change.after, FACTS) is None


@pytest.mark.parametrize(("said", "is_needed"), [(b"needed\n", True), (b"done\n", False)])
def test_answer_is_one_word(said: bytes, is_needed: bool) -> None:  # noqa: FBT001 - a parameter
    reply = Reply(exit_status=0, stdout=said)
    assert Commands().read(OP, reply, FACTS) == CommandState(is_needed=is_needed)


@pytest.mark.parametrize("said", [b"", b"need"])
def test_no_answer_is_an_error_and_no_guess(said: bytes) -> None:
    reply = Reply(exit_status=1, stdout=said, stderr=b"eval: syntax error\n")
    with pytest.raises(HostError, match=r"could not be tried: eval: syntax error"):
        Commands().read(OP, reply, FACTS)
