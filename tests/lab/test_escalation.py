"""Becoming another user on real hosts: sudo and su as Debian ships them, over the system's ssh."""

import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kubexm.connector.local import LocalProcess
from kubexm.errors import ConnectError, DeadlineError, EscalationError, SessionLostError
from kubexm.secret import Secret
from kubexm.shell import Become, Escalation, Reply, Script, Session
from tests.lab.host import LabHost
from tests.lab.image import PASSWORD
from tests.lab.laboratory import Laboratory

pytestmark = pytest.mark.lab

Start = Callable[[str], LocalProcess]

SUDO = Escalation(method=Become.SUDO)
SUDO_WITH_PASSWORD = Escalation(method=Become.SUDO, password=Secret(PASSWORD))
WRONG = Secret("wr0ng $ecret")
SUDOERS = "/etc/sudoers.d/zz-kubexm-test"
FAKE_SUDO = "/usr/local/bin/sudo"
WHO = Script("id -un; id -u")


@pytest.fixture
def host(lab_hosts: tuple[LabHost, ...]) -> Iterator[LabHost]:
    """A host whose sudo is put right again afterwards."""
    host = lab_hosts[0]
    yield host
    host.exec("rm", "-rf", SUDOERS, FAKE_SUDO, "/run/sudo/ts", check=True)


@pytest.fixture
def login(lab: Laboratory, host: LabHost) -> Callable[[str], Start]:
    """Gives the way in as a user: what a connector's `open` is."""

    def as_user(user: str) -> Start:
        return lambda command: LocalProcess([*lab.ssh_command(host, user), command])

    return as_user


def sudoers(host: LabHost, text: str) -> None:
    script = f"umask 337; cat >{SUDOERS}; visudo -cqf {SUDOERS}"
    host.exec("sh", "-c", script, stdin=f"{text}\n", check=True)


def fake_sudo(host: LabHost, script: str) -> None:
    write = f"cat >{FAKE_SUDO}; chmod 755 {FAKE_SUDO}"
    host.exec("sh", "-c", write, stdin=f"#!/bin/sh\n{script}\n", check=True)


@contextmanager
def opened(start: Start, escalation: Escalation, timeout_s: float = 15) -> Iterator[Session]:
    session = Session.open(start, escalation, timeout_s=timeout_s)
    try:
        yield session
    finally:
        session.close()


def who(start: Start, escalation: Escalation) -> list[str]:
    with opened(start, escalation) as session:
        return session.ask(WHO).text.split()


def refused(
    start: Start, escalation: Escalation, match: str, *, within_s: float, timeout_s: float = 15
) -> EscalationError:
    """The error, which came in time and shows no password."""
    began = time.monotonic()
    with pytest.raises(EscalationError, match=match) as caught:
        Session.open(start, escalation, timeout_s=timeout_s)
    assert time.monotonic() - began < within_s
    secret = escalation.password.reveal() if escalation.password is not None else PASSWORD
    assert secret not in f"{caught.value} {caught.value!r} {caught.value.hint} {escalation!r}"
    assert caught.value.hint
    return caught.value


def attempts(host: LabHost) -> int:
    """How many wrong passwords PAM has counted since the boot."""
    journal = host.exec("journalctl", "--boot", "--quiet", "--output=cat", check=True).stdout
    return journal.count("pam_unix(sudo:auth): authentication failure")


def test_sudo_that_asks_for_nothing(login: Callable[[str], Start]) -> None:
    assert who(login("nopass"), SUDO) == ["root", "0"]
    assert who(login("nopass"), SUDO_WITH_PASSWORD) == ["root", "0"]


def test_sudo_that_asks_gets_the_password(login: Callable[[str], Start]) -> None:
    assert who(login("asks"), SUDO_WITH_PASSWORD) == ["root", "0"]


def test_another_user_than_root(login: Callable[[str], Start]) -> None:
    to_plain = Escalation(method=Become.SUDO, user="plain", password=Secret(PASSWORD))
    for user in ("nopass", "asks", "root"):
        assert who(login(user), to_plain) == ["plain", "1002"]


def test_a_wrong_password_is_told_at_once_and_tried_once(
    host: LabHost, login: Callable[[str], Start]
) -> None:
    before = attempts(host)
    wrong = Escalation(method=Become.SUDO, password=WRONG)
    refused(login("asks"), wrong, "sudo did not accept the password", within_s=15)
    assert attempts(host) == before + 1
    assert who(login("asks"), SUDO_WITH_PASSWORD) == ["root", "0"]


