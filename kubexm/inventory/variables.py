"""The variables of one host, after precedence: a mapping that evaluates what is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from kubexm.errors import InventoryError
from kubexm.inventory.name import is_secret_name
from kubexm.inventory.node import is_hidden
from kubexm.inventory.sealed import Sealed
from kubexm.inventory.select import closest
from kubexm.inventory.template import (
    MISSING,
    Engine,
    Evaluation,
    TemplateFaultError,
    has_template,
    plain,
)
from kubexm.secret import Secret

if TYPE_CHECKING:
    from kubexm.inventory.model import Origin


class Scope:
    """What templates of one inventory may name besides a host's own variables.

    Args:
        names: `inventory_dir` and `inventory_file`.
    """

    def __init__(self, names: Mapping[str, object]) -> None:
        self.engine = Engine()
        self.names = dict(names)
        self.groups: dict[str, list[str]] = {}
        self.hosts: dict[str, Variables] = {}
        self._local = threading.local()

    @contextmanager
    def reading(self, host: str, name: str, origin: Origin) -> Iterator[None]:
        """While a variable is evaluated: one that needs itself is told with the way around.

        Raises:
            InventoryError: It is being evaluated already.
        """
        chain: list[tuple[str, str]] = self._local.__dict__.setdefault("chain", [])
        here = (host, name)
        if here in chain:
            around = [*chain[chain.index(here) :], here]
            one_host = all(at == host for at, _ in around)
            shown = " → ".join(it if one_host else f"{at}.{it}" for at, it in around)
            message = f"{name!r} of host {host} is defined by itself: {shown}"
            hint = "give one of them a value without a template"
            raise _placed(message, origin, name, hint)
        chain.append(here)
        try:
            yield
        finally:
            chain.pop()

    def needed_by(self) -> str:
        """The variables whose evaluation led here, the last but one first."""
        chain: list[tuple[str, str]] = self._local.__dict__.get("chain", [])
        return " ← ".join(name for _, name in chain[-2::-1])


class Variables(Mapping[str, object]):
    """Everything set for a host. Reading a value evaluates its templates and opens its secrets.

    Args:
        host: Its name.
        raw: The values as they are written.
        origins: Where each was set.
        groups: Those of the host, for `group_names`.
        scope: What the whole inventory shares.
    """

    __slots__ = ("_cache", "_groups", "_scope", "host", "origins", "raw")

    def __init__(
        self,
        host: str,
        raw: Mapping[str, object],
        origins: Mapping[str, Origin],
        groups: tuple[str, ...],
        scope: Scope,
    ) -> None:
        self.raw: Mapping[str, object] = MappingProxyType(dict(raw))
        """The values as they are written: templates as text, secrets as `Secret` or `Sealed`."""
        self.host = host
        self.origins = origins
        self._groups = groups
        self._scope = scope
        self._cache: dict[str, object] = {}

    def __getitem__(self, name: str) -> object:
        """The value, evaluated.

        Raises:
            KeyError: There is no such variable.
            InventoryError: Its template cannot be evaluated, or its secret cannot be had.
        """
        value = self.raw[name]
        if not _is_lazy(value):
            return value
        if name not in self._cache:
            with self._scope.reading(self.host, name, self.origins[name]):
                self._cache[name] = self._finished(value, name)
        return self._cache[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __contains__(self, name: object) -> bool:
        return name in self.raw

    def __eq__(self, other: object) -> bool:
        # two of a kind are compared as they are written: comparing must not evaluate or ask
        return self.raw == other.raw if isinstance(other, Variables) else super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(dict(self.raw))

    def _finished(self, value: object, name: str) -> object:
        """A value as users of the library see it: immutable, and secret where a secret is in it."""
        match value:
            case Sealed():
                return value.open()
            case str() if has_template(value):
                return self._evaluated(value, name)
            case Mapping():
                found = {key: self._finished(item, name) for key, item in value.items()}
                return MappingProxyType(found)
            case tuple():
                return tuple(self._finished(item, name) for item in value)
            case _:
                return value

    def _evaluated(self, text: str, name: str) -> object:
        evaluation = Evaluation(self._lookup, self._scope.engine)
        with self._telling(name):
            found = plain(self._scope.engine.value(text, evaluation))
        return _hidden(found) if evaluation.is_secret else _frozen(found)

    def _lookup(self, name: str, evaluation: Evaluation) -> object:  # noqa: PLR0911 - by name
        """What a template of this host gets for a name."""
        if name in self.raw:
            with (
                self._scope.reading(self.host, name, self.origins[name]),
                self._telling(name),
            ):
                return evaluation.exposed(self.raw[name])
        match name:
            case "inventory_hostname":
                return self.host
            case "inventory_hostname_short":
                return self.host.partition(".")[0]
            case "group_names":
                return sorted(self._groups) or ["ungrouped"]
            case "groups":
                return self._scope.groups
            case "hostvars":
                return _Hosts(self._scope.hosts, evaluation)
            case _:
                return self._scope.names.get(name, MISSING)

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """Say where a template stands that cannot be evaluated."""
        try:
            yield
        except TemplateFaultError as fault:
            reason = str(fault)
        else:
            return
        if is_secret_name(name):
            # what looks like a name in it may be the password
            reason = "its template cannot be evaluated"
        undefined = reason.removesuffix(" is undefined").strip("'")
        near = closest(undefined, [*self.raw, *self._scope.names]) if undefined in reason else ""
        behind = self._scope.needed_by()
        hints = [near, f"needed by {behind}" if behind else ""]
        message = f"{name} of host {self.host}: {reason}"
        raise _placed(message, self.origins[name], name, "; ".join(filter(None, hints)))

    def exposed(self, name: str, evaluation: Evaluation) -> object:
        """The value as a template of another host sees it (`hostvars`)."""
        mine = Evaluation(self._lookup, self._scope.engine)
        found = self._lookup(name, mine)
        evaluation.is_secret |= mine.is_secret
        if found is MISSING:
            raise KeyError(name)
        return found


class _Hosts(Mapping[str, Mapping[str, object]]):
    """`hostvars`: the variables of every host by its name."""

    def __init__(self, hosts: Mapping[str, Variables], evaluation: Evaluation) -> None:
        self._hosts = hosts
        self._evaluation = evaluation

    def __getitem__(self, host: str) -> Mapping[str, object]:
        return _Others(self._hosts[host], self._evaluation)

    def __iter__(self) -> Iterator[str]:
        return iter(self._hosts)

    def __len__(self) -> int:
        return len(self._hosts)


class _Others(Mapping[str, object]):
    """The variables of one host, as a template of another sees them."""

    def __init__(self, variables: Variables, evaluation: Evaluation) -> None:
        self._variables = variables
        self._evaluation = evaluation

    def __getitem__(self, name: str) -> object:
        return self._variables.exposed(name, self._evaluation)

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def _is_lazy(value: object) -> bool:
    match value:
        case str():
            return has_template(value)
        case Sealed():
            return True
        case Mapping():
            return any(_is_lazy(item) for item in value.values())
        case tuple():
            return any(_is_lazy(item) for item in value)
        case _:
            return False


def _frozen(value: object) -> object:
    match value:
        case Mapping():
            return MappingProxyType({key: _frozen(item) for key, item in value.items()})
        case list():
            return tuple(_frozen(item) for item in value)
        case _:
            return value


def _hidden(value: object) -> object:
    """What a secret went into: all of it is secret, but for truth and nothing."""
    match value:
        case Mapping():
            return MappingProxyType({key: _hidden(item) for key, item in value.items()})
        case list():
            return tuple(_hidden(item) for item in value)
        case bool() | None:
            return value
        case _ if is_hidden(value):
            return value
        case _:
            return Secret(str(value))


def _placed(message: str, origin: Origin, name: str, hint: str) -> InventoryError:
    return InventoryError(
        message if origin.path else f"{origin.source}: {message}",
        path=origin.path,
        line=origin.line,
        column=origin.column,
        key=name,
        hint=hint,
    )
