"""Becoming another user: the command line, the conversation with it, and what its refusal means.

Escalation is a session, not a prefix: `sudo` runs once per host and the session's loop runs
inside it, so that redirections, pipes and `cd` of every script are privileged as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from kubexm.errors import EscalationError, tail
from kubexm.secret import Secret, redact
from kubexm.shell.script import quote_for_login


class Become(StrEnum):
    """How to become another user."""

    NONE = "none"
    SUDO = "sudo"
    SU = "su"
    DOAS = "doas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Whom to become, and how.

    Args:
        method: The program that does it.
        user: The user to become.
        password: What the program asks for: the login user's for sudo, the target's for su.
            It is written to the program's stdin, and only when its prompt has been seen.
    """

    method: Become = Become.NONE
    user: str = "root"
    password: Secret | None = None


NO_ESCALATION = Escalation()

_SETTLE = (
    "export LC_ALL=C; unset ENV BASH_ENV CDPATH; umask 022; cd / || exit 9; "
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH; "
)
_LOOP = (
    'echo "$1 ready" || exit 9; IFS= read -r kx_token || exit 9; kx_mark=$1.; '
    "while IFS= read -r kx_size; do "
    'kx_program=$(dd bs="$kx_size" count=1 iflag=fullblock 2>/dev/null); '
    'case $kx_program in *"#$kx_token") eval "$kx_program";; *) exit 9;; esac; done'
)
_SUDO_RS_ASKS = "[sudo: authenticate] Password: "
_ANNOUNCE = (
    "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH; "
    'echo "$1 ready" >&2; echo "$1 ready" || exit 9; '
)
_BEGUN = "begun"
_ABSENT = "absent"
_ACCOUNT = re.compile(r"[A-Za-z0-9_#][A-Za-z0-9_.@+#$-]*", re.ASCII)
_START = 'unset SUDO_PROMPT; export KUBEXM_MARK="$2.0."; exec sh -c "$1" kubexm "$2"'
_START_UNDER_SU = 'exec sh -c "$0" kubexm "$1" "$2"'


def start_command(escalation: Escalation, nonce: str, prompt: str, *, login: bool = False) -> str:
    """The command line that starts a session's loop under any login shell.

    It has no newline, backslash, exclamation mark or nested single quote, so that csh and fish
    hand it on unchanged.

    Args:
        escalation: Whom to become.
        nonce: Hex digits that announce the loop and mark the session's processes.
        prompt: Hex digits for sudo to ask with.
        login: Keep the login environment and directory, for a user's own command.

    Raises:
        EscalationError: No account has such a name.
    """
    loop = _LOOP if login else _SETTLE + _LOOP
    if escalation.method is Become.NONE:
        return f"exec sh -c {_word(_START)} kubexm {_word(loop)} {nonce}"
    return _become(escalation, nonce, prompt, _word(loop))


def elevated_command(escalation: Escalation, nonce: str, prompt: str, command: str) -> str:
    """The command line that runs another one as another user, announced on both outputs.

    Any login shell hands it on, as far as it does `command`.

    Args:
        escalation: Whom to become; somebody.
        nonce: See `start_command`.
        prompt: See `start_command`.
        command: For sh.

    Raises:
        EscalationError: No account has such a name.
    """
    return _become(
        escalation,
        nonce,
        prompt,
        quote_for_login(f"{_ANNOUNCE}exec sh -c {quote_for_login(command)}"),
    )


def _become(escalation: Escalation, nonce: str, prompt: str, loop: str) -> str:
    """The command line that runs `loop`, a quoted word, as another user."""
    user = escalation.user
    inner = 'sh -c "$1" kubexm "$2" "$3"'
    match escalation.method:
        case Become.NONE:
            message = "nobody to become"
            raise ValueError(message)
        case Become.SUDO:
            # Not -p, which sudo-rs before 0.2.5 does not take; it asks in its own words.
            become = f'env SUDO_PROMPT="$4" sudo -S -u "$5" -- {inner}'
        case Become.DOAS:
            become = f'doas -u "$5" -- {inner}'
        case Become.SU:
            become = 'su -s /bin/sh -c "$6" -- "$5" "$1" "$2" "$3"'
        case _:
            assert_never(escalation.method)
    if _ACCOUNT.fullmatch(user) is None:
        message = f"{escalation.method} cannot become {user!r}: no account has such a name"
        raise EscalationError(message, hint=_CHECK_USER)
    program = (
        f'export LC_ALL=C; echo "$3 {_BEGUN}" >&2; '
        # root needs nobody's leave to stay root
        'if [ "$(id -u)" = 0 ] && [ "$5" = root ]; then start=$1; shift; eval "$start"; fi; '
        f'command -v {escalation.method} >/dev/null || {{ echo "$3 {_ABSENT}" >&2; exit 127; }}; '
        f"exec {become}"
    )
    others = " ".join(map(_word, (nonce, prompt, user, _START_UNDER_SU)))
    return f"exec sh -c {_word(program)} kubexm {_word(_START)} {loop} {others}"


