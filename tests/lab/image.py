"""The hosts' root file system: Debian as mmdebstrap makes it, and a layer of the laboratory's own.

Both are kept in the cache under a digest of what they are made from: a changed package table costs
seconds, a changed list of Debian's packages a new bootstrap.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.lab.cgroup import ControlGroup
from tests.lab.command import MissingError, note, run
from tests.lab.package import PACKAGES, TinyPackage, build_repository
from tests.lab.tree import discard, write_tree


class Suite(StrEnum):
    """The releases of Debian that hosts can have."""

    BOOKWORM = "bookworm"
    """Debian 12; the machine's own apt configuration has to offer it."""
    TRIXIE = "trixie"
    """Debian 13, from where `BOOKWORM` comes from."""


DEBIAN_PACKAGES = (
    "adduser",
    "cron",
    "dbus",
    "fdisk",
    "iproute2",
    "kmod",
    "less",
    "libpam-systemd",
    "login",
    "logrotate",
    "mount",
    "netbase",
    "nftables",
    "openssh-server",
    "passwd",
    "procps",
    "sudo",
    "systemd",
    "systemd-sysv",
    "systemd-timesyncd",
    "tzdata",
    "udev",
    "util-linux",
)
REAL_PACKAGES = ("acl", "busybox", "iptables", "mksh", "opendoas", "tcsh")
"""Packages of Debian that hosts can install: a stand-in would hide what the tests look for."""

NEWER_PACKAGES = ("e2fsprogs", "sudo-rs")
"""The same, of releases after bookworm."""

PASSWORD = "p'a\"s$w\\o;r d*&|"
"""The login password of every user but root, and what sudo asks `asks` for."""

USERS = {"nopass": 1000, "asks": 1001, "plain": 1002}
"""Login users and their numbers. nopass: sudo without a password; asks: sudo with; plain: none."""

REPOSITORY = "/opt/lab-repo"

_FILES = {
    "etc/apt/sources.list.d/lab.list": (0o644, f"deb [trusted=yes] file:{REPOSITORY} ./\n"),
    "etc/sudoers.d/nopass": (0o440, "nopass ALL=(ALL:ALL) NOPASSWD: ALL\n"),
    "etc/fstab": (0o644, "# /etc/fstab: static file system information.\n"),
    "etc/hostname": (0o644, "unnamed\n"),
    # Nothing listens on 127.0.0.1:53, the default of an empty file: lookups fail at once.
    "etc/resolv.conf": (0o644, ""),
    # Loop devices belong to the machine's kernel; a host only lacks the nodes.
    "etc/tmpfiles.d/lab-loop.conf": (
        0o644,
        "c! /dev/loop-control 0660 root disk - 10:237\n"
        + "".join(f"b! /dev/loop{n} 0660 root disk - 7:{n}\n" for n in range(16)),
    ),
}

_SETUP = f"""\
set -eu
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/0000* /etc/apt/apt.conf.d/99mmdebstrap
rm -f /etc/ssh/ssh_host_*
{"".join(f"useradd -m -u {uid} -s /bin/bash {name}{chr(10)}" for name, uid in USERS.items())}
gpasswd -a asks sudo >/dev/null
passwd -q -l root
chpasswd
"""

_BUILD_LAYER = """\
set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/layer,workdir=$2/work" "$2/merged"
tar -C "$2/files" -cf - . | tar -C "$2/merged" --no-overwrite-dir -xpf -
exec chroot "$2/merged" /bin/sh -c "$3"
"""


_JOIN = """\
n=$1
shift
while [ "$n" -gt 0 ]; do
    echo $$ >"$1" || exit
    shift
    n=$((n - 1))
done
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A root file system that hosts lay their own changes over.

    Attributes:
        layers: Read-only directories, the uppermost first, as overlayfs counts.
    """

    layers: tuple[Path, ...]


