"""What every transport promises, as a pytest class to subclass.

    class TestPodman(ConnectorContract):
        @pytest.fixture
        def connector(self, container: str) -> Connector:
            return podman(Endpoint(name=container))

        @pytest.fixture
        def unreachable(self) -> Connector:
            return podman(Endpoint(name="no-such-container", connect_timeout_s=5))

The class needs nothing of pytest but its fixtures. Every promise is a method of its own, so that
one that cannot apply is taken out by name: `test_an_unreachable_place_is_told_in_time = None`.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kubexm.errors import ConnectError, UnreachableError
from kubexm.runner import Catalogue, Host
from kubexm.shell import Exchange, Reply, Script, Session, quote
from kubexm.testing.contract import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubexm.connector import Connector
    from kubexm.shell import Process

EVERY_BYTE = bytes(range(256))
HOSTILE = (
    "",
    "-n",
    "--",
    "two words",
    "it's",
    'say "so"',
    "$HOME `id` $(id) ${x}",
    "a\\b\\\\c\\n",
    "*?[a]{b,c}~#!;&|<>()",
    "tab\tand\nnewline\n",
    "naïve 雪",
    "%s %% %n",
)
"""Words that a careless transport or shell would change."""

NOT_UTF_8 = "\udcff\udc80"
"""Bytes of a file's name as Python has them; engines of containers cannot hand them on in words."""

_NO_BYTES = memoryview(b"")
_PATIENCE_S = 60.0
_LARGE_BYTES = 8 << 20
_IN_A_ROW = 6
_AT_ONCE = 3
_SHOWN = 1000


