"""Command lines that start a session, and what a refusal means."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import ConnectError, EscalationError
from kubexm.secret import Secret
from kubexm.shell import Become, Escalation, Exchange, Session
from kubexm.shell.escalation import asks, begun, refusal, silence, start_command

if TYPE_CHECKING:
    from collections.abc import Sequence

NONCE, PROMPT = "0123456789abcdef", "fedcba9876543210" * 2
PASSWORD = "hunter2 'and \\ more"
ESCALATING = [method for method in Become if method is not Become.NONE]


def escalation(method: Become = Become.SUDO, user: str = "root") -> Escalation:
    return Escalation(method=method, user=user, password=Secret(PASSWORD))


@pytest.mark.parametrize("login", [True, False])
@pytest.mark.parametrize("method", Become)
def test_every_login_shell_can_hand_the_command_line_on(method: Become, *, login: bool) -> None:
    command = start_command(escalation(method), NONCE, PROMPT, login=login)
    assert not set("\n!\\") & set(command)
    words = shlex.split(command)
    assert words[:3] == ["exec", "sh", "-c"]
    assert "'" not in "".join(words)
    assert len(command) < 2_000
    assert ("LC_ALL=C; unset" in command) is not login


@pytest.mark.parametrize("method", Become)
def test_no_command_line_shows_the_password(method: Become) -> None:
    command = start_command(escalation(method), NONCE, PROMPT)
    assert "hunter2" not in command
    assert "hunter2" not in repr(escalation(method))


@pytest.mark.parametrize("method", ESCALATING)
@pytest.mark.parametrize("user", ["", "-u", "a b", "a'b", "DOMAIN\\user", "a\nb", "é", "$(id)"])
def test_a_name_that_no_account_has_is_refused(method: Become, user: str) -> None:
    with pytest.raises(EscalationError, match="no account has such a name") as caught:
        start_command(escalation(method, user), NONCE, PROMPT)
    assert caught.value.hint == "check kubexm_become_user"


@pytest.mark.parametrize("user", ["root", "www-data", "_apt", "#1000", "a.b@c", "machine$"])
def test_a_name_that_an_account_may_have_is_one_word(user: str) -> None:
    assert user in shlex.split(start_command(escalation(user=user), NONCE, PROMPT))


@pytest.mark.parametrize(
    ("method", "said", "expected"),
    [
        (Become.SUDO, f"We trust you\n\n{PROMPT}", True),
        (Become.SUDO, PROMPT[:-1], False),
        (Become.SUDO, "Password: ", False),
        (Become.SUDO, f"[sudo: {PROMPT}] Password: ", True),
        (Become.SUDO, "[sudo: authenticate] Password: ", True),
        (Become.SU, "Password: ", True),
        (Become.SU, "Password:", True),
        (Become.SU, "Password: \nsu: Authentication failure\n", False),
        (Become.SU, "Passwor", False),
        (Become.DOAS, "doas (me@host) password: ", True),
        (Become.NONE, "Password: ", False),
    ],
)
def test_a_prompt_is_recognized(method: Become, said: str, *, expected: bool) -> None:
    assert asks(escalation(method), said, PROMPT) is expected


@pytest.mark.parametrize(
    ("method", "said", "meaning"),
    [
        (Become.SUDO, "sudo: sorry, you must have a tty to run sudo", "requiretty"),
        (Become.SUDO, "sudo: no tty present and no askpass program specified", "requiretty"),
        (Become.SUDO, "me is not in the sudoers file.", "not permitted to become root with sudo"),
        (
            Become.SUDO,
            "Sorry, user me is not allowed to execute '/usr/bin/sh -c export' as root on host.",
            "not permitted",
        ),
        (Become.SUDO, "Sorry, user me may not run sudo on host.", "not permitted"),
        (Become.SUDO, "sudo: I'm sorry me. I'm afraid I can't do that", "not permitted"),
        (Become.SUDO, "sudo: unknown user stranger", "sudo knows no user"),
        (Become.SUDO, "sudo: user 'stranger' not found", "sudo knows no user"),
        (Become.SUDO, "sudo: 1 incorrect password attempt", "did not accept the password"),
        (Become.SUDO, "sudo: Authentication failed, try again.", "did not accept the password"),
        (
            Become.SUDO,
            "sudo: Maximum 3 incorrect authentication attempts",
            "did not accept the password",
        ),
        (Become.SU, "su: Authentication failure", "su did not accept the password"),
        (Become.SU, "su: user stranger does not exist", "su knows no user"),
        (Become.SU, "su: must be run from a terminal", "su wants a terminal"),
        (Become.DOAS, "doas: a tty is required", "from a terminal only"),
        (Become.DOAS, "doas: Authorization required", "from a terminal only"),
        (Become.DOAS, "doas: Authentication failed", "from a terminal only"),
        (Become.DOAS, "doas: Operation not permitted", "not permitted to become root with doas"),
        (Become.DOAS, f"{NONCE} absent", "doas is not installed"),
    ],
)
def test_a_refusal_says_what_to_do(method: Become, said: str, meaning: str) -> None:
    error = refusal(escalation(method), f"lecture\n{said}\n", answered=False)
    assert meaning in str(error)
    assert error.hint
    assert "{" not in f"{error} {error.hint}"


def test_a_refusal_that_nobody_has_heard_of_is_quoted_without_the_password() -> None:
    said = f"\n\nsudo: {PASSWORD}? unable to load plugin\n"
    error = refusal(escalation(), said, answered=False)
    assert str(error) == "sudo did not become root: sudo: ***? unable to load plugin"
    assert str(refusal(escalation(), "", answered=False)) == "sudo did not become root"
    assert str(refusal(escalation(), "", answered=True)) == "sudo refused the password"


def test_silence_quotes_the_last_words() -> None:
    error = silence(escalation(), f"{PROMPT}\nYour code, {PASSWORD}: ", PROMPT, 15)
    assert str(error) == "sudo came to nothing within 15 s; it said last: Your code, ***:"
    assert str(silence(escalation(), PROMPT, PROMPT, 1.5)) == "sudo came to nothing within 1.5 s"


def test_what_login_files_say_is_not_sudos() -> None:
    assert begun(f"Password: {NONCE} beg", NONCE) is None
    assert begun(f"Password: {NONCE} begun\nrest", NONCE) == "rest"


class Conversation:
    """A process that says what it is told to say, one saying after each turn."""

    def __init__(self, *sayings: tuple[bytes, bytes]) -> None:
        self._sayings = list(sayings)
        self.heard = b""
        self.killed = False

    def exchange(self, outgoing: memoryview, timeout_s: float) -> Exchange:
        """See `Process.exchange`."""
        del timeout_s
        self.heard += bytes(outgoing)
        if not self._sayings:
            return Exchange(len(outgoing), b"", b"", ended=True)
        stdout, stderr = self._sayings.pop(0)
        return Exchange(len(outgoing), stdout, stderr, ended=False)

    def close_stdin(self) -> None:
        """See `Process.close_stdin`."""

    def exit_status(self) -> int | None:
        """See `Process.exit_status`."""
        return 1

    def kill(self) -> None:
        """See `Process.kill`."""
        self.killed = True


def converse(who: Escalation, sayings: Sequence[str]) -> Conversation:
    """Open a session with a process whose sayings follow the nonce and the prompt it is given.

    "<" begins what goes to stdout.
    """
    made: list[Conversation] = []

    def start(command: str) -> Conversation:
        *_, nonce, prompt, _, _ = shlex.split(command)
        texts = [text.replace("NONCE", nonce).replace("PROMPT", prompt) for text in sayings]
        pairs = [
            (text[1:].encode(), b"") if text.startswith("<") else (b"", text.encode())
            for text in texts
        ]
        made.append(Conversation(*pairs))
        return made[0]

    try:
        Session.open(start, who)
    except ConnectError as error:
        assert made[0].killed
        error.add_note(made[0].heard.decode())
        raise
    return made[0]


def test_the_password_is_written_once_and_only_after_the_prompt() -> None:
    sayings = ["motd\nNONCE be", "gun\nlecture\nPRO", "MPT", "\n", "<NONCE ready\n"]
    sayings[1:3] = ["gun\nlecture\n", "PROMPT"]
    talk = converse(escalation(), sayings)
    assert talk.heard.decode() == f"{PASSWORD}\n"
    assert converse(escalation(), ["NONCE begun\n", "<motd NONCE ready\n"]).heard == b""


def test_a_login_file_that_asks_is_not_answered() -> None:
    with pytest.raises(ConnectError, match="the login shell did not start sh: Password:") as caught:
        converse(escalation(Become.SU), ["Password: ", "PROMPT"])
    assert not isinstance(caught.value, EscalationError)
    assert caught.value.__notes__ == [""]


def test_a_second_prompt_is_a_wrong_password() -> None:
    sayings = ["NONCE begun\nPROMPT", "\nSorry, try again.\n", "PROMPT", "PROMPT"]
    with pytest.raises(EscalationError, match="did not accept the password") as caught:
        converse(escalation(), sayings)
    assert caught.value.__notes__ == [f"{PASSWORD}\n"]


def test_a_password_of_any_bytes_is_written_as_it_is() -> None:
    odd = Escalation(method=Become.SUDO, password=Secret("p\udcff€"))
    talk = converse(odd, ["NONCE begun\nPROMPT", "<NONCE ready\n", "<"])
    assert talk.heard == b"p\xff\xe2\x82\xac\n"