def cache_directory() -> Path:
    """Where images are kept; deleting it is safe while no host is up."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return base / "kubexm-lab"


def cached_image(group: ControlGroup, suite: Suite = Suite.BOOKWORM) -> Image:
    """The image of today's recipe, built when the cache lacks it.

    Args:
        group: What the building programs run in, so that they never outlive the laboratory.
        suite: Debian's release.

    Raises:
        CommandError: A building program failed.
        MissingError: This machine's apt does not offer Debian.
    """
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    base = cache / f"base-{_digest(str(suite), DEBIAN_PACKAGES, _real_packages(suite))}"
    recipe = (base.name, _tables(PACKAGES), _FILES, _SETUP, _BUILD_LAYER, PASSWORD)
    layer = cache / f"layer-{_digest(*recipe)}"
    with _locked(cache):
        for stale in cache.glob("building-*"):
            discard(stale)
        if not base.is_dir():
            note(f"bootstrapping {suite} into {base}; this takes a minute, once")
            with _draft(cache) as draft:
                _build_base(draft, group, suite)
                (draft / "root").rename(base)
        if not layer.is_dir():
            note(f"building {layer}")
            with _draft(cache) as draft:
                _build_layer(base, draft, group)
                (draft / "layer").rename(layer)
    return Image(layers=(layer, base))


def host_key_directory(name: str) -> Path:
    """SSH host keys of the host `name`; cached, since an RSA key takes longer than a boot."""
    directory = cache_directory() / "host-keys" / name
    if not directory.is_dir():
        directory.parent.mkdir(exist_ok=True)
        # Not among the drafts of images, which another laboratory clears away.
        with _draft(directory.parent) as draft:
            generate_host_keys(draft)
            (draft / "etc/ssh").rename(directory)
    return directory


def generate_host_keys(directory: Path) -> None:
    """Make one host key of each type in etc/ssh below a directory."""
    (directory / "etc/ssh").mkdir(parents=True, exist_ok=True)
    run("ssh-keygen", "-q", "-A", "-f", directory)


def apt_sources() -> tuple[Path, ...]:
    """The files of this machine's apt configuration that name `Suite.BOOKWORM`.

    Raises:
        MissingError: None does.
    """
    root = Path("/etc/apt")
    parts = root / "sources.list.d"
    files = (root / "sources.list", *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources")))
    named = tuple(
        file
        for file in files
        if file.is_file() and Suite.BOOKWORM in file.read_text("utf-8").split()
    )
    if not named:
        message = f"no apt source of this machine offers {Suite.BOOKWORM}"
        raise MissingError(message)
    return named


def _apt_options() -> tuple[str, ...]:
    wanted = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until")
    lines = run("apt-config", "dump").stdout.splitlines()
    return tuple(f"--aptopt={line}" for line in lines if line.split(" ")[0] in wanted)


def _real_packages(suite: Suite) -> tuple[str, ...]:
    return REAL_PACKAGES if suite is Suite.BOOKWORM else (*REAL_PACKAGES, *NEWER_PACKAGES)


def _sources_of(suite: Suite, draft: Path) -> Iterator[Path]:
    """The machine's own sources, for another release where one is wanted."""
    for file in apt_sources():
        if suite is Suite.BOOKWORM:
            yield file
        else:
            text = file.read_text("utf-8").replace(Suite.BOOKWORM, suite)
            (draft / file.name).write_text(text, "utf-8")
            yield draft / file.name


def _build_base(draft: Path, group: ControlGroup, suite: Suite) -> None:
    fetch = f"mkdir -p {REPOSITORY} && cd {REPOSITORY} && apt-get install -qq --download-only "
    fetch += f"-o Dir::Cache::archives={REPOSITORY} {' '.join(_real_packages(suite))}"
    scratch = draft / "tmp"
    scratch.mkdir()
    scratch.chmod(0o1777)
    _run_in(
        group,
        *("env", f"TMPDIR={scratch}", "mmdebstrap"),
        *("--quiet", "--mode=root", "--variant=minbase", "--format=directory"),
        f"--include={','.join(DEBIAN_PACKAGES)}",
        *_apt_options(),
        f"--customize-hook=chroot \"$1\" sh -c '{fetch}'",
        str(suite),
        str(draft / "root"),
        *map(str, _sources_of(suite, draft)),
    )


def _build_layer(base: Path, draft: Path, group: ControlGroup) -> None:
    for name in ("layer", "work", "merged", "files", "scratch"):
        (draft / name).mkdir(mode=0o755)
    files = draft / "files"
    write_tree(files, _FILES)
    repository = files / REPOSITORY.lstrip("/")
    repository.mkdir(parents=True)
    for package in (base / REPOSITORY.lstrip("/")).glob("*.deb"):
        shutil.copy2(package, repository)
    build_repository(repository, draft / "scratch")
    accounts = "".join(f"{name}:{PASSWORD}\n" for name in USERS)
    _run_in(
        group,
        *("sh", "-c", _BUILD_LAYER, "sh", str(base), str(draft), _SETUP),
        stdin=accounts,
    )


def _run_in(group: ControlGroup, *argv: str, stdin: str = "") -> None:
    """Run a program so that neither its children nor its mounts can outlive the laboratory."""
    group.make()
    members = [str(directory / "cgroup.procs") for directory in group.directories]
    unshare = ("unshare", "--mount", "--propagation", "slave", *argv)
    run("sh", "-c", _JOIN, "sh", str(len(members)), *members, *unshare, stdin=stdin, timeout_s=900)


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    with (cache / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _draft(cache: Path) -> Iterator[Path]:
    draft = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
    try:
        # Hosts' users reach their own files through here.
        draft.chmod(0o755)
        yield draft
    finally:
        discard(draft)


def _tables(packages: tuple[TinyPackage, ...]) -> tuple[object, ...]:
    return tuple((package.file_name, sorted(package.tree().items())) for package in packages)


def _digest(*recipe: object) -> str:
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]


def check_overlay(directory: Path) -> None:
    """Make sure that overlayfs can keep its changes in a directory.

    Raises:
        MissingError: The directory lies on an overlay itself, which the kernel does not stack.
    """
    kind = run("stat", "--file-system", "--format=%T", directory).stdout.strip()
    if kind == "overlayfs":
        message = f"{directory}: on an overlay, which overlayfs cannot write through to; "
        message += "name a directory on a real file system in KUBEXM_LAB_STATE"
        raise MissingError(message)