class ConnectorContract:
    """The promises of one transport. A subclass has two fixtures.

    - `connector`: not connected yet, on its way to a machine with a POSIX sh whose login shell is
      one too. The tests write in a directory of their own there and remove it.
    - `unreachable`: one that leads nowhere, with a timeout of a few seconds.

    Where the transport has no machine of its own in the tests, a stand-in for its client that
    reads the real arguments and runs the real command line serves; say so where you publish it.
    """

    def test_it_says_truly_whether_it_is_connected(self, connector: Connector) -> None:
        """Before connecting, after it, after a second time, and after closing."""
        _expect("is_connected before connect", connector.is_connected(), wanted=False)
        connector.connect()
        _expect("is_connected after connect", connector.is_connected(), wanted=True)
        connector.connect()
        _expect("is_connected after a second connect", connector.is_connected(), wanted=True)
        connector.close()
        _expect("is_connected after close", connector.is_connected(), wanted=False)

    def test_closing_is_harmless_at_any_time(self, connector: Connector) -> None:
        """Before connecting and twice; and one may connect again."""
        connector.close()
        connector.connect()
        connector.close()
        connector.close()
        connector.connect()
        _expect("output after a second connect", _run(connector, "echo back")[0], b"back\n")
        connector.close()

    def test_an_unreachable_place_is_told_in_time(self, unreachable: Connector) -> None:
        """As a ConnectError, and nothing is connected then."""
        began = time.monotonic()
        with _raises(ConnectError, "connecting to nowhere"):
            unreachable.connect()
        if time.monotonic() - began > _PATIENCE_S:
            _fail("connecting to nowhere took too long")
        _expect("is_connected to nowhere", unreachable.is_connected(), wanted=False)
        unreachable.close()

    def test_after_closing_nothing_opens(self, connector: Connector) -> None:
        """UnreachableError, not a command that runs elsewhere."""
        connector.connect()
        connector.close()
        with _raises(UnreachableError, "opening a command after close"):
            connector.open("true").kill()

    def test_closing_ends_what_is_open(self, connector: Connector) -> None:
        """Whoever waits on a command when the connection is closed, wakes."""
        connector.connect()
        process = connector.open("sleep 600")
        closer = threading.Timer(0.2, connector.close)
        closer.start()
        _wait_for_end(process, "a command whose connection was closed")
        closer.join()
        process.kill()

    def test_both_outputs_are_apart(self, connector: Connector) -> None:
        """Bytes, each stream its own."""
        with _connected(connector):
            found = _run(connector, "echo out; echo err >&2; printf out; printf err >&2")
        _expect("stdout, stderr, exit status", found, (b"out\nout", b"err\nerr", 0))

    def test_bytes_arrive_as_they_were_sent(self, connector: Connector) -> None:
        """Every byte, in and out, the end of file too."""
        with _connected(connector):
            for sent in (b"", EVERY_BYTE):
                _expect("what cat gives back", _run(connector, "cat", sent), (sent, b"", 0))

    def test_the_exit_status_is_told(self, connector: Connector) -> None:
        """Of a command that failed, or was killed."""
        with _connected(connector):
            for command, status in (
                ("exit 3", 3),
                ("exit 254", 254),
                ("sh -c 'kill -s TERM $$'; exit $?", 143),
            ):
                _expect(f"exit status of {command}", _run(connector, command)[2], status)

    def test_a_command_line_arrives_unchanged(self, connector: Connector) -> None:
        """Whatever its words hold, as long as it is UTF-8."""
        with _connected(connector):
            words = " ".join(map(quote, HOSTILE))
            stdout, _, status = _run(connector, f"printf '<%s>' {words}")
        wanted = "".join(f"<{word}>" for word in HOSTILE).encode("utf-8", "surrogateescape")
        _expect("the words of a command line", (stdout, status), (wanted, 0))

    def test_a_silent_command_costs_no_more_than_the_time_asked(self, connector: Connector) -> None:
        """`exchange` returns empty-handed; there is no exit status yet."""
        with _connected(connector):
            process = connector.open("read -r line; exit 5")
            nothing = Exchange(0, b"", b"", ended=False)
            _expect("a silent turn", process.exchange(_NO_BYTES, 0.05), nothing)
            _expect("exit status while it runs", process.exit_status(), None)
            process.close_stdin()
            _wait_for_end(process, "a command at the end of its input")
            _expect("exit status at its end", process.exit_status(), 5)
            process.kill()

    def test_much_goes_both_ways_at_once(self, connector: Connector) -> None:
        """More than any pipe or window holds, in, out and to stderr, without a deadlock."""
        sent = secrets.token_bytes(1 << 16) * (_LARGE_BYTES >> 16)
        with _connected(connector):
            found = _run(connector, "tee /dev/stderr", sent)
        for name, got in (("stdout", found[0]), ("stderr", found[1])):
            if got != sent:
                _fail(f"{len(sent)} bytes came back on {name} as {len(got)} others")

    def test_killing_wakes_who_waits(self, connector: Connector) -> None:
        """From another thread; again and after the end it is harmless."""
        with _connected(connector):
            process = connector.open("sleep 600")
            killer = threading.Timer(0.2, process.kill)
            killer.start()
            _wait_for_end(process, "a command that was killed")
            killer.join()
            process.kill()
            process.exit_status()
            _expect("output after the kill", _run(connector, "echo on")[0], b"on\n")

    def test_commands_one_after_another(self, connector: Connector) -> None:
        """As many as you like on one connection."""
        with _connected(connector):
            for number in range(_IN_A_ROW):
                _expect("output", _run(connector, f"echo {number}")[0], f"{number}\n".encode())

    def test_commands_side_by_side(self, connector: Connector) -> None:
        """Each has its own pipes."""
        with _connected(connector):
            processes = [connector.open("cat; exit 4") for _ in range(_AT_ONCE)]
            for number, process in enumerate(reversed(processes)):
                sent = f"{number}".encode() * 1000
                _expect("what cat gives back", _finish(process, sent), (sent, b"", 4))

    def test_a_session_works_over_it(self, connector: Connector) -> None:
        """Scripts with payloads and hostile words, in one round trip."""
        words = [*HOSTILE, NOT_UTF_8]
        with (
            _connected(connector),
            closing(Session.open(connector.open, timeout_s=_PATIENCE_S)) as session,
        ):
            scripts = [Script(f"printf %s {quote(word)}") for word in words]
            scripts += [Script("cat", payload=EVERY_BYTE * 4096), Script("exit 9")]
            replies = replies_of(session, scripts)
            found = [reply.text for reply in replies[: len(words)]]
            _expect("the words of scripts", found, words)
            if replies[-2].stdout != EVERY_BYTE * 4096:
                _fail("a payload of a megabyte did not come back as it was sent")
            _expect("exit status of a script", replies[-1].exit_status, 9)
            _expect("round trips", session.trips, 1)

    def test_operations_converge_over_it(self, connector: Connector) -> None:
        """A file is written, found so the next time, and removed."""
        with (
            _connected(connector),
            closing(Session.open(connector.open, timeout_s=_PATIENCE_S)) as session,
        ):
            host = Host.open("contract", session, Catalogue.installed(), deadline_s=_PATIENCE_S)
            directory = f"/tmp/kubexm-contract-{secrets.token_hex(8)}"  # noqa: S108 - unguessable
            path = f"{directory}/it's {NOT_UTF_8} a\tfile"
            host.files.mkdir(directory, mode=0o700)
            try:
                written = host.files.write(path, EVERY_BYTE, mode=0o640)
                _expect("changed by the first write", written.changed, wanted=True)
                again = host.files.write(path, EVERY_BYTE, mode=0o640)
                _expect("changed by the second write", again.changed, wanted=False)
                seen = session.ask(Script(f"cat {quote(path)}; ls -l {quote(directory)} >&2"))
                _expect("the file's content", seen.stdout, EVERY_BYTE)
                _expect("the file's mode", b"-rw-r-----" in seen.stderr, wanted=True)
            finally:
                host.files.remove(directory)
            gone = session.ask(Script(f"ls -d {quote(directory)}"))
            _expect("exit status of ls after the removal", gone.exit_status == 0, wanted=False)

    def test_nothing_leaks(self, connector: Connector) -> None:
        """Descriptors and threads are as before, however often it was connected and closed."""
        _cycle(connector)
        before = _resources()
        for _ in range(2):
            _cycle(connector)
        limit = time.monotonic() + _PATIENCE_S
        while any(now > then for now, then in zip(_resources(), before, strict=True)):
            if time.monotonic() > limit:
                _expect("descriptors and threads after closing", _resources(), before)
            time.sleep(0.05)