def _word(text: str) -> str:
    if any(character in text for character in "'!\\\n"):
        message = f"not portable between login shells: {text!r}"
        raise ValueError(message)
    return f"'{text}'"


def begun(stderr: str, nonce: str) -> str | None:
    """What was said since the login shell had started ours; `None` before that."""
    _, found, said = stderr.partition(f"{nonce} {_BEGUN}\n")
    return said if found else None


def asks(escalation: Escalation, said: str, prompt: str) -> bool:
    """Whether what was said since the last answer ends in a password prompt."""
    match escalation.method:
        case Become.SUDO:
            return prompt in said or said.endswith(_SUDO_RS_ASKS)
        case Become.SU | Become.DOAS:
            return re.search(r"[Pp]assword[^\n]*: ?$", said) is not None
        case Become.NONE:
            return False
        case _:
            assert_never(escalation.method)


def refusal(escalation: Escalation, said: str, *, answered: bool) -> EscalationError:
    """What the program's last words mean, as an error with a way out.

    Args:
        escalation: What was tried.
        said: Its stderr and stdout (sudo with LC_ALL=C, see sudo(8) "DIAGNOSTICS").
        answered: A password had been given to it.
    """
    method, user = escalation.method.value, escalation.user
    for pattern, what, hint in _REFUSALS:
        if re.search(pattern, said):
            message, way_out = (text.format(method=method, user=user) for text in (what, hint))
            return EscalationError(message, hint=way_out)
    if answered:
        return EscalationError(f"{method} refused the password", hint=_CHECK_IT)
    last = tail(_shown(escalation, said).strip(), lines=3)
    return EscalationError(
        f"{method} did not become {user}" + (f": {last}" if last else ""),
        hint=f"try '{method} -u {user} true' on the host as the login user",
    )


def silence(escalation: Escalation, said: str, prompt: str, timeout_s: float) -> EscalationError:
    """Nothing came of it in time."""
    last = tail(_shown(escalation, said.replace(prompt, "")), lines=1).strip()
    return EscalationError(
        f"{escalation.method.value} came to nothing within {timeout_s:g} s"
        + (f"; it said last: {last}" if last else ""),
        hint="its authentication hangs on the host (PAM, LDAP, DNS) or wants more than a password",
    )


def _shown(escalation: Escalation, said: str) -> str:
    """`said` without the password, which a strange program may echo."""
    return said if escalation.password is None else redact(said, [escalation.password])


def asked_without_password(escalation: Escalation) -> EscalationError:
    """The prompt came and there is nothing to answer it with."""
    return EscalationError(
        f"{escalation.method.value} asks for a password and none was given",
        hint="use --ask-become-pass, or set kubexm_become_password in the inventory",
    )


def wrong_password(escalation: Escalation) -> EscalationError:
    """The prompt came again."""
    return EscalationError(f"{escalation.method.value} did not accept the password", hint=_CHECK_IT)


_CHECK_IT = "check kubexm_become_password, or use --ask-become-pass"
_CHECK_USER = "check kubexm_become_user"
_REFUSALS = (
    (
        r"doas: (a tty is required|Authorization required|Authentication (required|failed))",
        "doas asks for a password, which it reads from a terminal only",
        "add 'permit nopass <user>' to /etc/doas.conf, or use another become method",
    ),
    (
        r"must be run from a terminal",
        "{method} wants a terminal",
        "use another become method, or log in as {user}",
    ),
    (
        r"must have a tty|no tty present|a tty is required",
        "{method} wants a terminal (requiretty)",
        "add 'Defaults:<user> !requiretty' to sudoers, or log in as {user}",
    ),
    (
        r"not in the sudoers|not allowed to (run|execute)|may not run|I'm sorry|doas: Operation",
        "the login user is not permitted to become {user} with {method}",
        "permit it on the host, use another become method, or log in as {user}",
    ),
    (
        r"unknown user|does not exist|user .* not found",
        "{method} knows no user {user}",
        _CHECK_USER,
    ),
    (
        r"[Ii]ncorrect (password|auth)|[Aa]uthentication fail|Sorry, try again",
        "{method} did not accept the password",
        _CHECK_IT,
    ),
    (
        rf"[0-9a-f]{{16}} {_ABSENT}",
        "{method} is not installed",
        "install it, choose another become_method, or log in as {user}",
    ),
)
