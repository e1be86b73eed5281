"""An open host: its session, its facts, and what can be done to it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from kubexm.errors import (
    AbortedError,
    DeadlineError,
    HostError,
    KubexmError,
    SessionLostError,
    as_host_error,
    tail,
)
from kubexm.facts import Facts
from kubexm.facts import parse as parse_facts
from kubexm.facts import script as facts_script
from kubexm.runner.command import Commands
from kubexm.runner.converge import check, converge
from kubexm.runner.decide import Pending
from kubexm.runner.face import Apply, Files, Kernel, Packages, Services
from kubexm.runner.outcome import Outcome, Status
from kubexm.shell import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kubexm.runner.command import LoginShell
    from kubexm.runner.converge import Announce
    from kubexm.runner.family import Catalogue, Family
    from kubexm.runner.lock import HostLock
    from kubexm.runner.operation import AnyHandler, Operation
    from kubexm.runner.procedure import Done, Procedure
    from kubexm.runner.transfer import PutOptions, Source
    from kubexm.shell import Script, Session

FaceT = TypeVar("FaceT")


class Host:
    """One machine that is open: connected, escalated, with facts.

    One thread at a time uses it. In check mode nothing is changed, and what earlier checks
    held back marks later predictions.

    Args:
        name: The inventory's.
        session: Open on the machine, as the user that operations need.
        catalogue: Where handlers come from.
        facts: The machine's; `Host.open` reads them.
        family: An override from the inventory; empty for a match by facts.
        image: The inventory says that this is an image, not a running machine.
        check: Predict instead of changing.
        deadline_s: For each trip, enforced on the machine.
        notices: What the operator should know about the connection.
        lock: What the machine is locked with, on every connection.
        reopen: Makes a new session on a new connection; without it `reconnect` is an error.
        stop: Set when the run is broken off; every wait ends then.
        login: Opens further sessions with the login environment, for users' own commands.

    `progress`, when it is set, is told what a transfer is and how far it has come: bytes of bytes.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        catalogue: Catalogue,
        facts: Facts,
        *,
        family: str = "",
        image: bool = False,
        check: bool = False,
        deadline_s: float = 600,
        notices: Sequence[str] = (),
        lock: HostLock | None = None,
        reopen: Callable[[], Session] | None = None,
        stop: threading.Event | None = None,
        login: LoginShell | None = None,
    ) -> None:
        self.name = name
        self.session = session
        self.catalogue = catalogue
        self.facts = facts
        self.image = image
        self.check = check
        self.deadline_s = deadline_s
        self.notices = tuple(notices)
        self.progress: Callable[[str, int, int], None] | None = None
        self._login = login
        self._override = family
        self._history: list[Outcome] = []
        self._lock = lock
        self._reopen = reopen
        self._stop = stop or threading.Event()
        self._earlier_trips = 0
        self.pending: tuple[Pending, ...] = ()
        """Changes that check mode has held back."""

    def __repr__(self) -> str:
        mode = " check" if self.check else ""
        return f"<Host {self.name}{mode}: {self.session!r}>"

    @classmethod
    def open(
        cls,
        name: str,
        session: Session,
        catalogue: Catalogue,
        *,
        family: str = "",
        image: bool = False,
        check: bool = False,
        deadline_s: float = 600,
        notices: Sequence[str] = (),
        lock: HostLock | None = None,
        reopen: Callable[[], Session] | None = None,
        stop: threading.Event | None = None,
        login: LoginShell | None = None,
    ) -> Host:
        """Lock the machine, read the facts (one round trip for both) and make the host.

        Raises:
            HostError: The script that reads them failed.
            LockedError: Somebody else is at work on the machine; nothing was done.
            SessionLostError: The link broke.
        """
        facts, told = _begin(name, session, lock, image=image, deadline_s=deadline_s)
        return cls(
            name,
            session,
            catalogue,
            facts,
            family=family,
            image=image,
            check=check,
            deadline_s=deadline_s,
            notices=(*notices, *told),
            lock=lock,
            reopen=reopen,
            stop=stop,
            login=login,
        )

    @property
    def history(self) -> tuple[Outcome, ...]:
        """Every outcome so far, in order."""
        return tuple(self._history)

    @property
    def trips(self) -> int:
        """Round trips so far, those of earlier connections included."""
        return self._earlier_trips + self.session.trips

    @property
    def packages(self) -> Packages:
        """Install and remove packages."""
        return Packages(self.apply)

    @property
    def files(self) -> Files:
        """Write, render, remove files; make directories; look at what is there."""
        return Files(self.apply, self._ask)

    @property
    def services(self) -> Services:
        """Start, stop, enable, disable services."""
        return Services(self.apply)

    @property
    def kernel(self) -> Kernel:
        """Modules, parameters, swap."""
        return Kernel(self.apply)

    @property
    def commands(self) -> Commands:
        """Run commands of one's own.

        Raises:
            HostError: This host was opened without a way to open further sessions.
        """
        if self._login is None:
            message = "this host was opened without login sessions for commands"
            raise HostError(message, host=self.name)
        return Commands(open=self._login, deadline_s=self.deadline_s, is_checking=self.check)

    @property
    def family(self) -> Family:
        """The OS family that fits the facts.

        Raises:
            PluginError: None is installed for it.
        """
        return self.catalogue.family(self.facts, override=self._override)

    def handler(self, op: Operation) -> AnyHandler:
        """The handler for an operation on this host.

        Raises:
            PluginError: No OS family is installed for this host.
            UnsupportedError: No handler supports the operation here.
        """
        return self.catalogue.handler(op, self.family, self.facts)

    def converge(
        self, *operations: Operation, announce: Announce | None = None
    ) -> tuple[Outcome, ...]:
        """Bring the host to the state that the operations describe, in order.

        All of them together cost one round trip when nothing changes and two when something
        does, plus one for each level at which a change altered what a later one had read.

        Args:
            operations: What should be.
            announce: Told before anything is changed; see `kubexm.runner.converge`.

        Returns:
            One outcome per operation; failures are outcomes.
        """
        if self.check:
            outcomes, self.pending = check(self, operations, self.pending)
        elif announce is not None:
            outcomes = converge(self, operations, announce=announce)
        else:
            outcomes = converge(self, operations)
        self._history += outcomes
        return outcomes

    def apply(self, operation: Operation) -> Outcome:
        """One operation, now.

        Raises:
            HostError: It failed.
        """
        (outcome,) = self.converge(operation)
        return outcome.must()

    def perform(self, procedure: Procedure) -> Outcome:
        """Do a procedure; in check mode say what it would do.

        Returns:
            Its outcome; a failure is one too.
        """
        began = time.monotonic()
        try:
            outcome = self._told(procedure, self._done(procedure))
        except (SessionLostError, DeadlineError) as error:
            outcome = _failed(procedure, error, Status.UNKNOWN)
        except KubexmError as error:
            outcome = _failed(procedure, as_host_error(error), Status.FAILED)
        outcome = replace(outcome, duration_s=round(time.monotonic() - began, 6))
        self._history.append(outcome)
        return outcome

    def pause(self, seconds: float) -> None:
        """Wait; every wait of a procedure is one of these.

        Raises:
            AbortedError: The run was broken off meanwhile.
        """
        if self._stop.wait(seconds):
            message = "the run was interrupted"
            raise AbortedError(message, host=self.name)

    def reconnect(self) -> None:
        """Drop the session; connect, become the same user, lock and read the facts anew.

        Raises:
            ConnectError: It could not be reached, or would not let us in.
            HostError: This host was opened without a way back.
        """
        if self._reopen is None:
            message = "this host was opened without a way to connect again"
            raise HostError(message, host=self.name)
        self.session.kill()
        trips = self.trips
        self.session = self._reopen()
        self._earlier_trips = trips
        self.facts, _ = _begin(
            self.name, self.session, self._lock, image=self.image, deadline_s=self.deadline_s
        )

    def use(self, face: Callable[[Apply], FaceT]) -> FaceT:
        """A face: verbs over operations, such as a plugin's `Chrony`."""
        return face(self.apply)

    def put(
        self, source: Source | Path | str, path: str, options: PutOptions | None = None
    ) -> Outcome:
        """Put a file or directory of this machine at a path of the host, unless it is there.

        Args:
            source: A path here; a `Source` saves reading it again for every host.
            path: Of the file or directory itself, absolute.
            options: Mode and owner; without any those of `PutOptions()`.

        Returns:
            Its outcome; `after` is the `Transfer` that says what moved.

        Raises:
            UsageError: The source is not there, or holds what cannot be put.
            HostError: It could not be done; a file is the old one or the new one.
        """
        from kubexm.runner.procedures.transfer import Put
        from kubexm.runner.transfer import PutOptions, Source

        source = source if isinstance(source, Source) else Source.read(source)
        put = Put(source=source, path=path, options=options or PutOptions())
        return self.perform(put).must()

    def get(self, path: str, local: Path | str) -> Outcome:
        """Get a file or directory of the host, unless it is here.

        Args:
            path: On the host, absolute.
            local: Where it goes: the path of the file or directory itself, with `{host}` for the
                host's name.

        Returns:
            Its outcome; `after` is the `Transfer` that says what moved.

        Raises:
            HostError: It could not be done; a file here is the old one or the new one.
        """
        from kubexm.runner.procedures.transfer import Get

        return self.perform(Get(path=path, local=local)).must()

    def progress_of(self, label: str) -> Callable[[int, int], None] | None:
        """Whom a transfer of this label tells the bytes that have moved, and those to move."""
        tell = self.progress
        return None if tell is None else lambda moved, total: tell(label, moved, total)

    def _ask(self, script: Script) -> Reply:
        return self.session.ask(script, deadline_s=self.deadline_s)

    def _done(self, procedure: Procedure) -> Done:
        return procedure.preview(self) if self.check else procedure.run(self)

    def _told(self, procedure: Procedure, done: Done) -> Outcome:
        """A procedure's outcome, without what is secret; in check mode what it holds back."""
        shown = not procedure.is_secret
        rests_on: tuple[str, ...] = ()
        if self.check:
            rests_on = tuple(dict.fromkeys(pending.label for pending in self.pending))
            if done.changed and procedure.alters():
                held = Pending(label=procedure.label(), alters=procedure.alters())
                self.pending += () if held in self.pending else (held,)
        return Outcome(
            operation=procedure,
            status=Status.CHANGED if done.changed else Status.OK,
            after=done.after if shown else None,
            diff=done.diff if shown else "",
            notes=done.notes,
            stdout=done.stdout if shown else "",
            stderr=done.stderr if shown else "",
            exit_status=done.exit_status,
            rests_on=rests_on,
            values=done.values,
        )


def _failed(procedure: Procedure, error: HostError, status: Status) -> Outcome:
    return Outcome(operation=procedure, status=status, error=error.during(procedure.label()))


def _begin(
    name: str, session: Session, lock: HostLock | None, *, image: bool, deadline_s: float
) -> tuple[Facts, tuple[str, ...]]:
    """Lock the machine and read the facts, in one round trip; the lock may have a notice."""
    scripts = (facts_script(),) if lock is None else (lock.script(name), facts_script())
    replies = session.run(scripts, deadline_s=deadline_s).whole()
    *locking, reply = (reply for reply in replies if isinstance(reply, Reply))
    notice = "" if lock is None else lock.judge(locking[0])
    if reply.exit_status != 0:
        said = tail(reply.stderr.decode("utf-8", "replace"))
        message = f"the facts could not be read (exit status {reply.exit_status}): {said}"
        raise HostError(message, host=name, hint="the host needs a POSIX sh and /proc")
    return parse_facts(reply, image=image), (notice,) if notice else ()
