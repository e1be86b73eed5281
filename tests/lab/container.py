"""Root file systems of the laboratory's image for chroot and podman, without booting them."""

from __future__ import annotations

import contextlib
import os
import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.cgroup import ControlGroup
from tests.lab.command import CommandError, find, run
from tests.lab.image import cached_image, check_overlay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PODMAN = """\
#!/bin/sh
# Podman wants a short path for what it keeps. crun refuses a hybrid of both kinds of control
# groups: it is shown the newer kind alone.
exec unshare --mount --propagation slave sh -c '
    mount --bind "{state}" /mnt || exit
    [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || {{
        umount --recursive /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit
    }}
    exec podman --root /mnt/root --runroot /mnt/run --tmpdir /mnt/tmp \\
        --cgroup-manager cgroupfs --events-backend file "$@"
' sh "$@"
"""


@contextmanager
def tree(directory: Path) -> Iterator[Path]:
    """A root file system to change at will; what is changed lies in `directory`.

    Raises:
        MissingError: The directory is on an overlay itself.
        CommandError: It cannot be mounted.
    """
    check_overlay(directory)
    layers = cached_image(ControlGroup(name=f"kubexm-lab-image-{os.getpid()}")).layers
    for name in ("upper", "work", "merged"):
        (directory / name).mkdir()
    options = f"lowerdir={':'.join(map(str, layers))},upperdir={directory}/upper"
    merged = directory / "merged"
    run("mount", "-t", "overlay", "overlay", "-o", f"{options},workdir={directory}/work", merged)
    try:
        yield merged
    finally:
        run("umount", merged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A podman container that runs and does nothing.

    Attributes:
        name: What `podman exec` calls it.
        executable: The podman that knows it.
    """

    name: str
    executable: Path

    def podman(self, *words: str) -> None:
        """Call podman.

        Raises:
            CommandError: It failed.
        """
        run(self.executable, *words)


@contextmanager
def container(directory: Path) -> Iterator[Container]:
    """A container of podman's, with nothing outside `directory` and no network.

    Raises:
        CommandError: podman cannot run one on this machine; it says why.
    """
    with ExitStack() as stack:
        state = directory / "podman"
        state.mkdir()
        (directory / "tree").mkdir()
        root = stack.enter_context(tree(directory / "tree"))
        executable = directory / "podman-here"
        executable.write_text(_PODMAN.format(state=state), "utf-8")
        executable.chmod(0o755)
        made = Container(name=f"kubexm-{secrets.token_hex(4)}", executable=executable)
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
        stack.callback(_discard, made)
        made.podman(
            *("run", "--detach", "--name", made.name, "--network", "none"),
            *("--cgroups=disabled", *limits, "--rootfs", str(root), "sleep", "infinity"),
        )
        yield made


def _discard(made: Container) -> None:
    with contextlib.suppress(CommandError):
        made.podman("rm", "--force", "--time", "0", made.name)


def has_podman() -> bool:
    """Whether podman is installed."""
    return find("podman") is not None