def test_a_wrong_password_is_told_when_sudo_lets_nobody_try_again(
    host: LabHost, login: Callable[[str], Start]
) -> None:
    sudoers(host, "Defaults passwd_tries=1")
    wrong = Escalation(method=Become.SUDO, password=WRONG)
    refused(login("asks"), wrong, "sudo did not accept the password", within_s=15)


def test_a_password_that_is_needed_and_not_given(login: Callable[[str], Start]) -> None:
    error = refused(login("asks"), SUDO, "asks for a password and none was given", within_s=10)
    assert "--ask-become-pass" in error.hint


def test_a_user_who_is_not_in_sudoers(login: Callable[[str], Start]) -> None:
    refused(login("plain"), SUDO_WITH_PASSWORD, "not permitted to become root", within_s=15)


def test_a_user_who_may_run_something_else(host: LabHost, login: Callable[[str], Start]) -> None:
    sudoers(host, "plain ALL=(root) NOPASSWD: /usr/bin/true")
    error = refused(login("plain"), SUDO_WITH_PASSWORD, "not permitted to become", within_s=15)
    assert len(str(error)) < 200


def test_requiretty(host: LabHost, login: Callable[[str], Start]) -> None:
    sudoers(host, "Defaults requiretty")
    error = refused(login("nopass"), SUDO, "sudo wants a terminal", within_s=10)
    assert "!requiretty" in error.hint


def test_sudo_that_is_not_installed(host: LabHost, login: Callable[[str], Start]) -> None:
    host.exec("mv", "/usr/bin/sudo", "/usr/bin/sudo.away", check=True)
    try:
        refused(login("nopass"), SUDO, "sudo is not installed", within_s=10)
        assert who(login("root"), SUDO) == ["root", "0"]
    finally:
        host.exec("mv", "/usr/bin/sudo.away", "/usr/bin/sudo", check=True)


def test_a_cached_ticket_needs_no_password(host: LabHost, login: Callable[[str], Start]) -> None:
    sudoers(host, "Defaults timestamp_type=global")
    assert who(login("asks"), SUDO_WITH_PASSWORD) == ["root", "0"]
    assert who(login("asks"), SUDO) == ["root", "0"]
    assert who(login("asks"), Escalation(method=Become.SUDO, password=WRONG)) == ["root", "0"]


def test_root_needs_no_sudo_to_stay_root(host: LabHost, login: Callable[[str], Start]) -> None:
    fake_sudo(host, "echo no >&2; exit 1")
    for method in (Become.SUDO, Become.SU, Become.DOAS):
        assert who(login("root"), Escalation(method=method)) == ["root", "0"]


def test_a_target_that_does_not_exist(login: Callable[[str], Start]) -> None:
    for method in (Become.SUDO, Become.SU):
        stranger = Escalation(method=method, user="stranger", password=Secret(PASSWORD))
        refused(login("nopass"), stranger, f"{method} knows no user stranger", within_s=15)


def test_silence_until_the_deadline(host: LabHost, login: Callable[[str], Start]) -> None:
    pam = Path("/etc/pam.d/sudo")
    before = host.exec("cat", str(pam), check=True).stdout
    hang = f"auth required pam_exec.so quiet /bin/sleep 54321\n{before}"
    try:
        host.exec("sh", "-c", f"cat >{pam}", stdin=hang, check=True)
        error = refused(
            login("asks"),
            SUDO_WITH_PASSWORD,
            "sudo came to nothing within 4 s$",
            within_s=15,
            timeout_s=4,
        )
        assert "PAM" in error.hint
    finally:
        host.exec("sh", "-c", f"cat >{pam}", stdin=before, check=True)
        host.exec("pkill", "-f", "^/bin/sleep 54321$")


def test_a_question_that_a_password_does_not_answer(
    host: LabHost, login: Callable[[str], Start]
) -> None:
    fake_sudo(host, "printf 'Verification code: ' >&2; read code; exit 1")
    refused(
        login("asks"),
        SUDO_WITH_PASSWORD,
        "within 4 s; it said last: Verification code:$",
        within_s=15,
        timeout_s=4,
    )


def test_a_password_that_is_echoed_is_not_shown(
    host: LabHost, login: Callable[[str], Start]
) -> None:
    ask = 'printf %s "$SUDO_PROMPT" >&2; IFS= read -r word; echo "bad: $word" >&2'
    fake_sudo(host, f"{ask}; exit 1")
    refused(login("asks"), SUDO_WITH_PASSWORD, "sudo refused the password", within_s=5)
    fake_sudo(host, f"{ask}; sleep 9")
    refused(
        login("asks"),
        SUDO_WITH_PASSWORD,
        r"it said last: bad: \*\*\*$",
        within_s=15,
        timeout_s=4,
    )


