"""The comfortable faces of a host: verbs over operations, one round trip budget each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from kubexm.runner import look
from kubexm.runner.operation import Operation
from kubexm.runner.operations import (
    BlockInFile,
    Directory,
    FileContent,
    KernelModules,
    LineInFile,
    PackagesInstalled,
    PackagesRemoved,
    PathAbsent,
    Service,
    SwapOff,
    SysctlSettings,
)
from kubexm.runner.outcome import Outcome

if TYPE_CHECKING:
    from kubexm.runner.look import Ask, PathStatus
    from kubexm.secret import Secret

Apply: TypeAlias = Callable[[Operation], Outcome]
"""`Host.apply`: one operation, now; raises `HostError` when it failed."""


@dataclass(frozen=True, slots=True)
class Packages:
    """`host.packages`."""

    apply: Apply

    def install(self, *names: str) -> Outcome:
        """See `PackagesInstalled`."""
        return self.apply(PackagesInstalled(names=frozenset(names)))

    def remove(self, *names: str) -> Outcome:
        """See `PackagesRemoved`."""
        return self.apply(PackagesRemoved(names=frozenset(names)))


@dataclass(frozen=True, slots=True)
class Files:
    """`host.files`: as they should be, and as they are."""

    apply: Apply
    ask: Ask

    def write(
        self,
        path: str,
        content: str | bytes | Secret,
        *,
        mode: int = 0o644,
        owner: str = "",
        group: str = "",
        validate: str = "",
    ) -> Outcome:
        """See `FileContent`."""
        return self.apply(
            FileContent(
                path=path, content=content, mode=mode, owner=owner, group=group, validate=validate
            )
        )

    def render(
        self,
        path: str,
        template: str,
        variables: Mapping[str, object],
        *,
        mode: int = 0o644,
        owner: str = "",
        group: str = "",
    ) -> Outcome:
        """See `FileContent.rendered`."""
        return self.apply(
            FileContent.rendered(
                path, template=template, variables=variables, mode=mode, owner=owner, group=group
            )
        )

    def mkdir(self, path: str, *, mode: int = 0o755, owner: str = "", group: str = "") -> Outcome:
        """See `Directory`."""
        return self.apply(Directory(path=path, mode=mode, owner=owner, group=group))

    def remove(self, path: str) -> Outcome:
        """See `PathAbsent`."""
        return self.apply(PathAbsent(path=path))

    def line(self, path: str, line: str, *, pattern: str = "") -> Outcome:
        """See `LineInFile`."""
        return self.apply(LineInFile(path=path, line=line, pattern=pattern))

    def block(self, path: str, name: str, block: str) -> Outcome:
        """See `BlockInFile`."""
        return self.apply(BlockInFile(path=path, name=name, block=block))

    def stat(self, path: str, *, follow: bool = False) -> PathStatus:
        """What is at a path; a missing one is an answer. See `kubexm.runner.look`."""
        return look.stat(self.ask, path, follow=follow)

    def exists(self, path: str) -> bool:
        """Whether there is anything at a path, a symbolic link that leads nowhere included."""
        return self.stat(path).exists

    def is_dir(self, path: str) -> bool:
        """Whether a path is a directory, or a symbolic link to one."""
        return self.stat(path, follow=True).is_dir

    def read(self, path: str) -> bytes:
        """A file's content; see `kubexm.runner.look`. `Host.get` takes files of any size."""
        return look.read(self.ask, path)

    def checksum(self, path: str, algorithm: Literal["sha256", "md5"] = "sha256") -> str:
        """The digest of a file's content, in hexadecimal."""
        return look.checksum(self.ask, path, algorithm)


@dataclass(frozen=True, slots=True)
class Services:
    """`host.services`."""

    apply: Apply

    def start(self, name: str) -> Outcome:
        """Runs now; whether it starts at boot is left as it is."""
        return self.apply(Service(name=name, enabled=None, running=True))

    def stop(self, name: str) -> Outcome:
        """Does not run now; whether it starts at boot is left as it is."""
        return self.apply(Service(name=name, enabled=None, running=False))

    def enable(self, name: str) -> Outcome:
        """Starts at boot; whether it runs now is left as it is."""
        return self.apply(Service(name=name, enabled=True, running=None))

    def disable(self, name: str) -> Outcome:
        """Does not start at boot; whether it runs now is left as it is."""
        return self.apply(Service(name=name, enabled=False, running=None))


@dataclass(frozen=True, slots=True)
class Kernel:
    """`host.kernel`."""

    apply: Apply

    def load(self, name: str, *modules: str) -> Outcome:
        """See `KernelModules`; `name` is the drop-in file's."""
        return self.apply(KernelModules(name=name, modules=modules))

    def sysctl(self, name: str, values: Mapping[str, str]) -> Outcome:
        """See `SysctlSettings`; `name` is the drop-in file's."""
        return self.apply(SysctlSettings(name=name, values=values))

    def swap_off(self) -> Outcome:
        """See `SwapOff`."""
        return self.apply(SwapOff())
