"""Files and directories that go to a host or come from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.runner.operation import Scope, scope
from kubexm.runner.operations.file import check_path
from kubexm.runner.procedure import Done, Procedure
from kubexm.runner.transfer import PutOptions, Source, Transfer, get, put

if TYPE_CHECKING:
    from kubexm.runner.host import Host

_AS_THEY_ARE = PutOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Put(Procedure):
    """A file or directory of this machine goes to a host, unless it is there already.

    Args:
        source: A path here, read anew for each host, or a `Source`, which was read once.
        path: Of the file or directory itself on the host, absolute.
        options: Mode and owner.

    Raises:
        ValueError: The path on the host is not absolute.
    """

    source: Source | Path | str
    path: str
    options: PutOptions = _AS_THEY_ARE

    def __post_init__(self) -> None:
        check_path(self.path)

    def label(self) -> str:
        """See `Procedure.label`."""
        local = self.source.path if isinstance(self.source, Source) else self.source
        return f"put {local} to {self.path}"

    @property
    def is_secret(self) -> bool:
        """See `Procedure.is_secret`; no output has content in it."""
        return False

    @property
    def repeatable(self) -> bool:
        """See `Procedure.repeatable`: what has arrived is left alone."""
        return True

    def alters(self) -> Scope:
        """See `Procedure.alters`."""
        return scope("file", (self.path, f"{self.path}/*"))

    def preview(self, host: Host) -> Done:
        """See `Procedure.preview`."""
        return self._do(host, check=True)

    def run(self, host: Host) -> Done:
        """See `Procedure.run`.

        Raises:
            UsageError: The source is not there, or holds what cannot be put.
        """
        return self._do(host, check=False)

    def _do(self, host: Host, *, check: bool) -> Done:
        source = self.source if isinstance(self.source, Source) else Source.read(self.source)
        return _done(
            put(
                host.session,
                source,
                self.path,
                self.options,
                deadline_s=host.deadline_s,
                check=check,
                progress=host.progress_of(self.label()),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Get(Procedure):
    """A file or directory of a host comes to this machine, unless it is here already.

    Args:
        path: On the host, absolute.
        local: Where it goes: the path of the file or directory itself, with `{host}` for the
            host's name. Without it every host of a step writes to the same path.

    Raises:
        ValueError: The path on the host is not absolute.
    """

    path: str
    local: Path | str

    def __post_init__(self) -> None:
        check_path(self.path)

    def label(self) -> str:
        """See `Procedure.label`."""
        return f"get {self.path} to {self.local}"

    @property
    def repeatable(self) -> bool:
        """See `Procedure.repeatable`: what is here is left alone."""
        return True

    def alters(self) -> Scope:
        """See `Procedure.alters`: nothing on the host."""
        return frozenset()

    def preview(self, host: Host) -> Done:
        """See `Procedure.preview`."""
        return self._do(host, check=True)

    def run(self, host: Host) -> Done:
        """See `Procedure.run`."""
        return self._do(host, check=False)

    def _do(self, host: Host, *, check: bool) -> Done:
        return _done(
            get(
                host.session,
                self.path,
                Path(str(self.local).replace("{host}", host.name)),
                deadline_s=host.deadline_s,
                check=check,
                progress=host.progress_of(self.label()),
            )
        )


def _done(transfer: Transfer) -> Done:
    notes = tuple(f"left out: {path}" for path in transfer.left_out)
    if transfer.resumed_bytes:
        notes += (f"went on after {transfer.resumed_bytes} bytes of an earlier try",)
    return Done(changed=transfer.changed != (), diff=transfer.diff, notes=notes, after=transfer)