def replies_of(session: Session, scripts: Sequence[Script]) -> list[Reply]:
    """The replies to plain scripts, in one round trip."""
    found = session.run(scripts, deadline_s=_PATIENCE_S).whole()
    replies = [reply for reply in found if isinstance(reply, Reply)]
    _expect("number of replies", len(replies), len(scripts))
    return replies


def _cycle(connector: Connector) -> None:
    with _connected(connector):
        _run(connector, "cat", b"bytes")
        connector.open("cat").kill()
        left = connector.open("cat")
    del left  # closing has ended it


def _resources() -> tuple[int, int]:
    """Open descriptors, where the system lists them, and threads."""
    descriptors = Path("/proc/self/fd")
    count = len(list(descriptors.iterdir())) if descriptors.is_dir() else 0
    return count, threading.active_count()


@contextmanager
def _connected(connector: Connector) -> Iterator[None]:
    connector.connect()
    try:
        yield
    finally:
        connector.close()


def _run(connector: Connector, command: str, sent: bytes = b"") -> tuple[bytes, bytes, int | None]:
    """Both outputs and the exit status of a command line."""
    return _finish(connector.open(command), sent)


def _finish(process: Process, sent: bytes) -> tuple[bytes, bytes, int | None]:
    out, err = bytearray(), bytearray()
    outgoing = memoryview(sent)
    is_open = True
    limit = time.monotonic() + _PATIENCE_S
    ended = False
    try:
        while not ended:
            if time.monotonic() > limit:
                taken = len(sent) - len(outgoing)
                _fail(f"a command took {taken} of {len(sent)} bytes, gave {len(out)}, and hangs")
            if not outgoing and is_open:
                process.close_stdin()
                is_open = False
            taken, stdout, stderr, ended = process.exchange(outgoing, 1)
            outgoing = outgoing[taken:]
            out += stdout
            err += stderr
        return bytes(out), bytes(err), process.exit_status()
    finally:
        process.kill()


def _wait_for_end(process: Process, what: str) -> None:
    limit = time.monotonic() + _PATIENCE_S
    while time.monotonic() < limit:
        try:
            if process.exchange(_NO_BYTES, _PATIENCE_S).ended:
                return
        except UnreachableError:
            return
    _fail(f"{what} does not end for who waits on it")


@contextmanager
def _raises(kind: type[ConnectError], what: str) -> Iterator[None]:
    try:
        yield
    except ConnectError as error:
        if not isinstance(error, kind) or not error.message:
            _fail(f"{what} raises {error!r} where the contract wants a {kind.__name__}")
    else:
        _fail(f"{what} raises nothing where the contract wants a {kind.__name__}")


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        _fail(f"{what}: {_short(found)} where the contract wants {_short(wanted)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _fail(problem: str) -> NoReturn:
    raise ContractError(problem)
