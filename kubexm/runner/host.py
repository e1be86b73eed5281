"""An open host: its session, its facts, and what can be done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from kubexm.errors import HostError, tail
from kubexm.facts import Facts
from kubexm.facts import parse as parse_facts
from kubexm.facts import script as facts_script
from kubexm.runner.converge import check, converge
from kubexm.runner.face import Apply, Files, Kernel, Packages, Services
from kubexm.shell import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubexm.runner.decide import Pending
    from kubexm.runner.family import Catalogue, Family
    from kubexm.runner.lock import HostLock
    from kubexm.runner.operation import AnyHandler, Operation
    from kubexm.runner.outcome import Outcome
    from kubexm.shell import Session

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
    ) -> None:
        self.name = name
        self.session = session
        self.catalogue = catalogue
        self.facts = facts
        self.image = image
        self.check = check
        self.deadline_s = deadline_s
        self.notices = tuple(notices)
        self._override = family
        self._history: list[Outcome] = []
        self._pending: tuple[Pending, ...] = ()

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
    ) -> Host:
        """Lock the machine, read the facts (one round trip for both) and make the host.

        Raises:
            HostError: The script that reads them failed.
            LockedError: Somebody else is at work on the machine; nothing was done.
            SessionLostError: The link broke.
        """
        scripts = (facts_script(),) if lock is None else (lock.script(name), facts_script())
        replies = session.run(scripts, deadline_s=deadline_s).whole()
        *locking, reply = (reply for reply in replies if isinstance(reply, Reply))
        if lock is not None and (notice := lock.judge(locking[0])):
            notices = (*notices, notice)
        if reply.exit_status != 0:
            said = tail(reply.stderr.decode("utf-8", "replace"))
            message = f"the facts could not be read (exit status {reply.exit_status}): {said}"
            raise HostError(message, host=name, hint="the host needs a POSIX sh and /proc")
        facts = parse_facts(reply, image=image)
        return cls(
            name,
            session,
            catalogue,
            facts,
            family=family,
            image=image,
            check=check,
            deadline_s=deadline_s,
            notices=notices,
        )

    @property
    def history(self) -> tuple[Outcome, ...]:
        """Every outcome so far, in order."""
        return tuple(self._history)

    @property
    def packages(self) -> Packages:
        """Install and remove packages."""
        return Packages(self.apply)

    @property
    def files(self) -> Files:
        """Write, render, remove files; make directories."""
        return Files(self.apply)

    @property
    def services(self) -> Services:
        """Start, stop, enable, disable services."""
        return Services(self.apply)

    @property
    def kernel(self) -> Kernel:
        """Modules, parameters, swap."""
        return Kernel(self.apply)

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

    def converge(self, *operations: Operation) -> tuple[Outcome, ...]:
        """Bring the host to the state that the operations describe, in order.

        All of them together cost one round trip when nothing changes and two when something
        does, plus one for each level at which a change altered what a later one had read.

        Returns:
            One outcome per operation; failures are outcomes.
        """
        if self.check:
            outcomes, self._pending = check(self, operations, self._pending)
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

    def use(self, face: Callable[[Apply], FaceT]) -> FaceT:
        """A face: verbs over operations, such as a plugin's `Chrony`."""
        return face(self.apply)
