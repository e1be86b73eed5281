"""Work that is done rather than declared: a reboot, waiting for a port, a command run."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeAlias

from kubexm.runner.operation import EVERYTHING, Scope, holds_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubexm.runner.host import Host
    from kubexm.secret import Secret

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"
"""What may be shared between hosts and kept in a journal, besides a `Secret`."""


def _nothing() -> Mapping[str, Plain | Secret]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a procedure did, or in a preview what it would do.

    Args:
        changed: Whether the host is another one afterwards.
        diff: What changed, where that can be shown.
        notes: What the operator should know.
        stdout: What it printed, decoded; empty when secret.
        stderr: The same of the other stream.
        exit_status: Of its command, where it is one.
        values: What it publishes for later steps.
        after: What its outcome has as `after`; nobody shows it.
    """

    changed: bool = True
    diff: str = ""
    notes: tuple[str, ...] = ()
    stdout: str = ""
    stderr: str = ""
    exit_status: int | None = None
    values: Mapping[str, Plain | Secret] = field(default_factory=_nothing)
    after: object = None


class Procedure(Protocol):
    """Imperative work on one open host. Implementations are frozen dataclasses, named by a verb.

    Derive from it to take the defaults. What can be declared is an `Operation` instead: that
    is predicted exactly, verified, and costs no round trip of its own.
    """

    def label(self) -> str:
        """The procedure in a few words, free of secrets: "reboot"."""
        return type(self).__name__

    @property
    def is_secret(self) -> bool:
        """Whether its output must not be shown. The default: a field holds a `Secret`."""
        return holds_secret(self)

    @property
    def repeatable(self) -> bool:
        """Whether doing it again is harmless when nobody saw how the last time ended."""
        return False

    def alters(self) -> Scope:
        """What it may alter; check mode marks later predictions that touch it."""
        return EVERYTHING

    def preview(self, host: Host) -> Done:
        """What `run` would do; it may read the host and never changes it.

        Raises:
            HostError: It could not be done.
        """
        ...

    def run(self, host: Host) -> Done:
        """Do it.

        Raises:
            HostError: It failed.
            SessionLostError: Whether it took effect is unknown.
        """
        ...
