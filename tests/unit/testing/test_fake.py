from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubexm.errors import DeadlineError, SessionLostError
from kubexm.secret import Secret
from kubexm.shell import (
    Become,
    Escalation,
    Guarded,
    GuardedReply,
    Library,
    Reply,
    Script,
    Session,
    Verdict,
    expectation,
)
from kubexm.testing.fake import FakeMachine, Fault
from kubexm.testing.wire import calls

if TYPE_CHECKING:
    from collections.abc import Callable

Texts = list[str]
HELD = Library("held", "held() {\n  kx_run\n  kx_batch () { echo 'it'; }\n}\n")


def echo(text: str, payload: bytes | None, state: Texts) -> Reply:
    """Say what was run; a script that starts with a digit exits with it."""
    state.append(text)
    status = int(text[0]) if text[:1].isdigit() and text.isascii() else 0
    stdout = text.encode("utf-8", "surrogateescape") + b"|" + (payload or b"")
    return Reply(exit_status=status, stdout=stdout, stderr=b"err")


def machine(
    *, before_trip: Callable[[int, Texts], None] | None = None, faults: tuple[Fault, ...] = ()
) -> FakeMachine[Texts]:
    return FakeMachine(echo, [], before_trip=before_trip, faults=faults)


def guard(probe: str, change: str | None, *, seen: Reply | None = None) -> Guarded:
    """A guard that expects what `echo` answers, or what was seen."""
    reading = seen or echo(probe, None, [])
    script = None if change is None else Script(change)
    return Guarded(probe=Script(probe), expected=expectation(reading), change=script)


def verdicts(replies: tuple[object, ...]) -> list[Verdict]:
    return [reply.verdict for reply in replies if isinstance(reply, GuardedReply)]


def test_a_script_is_answered_with_both_outputs_and_its_status() -> None:
    reply = machine().session().ask(Script('3 it\'s\n"so"', payload=b"\0\n"))
    assert reply == Reply(exit_status=3, stdout=b'3 it\'s\n"so"|\0\n', stderr=b"err")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
            st.binary() | st.none(),
        )
    ),
    st.integers(1, 400),
)
def test_any_text_and_payload_arrive_whole_in_pieces_of_any_size(
    scripts: list[tuple[str, bytes | None]], piece_bytes: int
) -> None:
    fake = FakeMachine[Texts](echo, [], piece_bytes=piece_bytes)
    session = fake.session()
    frames = [Script(text, payload=payload, libraries=(HELD,)) for text, payload in scripts]
    for _ in range(2):
        replies = session.run(frames).whole()
        expected = [echo(text, payload, []) for text, payload in scripts]
        assert list(replies) == expected
    assert fake.ran == [text for text, _ in scripts] * 2
    assert session.trips == (2 if frames else 0)


def test_a_script_that_looks_like_a_frame_is_none() -> None:
    text = "x\nkx_batch\nkx_run 0 'y' -\nkx_arm 0\n"
    fake = machine()
    assert fake.session().ask(Script(text)).stdout == f"{text}|".encode()
    assert fake.ran == [text]


def test_a_guard_applies_what_was_decided_on_this_very_reading() -> None:
    fake = machine()
    (reply,) = fake.session().run([guard("probe", "change")]).whole()
    assert isinstance(reply, GuardedReply)
    assert reply.verdict is Verdict.CHANGED
    assert reply.change == echo("change", None, [])
    assert reply.reading == echo("probe", None, [])
    assert fake.ran == ["probe", "change", "probe"]


def test_a_stale_guard_turns_all_behind_it_into_probes() -> None:
    fake = machine()
    other = Reply(exit_status=0, stdout=b"other")
    frames = [guard("a", None), guard("b", "change", seen=other), guard("c", "change")]
    replies = fake.session().run(frames).whole()
    assert verdicts(replies) == [Verdict.SAME, Verdict.STALE, Verdict.STALE]
    assert "change" not in fake.ran


def test_a_failed_change_skips_all_behind_it_and_swallows_their_payloads() -> None:
    late = Guarded(
        probe=Script("c"),
        expected=expectation(echo("c", None, [])),
        change=Script("change", payload=b"never read"),
    )
    fake = machine()
    session = fake.session()
    replies = session.run([guard("a", "1 fails"), late]).whole()
    assert verdicts(replies) == [Verdict.FAILED, Verdict.SKIPPED]
    assert session.ask(Script("next")).stdout == b"next|"


