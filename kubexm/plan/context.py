"""What a step's body sees: a host, its facts, the cluster, shared values. No connection."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from kubexm.errors import PlanError
from kubexm.plan.cache import Cache
from kubexm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from kubexm.facts import Facts
    from kubexm.inventory import Host, Inventory
    from kubexm.runner import Plain

_Key = TypeVar("_Key")
_T = TypeVar("_T")

RUN = ""
"""The widest scope of `StepContext.cached`: all steps of the run."""

Value: TypeAlias = "Plain | Secret"
"""What steps may share."""


class UnpublishedError(PlanError):
    """A step read a value that no step has published. Check mode does not make values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What a step may know of the other hosts: the inventory, read-only.

    Args:
        inventory: All of it, whatever `--limit` says.
    """

    inventory: Inventory
    _by_role: Mapping[str, tuple[Host, ...]] = field(init=False, repr=False, compare=False)
    _by_label: Mapping[tuple[str, str], tuple[Host, ...]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        by_role: dict[str, list[Host]] = {}
        by_label: dict[tuple[str, str], list[Host]] = {}
        for host in self.inventory.hosts:
            for group in host.groups:
                by_role.setdefault(group, []).append(host)
            for item in host.labels.items():
                by_label.setdefault(item, []).append(host)
        object.__setattr__(self, "_by_role", _frozen(by_role))
        object.__setattr__(self, "_by_label", _frozen(by_label))

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All hosts of the inventory, in its order, whatever `--limit` says."""
        return self.inventory.hosts

    def host(self, name: str) -> Host:
        """The host of that name.

        Raises:
            UsageError: There is none.
        """
        return self.inventory.host(name)

    def role(self, group: str) -> tuple[Host, ...]:
        """The hosts of a group, in inventory order; empty when there is no such group."""
        return self._by_role.get(group, ())

    def labelled(self, label: str, value: str) -> tuple[Host, ...]:
        """The hosts whose label has that value, in inventory order."""
        return self._by_label.get((label, value), ())


def _frozen(index: dict[_Key, list[Host]]) -> Mapping[_Key, tuple[Host, ...]]:
    return MappingProxyType({key: tuple(hosts) for key, hosts in index.items()})


class Values:
    """What steps have published, by name and host; `_lock` guards it. And what they keep."""

    def __init__(self, known: Iterable[tuple[str, str, Value]] = ()) -> None:
        self.cache = Cache()
        self._lock = threading.Lock()
        self._by_name: dict[str, dict[str, Value]] = {}
        for host, name, value in known:
            self.put(host, name, value)

    def put(self, host: str, name: str, value: Value) -> None:
        """Publish a value; an earlier one of that name and host is replaced.

        Raises:
            PlanError: It is neither plain data nor a `Secret`, so no journal could keep it.
        """
        if not isinstance(value, Secret) and not _is_plain(value):
            message = f"the value {name!r} is a {type(value).__name__}"
            hint = "publish a Secret, or what JSON has: texts, numbers, lists, dicts with text keys"
            raise PlanError(message, hint=hint)
        with self._lock:
            self._by_name.setdefault(name, {})[host] = value

    def of(self, name: str) -> dict[str, Value]:
        """Every host's value of that name."""
        with self._lock:
            return dict(self._by_name.get(name, {}))

    def known(self) -> tuple[tuple[str, str, Value], ...]:
        """All of them, as the constructor takes them."""
        with self._lock:
            return tuple(
                (host, name, value)
                for name, by_host in self._by_name.items()
                for host, value in by_host.items()
            )


def _ignored(name: str, value: Value) -> None:
    del name, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """One host's view of what steps share: it reads everybody's and publishes its own.

    Args:
        host: Its name.
        values: Everybody's.
        published: Told of each value before it can be read.
    """

    host: str
    values: Values = field(default_factory=Values, repr=False)
    published: Callable[[str, Value], None] = field(default=_ignored, repr=False)

    def read(self, name: str, *, host: str = "") -> Value:
        """A value: that of `host`, else this host's own, else that of the one that has it.

        Raises:
            UnpublishedError: Nobody has published it.
            PlanError: Several other hosts have: say whose is meant, or use `read_all`.
        """
        found = self.values.of(name)
        wanted = host or self.host
        if wanted in found:
            return found[wanted]
        if host or not found:
            whose = f" on {host}" if host else ""
            message = f"no step has published the value {name!r}{whose}"
            raise UnpublishedError(message, hint="await the step that publishes it")
        if len(found) > 1:
            message = f"{len(found)} hosts have published the value {name!r}"
            raise PlanError(message, hint="say whose is meant: read(name, host=...)")
        return next(iter(found.values()))

    def text(self, name: str, *, host: str = "") -> str | Secret:
        """A value that is a text or a secret, as the fields of operations take them.

        Raises:
            UnpublishedError: Nobody has published it.
            PlanError: It is something else, or several other hosts have published it.
        """
        value = self.read(name, host=host)
        if isinstance(value, str | Secret):
            return value
        message = f"the value {name!r} is a {type(value).__name__}, not a text"
        raise PlanError(message, hint="read it with read(), and make a text of it")

    def read_all(self, name: str) -> Mapping[str, Value]:
        """Every host's value of that name; empty when nobody has published it."""
        return self.values.of(name)

    def publish(self, name: str, value: Value) -> None:
        """Let later steps of any host read a value.

        Raises:
            PlanError: It is neither plain data nor a `Secret`.
        """
        self.published(name, value)
        self.values.put(self.host, name, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step's body sees.

    Args:
        host: What the inventory says about the host.
        facts: The host's, as they are when the step's turn comes.
        cluster: The other hosts.
        shared: What earlier steps have published.
        step: The step's full name: those of the plans that it is in and its own, with "/".
    """

    host: Host
    facts: Facts
    cluster: Cluster
    shared: Shared = field(default_factory=lambda: Shared(host=""))
    step: str = ""

    def cached(self, key: Hashable, make: Callable[[], _T], *, within: str | None = None) -> _T:
        """What `make` returns, which is called once for all hosts that ask.

        Nothing of it is kept beyond the run, nor shared with other processes: what others must
        see is published. What `make` raises is raised here, and the next one tries again.

        Args:
            key: Whose value it is, among those of its scope.
            make: It may take its time; who wants the same value waits for it.
            within: Who else sees it: the name of a plan that the step is in, or `RUN` for all.
                The default is this step alone, on all its hosts.

        Raises:
            PlanError: The step is in no such plan.
        """
        scope = self.step if within is None else within
        if scope != RUN and not f"{self.step}/".startswith(f"{scope}/"):
            plans = self.step.split("/")[:-1]
            around = ["/".join(plans[: at + 1]) for at in range(len(plans))]
            message = f"the step {self.step} is in no plan {within!r}"
            raise PlanError(message, hint=f"it is in: {', '.join(around) or 'RUN'}")
        return self.shared.values.cache.get(scope, key, make)


def _is_plain(value: object) -> bool:
    match value:
        case None | str() | int() | float() | bool():
            return True
        case list():
            return all(_is_plain(item) for item in value)
        case dict():
            return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
        case _:
            return False