def test_su_wants_the_password_of_the_target(login: Callable[[str], Start]) -> None:
    to_plain = Escalation(method=Become.SU, user="plain", password=Secret(PASSWORD))
    assert who(login("nopass"), to_plain) == ["plain", "1002"]
    assert who(login("root"), Escalation(method=Become.SU, user="plain")) == ["plain", "1002"]
    wrong = Escalation(method=Become.SU, user="plain", password=WRONG)
    refused(login("nopass"), wrong, "su did not accept the password", within_s=15)
    locked = Escalation(method=Become.SU, password=Secret(PASSWORD))
    refused(login("nopass"), locked, "su did not accept the password", within_s=15)
    nothing = Escalation(method=Become.SU)
    refused(login("nopass"), nothing, "asks for a password and none was given", within_s=10)


@pytest.fixture
def doas(host: LabHost) -> Iterator[Callable[[str], None]]:
    """Doas as Debian packages it; takes its rules."""

    def configure(rules: str) -> None:
        host.exec("sh", "-c", "umask 77; cat >/etc/doas.conf", stdin=f"{rules}\n", check=True)

    host.exec("apt-get", "-qq", "update", check=True)
    host.exec("apt-get", "-qq", "-y", "install", "opendoas", check=True)
    yield configure
    host.exec("rm", "-f", "/etc/doas.conf")
    host.exec("apt-get", "-qq", "-y", "purge", "opendoas", check=True)


def test_doas_becomes_whom_it_may(
    doas: Callable[[str], None], login: Callable[[str], Start]
) -> None:
    doas('permit nopass "nopass"\npermit nopass asks as plain')
    assert who(login("nopass"), Escalation(method=Become.DOAS)) == ["root", "0"]
    to_plain = Escalation(method=Become.DOAS, user="plain")
    assert who(login("asks"), to_plain) == ["plain", "1002"]
    refused(login("asks"), Escalation(method=Become.DOAS), "not permitted", within_s=15)
    refused(login("plain"), Escalation(method=Become.DOAS), "not permitted", within_s=15)
    stranger = Escalation(method=Become.DOAS, user="stranger")
    refused(login("nopass"), stranger, "doas knows no user stranger", within_s=15)


def test_doas_asks_on_a_terminal_only(
    doas: Callable[[str], None], login: Callable[[str], Start]
) -> None:
    doas("permit asks")
    for password in (None, Secret(PASSWORD)):
        escalation = Escalation(method=Become.DOAS, password=password)
        error = refused(login("asks"), escalation, "reads from a terminal only", within_s=15)
        assert "permit nopass" in error.hint


def test_doas_that_is_not_there(host: LabHost, login: Callable[[str], Start]) -> None:
    assert host.exec("sh", "-c", "command -v doas").returncode != 0
    refused(login("nopass"), Escalation(method=Become.DOAS), "not installed", within_s=15)


SUDO_RS = """
[ "$1" = -S ] || exit 64
n=0
while :; do
    printf '[sudo: authenticate] Password: ' >&2
    IFS= read -r word || exit 1
    [ "$word" = {password} ] && break
    n=$((n + 1))
    [ $n = 3 ] && {{ echo 'sudo: Maximum 3 incorrect authentication attempts' >&2; exit 1; }}
    echo 'sudo: Authentication failed, try again.' >&2
done
shift 4
exec /usr/bin/sudo -n -u root -- "$@"
"""
"""What sudo-rs before 0.2.5 says, which heeds no prompt of ours and is in no release of Debian."""


def test_a_sudo_that_asks_in_its_own_words(host: LabHost, login: Callable[[str], Start]) -> None:
    fake_sudo(host, SUDO_RS.format(password=shlex.quote(PASSWORD)))
    assert who(login("nopass"), SUDO_WITH_PASSWORD) == ["root", "0"]
    wrong = Escalation(method=Become.SUDO, password=WRONG)
    refused(login("nopass"), wrong, "sudo did not accept the password", within_s=15)
    refused(login("nopass"), SUDO, "asks for a password and none was given", within_s=15)


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false"])
@pytest.mark.parametrize("method", [Become.NONE, Become.SUDO])
def test_a_login_shell_that_runs_nothing(
    host: LabHost, login: Callable[[str], Start], shell: str, method: Become
) -> None:
    host.exec("usermod", "--shell", shell, "plain", check=True)
    try:
        with pytest.raises(ConnectError, match="the login shell did not start sh") as caught:
            Session.open(login("plain"), Escalation(method=method))
        assert not isinstance(caught.value, EscalationError)
    finally:
        host.exec("usermod", "--shell", "/bin/bash", "plain", check=True)