def test_an_unmet_guard_is_the_end() -> None:
    unmet = Guarded(
        probe=Script("a"), expected=expectation(echo("a", None, [])), change=None, unmet=True
    )
    replies = machine().session().run([unmet, guard("b", "change")]).whole()
    assert verdicts(replies) == [Verdict.UNMET, Verdict.SKIPPED]


@pytest.mark.parametrize("runs", [0, 1, 2])
def test_a_lost_link_keeps_the_replies_before_it_and_may_run_what_is_behind(runs: int) -> None:
    fake = machine(faults=(Fault.lost(trip=2, frame=1, runs=runs),))
    session = fake.session()
    session.ask(Script("first"))
    result = session.run([Script("a"), Script("b"), Script("c")])
    assert [reply.stdout for reply in result.replies if isinstance(reply, Reply)] == [b"a|"]
    assert isinstance(result.ended_by, SessionLostError)
    assert fake.ran == ["first", "a", "b", "c"][: 2 + runs]
    assert session.broken


@pytest.mark.parametrize("applied", [True, False])
def test_a_deadline_ends_the_session_at_the_frame_at_work(applied: bool) -> None:  # noqa: FBT001 - a parameter
    fake = machine(faults=(Fault.late(trip=1, frame=1, applied=applied),))
    result = fake.session().run([Script("a"), Script("b"), Script("c")])
    assert len(result.replies) == 1
    assert isinstance(result.ended_by, DeadlineError)
    assert fake.ran == (["a", "b"] if applied else ["a"])


def test_a_fault_beyond_the_batch_does_not_happen() -> None:
    session = machine(faults=(Fault.lost(trip=1, frame=1),)).session()
    assert session.ask(Script("a")).stdout == b"a|"
    assert session.ask(Script("b")).stdout == b"b|"


def test_what_others_do_happens_before_each_trip() -> None:
    fake = machine(before_trip=lambda trip, state: state.append(f"trip {trip}"))
    session = fake.session()
    session.run([Script("a"), Script("b")])
    session.ask(Script("c"))
    assert fake.state == ["trip 1", "a", "b", "trip 2", "c"]


def test_a_script_that_flaps_answers_something_else_each_time() -> None:
    fake = FakeMachine[Texts](echo, [], flaps=lambda text: text == "flap")
    session = fake.session()
    replies = [session.ask(Script(text)).stdout for text in ("flap", "still", "flap")]
    assert replies == [b"flap|1\n", b"still|", b"flap|2\n"]


@pytest.mark.parametrize("become", list(Become))
def test_whoever_is_asked_for_the_machine_is_root_already(become: Become) -> None:
    escalation = Escalation(method=become, password=Secret("never asked"))
    session = Session.open(machine().open, escalation)
    assert session.ask(Script("a")).stdout == b"a|"


def test_a_command_line_that_starts_no_session_is_refused() -> None:
    with pytest.raises(ValueError, match="not the command line of a session: 'uname -a'"):
        machine().open("uname -a")


def test_a_program_that_is_no_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="not a batch"):
        calls("kx_run() {\n  true\n}\nkx_run 0 $(date) -\n#token", "token")


def test_waiting_for_what_cannot_come_is_an_error_at_once() -> None:
    process = machine().open("sh 0123456789abcdef")
    assert process.exchange(memoryview(b""), 1).stdout == b"0123456789abcdef ready\n"
    with pytest.raises(AssertionError, match="waits for input; 60 s will not bring any"):
        process.exchange(memoryview(b""), 60)
    assert process.exit_status() is None


def test_a_process_that_was_killed_has_ended() -> None:
    process = machine().open("sh 0123456789abcdef")
    process.kill()
    process.kill()
    assert process.exchange(memoryview(b"x"), 1) == (0, b"", b"", True)
    assert process.exit_status() == 0


def test_a_machine_shows_how_much_it_did_and_not_what() -> None:
    fake = machine()
    fake.session().ask(Script("secret"))
    assert repr(fake) == "<FakeMachine: 1 scripts run>"