def everywhere_in_proc() -> Iterator[bytes]:
    """Arguments and environments of every process here, which includes those of the hosts."""
    for entry in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                yield (entry / name).read_bytes()
            except OSError:
                continue


@pytest.mark.parametrize(
    ("user", "escalation"),
    [
        ("asks", SUDO_WITH_PASSWORD),
        ("asks", Escalation(method=Become.SUDO, password=WRONG)),
        ("nopass", Escalation(method=Become.SU, user="plain", password=Secret(PASSWORD))),
    ],
    ids=["sudo", "wrong", "su"],
)
def test_the_password_is_in_no_argument_and_no_environment(
    login: Callable[[str], Start], user: str, escalation: Escalation
) -> None:
    assert escalation.password is not None
    secret = escalation.password.reveal().encode()
    over = threading.Event()
    rounds, leaks = [0], list[bytes]()

    def watch() -> None:
        while not over.is_set():
            leaks.extend(text for text in everywhere_in_proc() if secret in text)
            rounds[0] += 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(3):
            try:
                with opened(login(user), escalation) as session:
                    session.ask(WHO)
            except EscalationError:
                assert escalation.password is WRONG
    finally:
        over.set()
        watcher.join()
    assert leaks == []
    assert rounds[0] > 3


@pytest.mark.parametrize("pty", ["use_pty", "!use_pty"])
@pytest.mark.parametrize("user", ["nopass", "asks"])
def test_a_root_session_carries_every_byte(
    host: LabHost, login: Callable[[str], Start], user: str, pty: str
) -> None:
    """With use_pty sudo stands between us and the loop, and copies."""
    sudoers(host, f"Defaults {pty}")
    content = bytes(range(256)) * 20_000
    with opened(login(user), SUDO_WITH_PASSWORD) as session:
        scripts = [Script("cat; cat", payload=content), Script("cat; echo x >&2; exit 7")] * 2
        first, second = session.run(scripts).whole()[:2]
        assert first == Reply(exit_status=0, stdout=content)
        assert second == Reply(exit_status=7, stderr=b"x\n")


def marked(mark: str) -> int:
    """How many processes of the hosts carry a session's mark."""
    return sum(f"KUBEXM_MARK={mark}.".encode() in text for text in everywhere_in_proc())


def mark_of(session: Session) -> str:
    return session.ask(Script('echo "$KUBEXM_MARK"')).text.split(".")[0]


def wait_until(is_so: Callable[[], bool], within_s: float = 5) -> bool:
    limit = time.monotonic() + within_s
    while not is_so() and time.monotonic() < limit:
        time.sleep(0.05)
    return is_so()


@pytest.mark.parametrize("pty", ["use_pty", "!use_pty"])
@pytest.mark.parametrize("how", ["close", "kill", "batch"])
def test_a_root_session_that_is_left_goes_no_further(
    host: LabHost, login: Callable[[str], Start], how: str, pty: str
) -> None:
    sudoers(host, f"Defaults {pty}")
    host.exec("rm", "-f", "/run/steps")
    with ExitStack() as stack:
        session = stack.enter_context(opened(login("asks"), SUDO_WITH_PASSWORD))
        mark = mark_of(session)
        assert marked(mark) >= 1
        if how == "batch":
            killer = threading.Timer(0.7, session.kill)
            killer.start()
            steps = [Script("echo x >>/run/steps; sleep 0.2")] * 50
            result = session.run(steps)
            killer.join()
            assert isinstance(result.ended_by, SessionLostError)
        elif how == "kill":
            session.kill()
    assert wait_until(lambda: marked(mark) == 0)
    steps_done = host.exec("sh", "-c", "cat /run/steps 2>/dev/null | wc -l").stdout
    assert int(steps_done) <= (5 if how == "batch" else 0)


@pytest.mark.parametrize("user", ["root", "asks"])
def test_a_deadline_reaches_what_root_started(
    host: LabHost, login: Callable[[str], Start], user: str
) -> None:
    work = "setsid sleep 76543 </dev/null >/dev/null 2>&1 & runuser -u plain -- sleep 76543"
    with opened(login(user), SUDO_WITH_PASSWORD) as session:
        mark = mark_of(session)
        result = session.run([Script(work)], deadline_s=1, grace_s=1)
    assert isinstance(result.ended_by, DeadlineError)
    assert wait_until(lambda: marked(mark) == 0)
    assert host.exec("pgrep", "-f", "sleep 76543").returncode == 1
