"""What is known about one machine, as a frozen value.

A text that is not known is "", anything else that is not known is `None`; "cannot tell" is
never `False` and never a guess.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

JsonValue: TypeAlias = "str | int | list[JsonValue] | dict[str, JsonValue] | None"
"""What JSON can hold, without fractions."""


class Machine(StrEnum):
    """The three kinds of machine; what may be done on each is said here and nowhere else."""

    LIVE = "live"
    """It has booted and has a kernel of its own."""
    CONTAINER = "container"
    """It has booted and shares its kernel with others."""
    IMAGE = "image"
    """A tree of files that will boot some day: a chroot, a sandbox, a mounted disk."""

    @property
    def owns_kernel(self) -> bool:
        """Whether kernel-wide settings (modules, sysctls, swap) may be set at run time.

        Where they may not, they are only written down for the next boot, and the host's
        report says that they do not apply now.
        """
        return self is Machine.LIVE

    @property
    def is_booted(self) -> bool:
        """Whether services may be started; in an image they are only enabled."""
        return self is not Machine.IMAGE


class PackageManager(StrEnum):
    """The command that installs packages."""

    APT = "apt"
    DNF = "dnf"
    YUM = "yum"
    ZYPPER = "zypper"
    PACMAN = "pacman"
    APK = "apk"
    NONE = "none"


class Init(StrEnum):
    """The service manager that is running."""

    SYSTEMD = "systemd"
    OPENRC = "openrc"
    SYSVINIT = "sysvinit"
    NONE = "none"


class Selinux(StrEnum):
    """What the running kernel does with SELinux."""

    ENFORCING = "enforcing"
    PERMISSIVE = "permissive"
    DISABLED = "disabled"


class Firewall(StrEnum):
    """Who manages the packet filter. Rules that nobody manages do not count."""

    FIREWALLD = "firewalld"
    UFW = "ufw"
    NFTABLES = "nftables"
    IPTABLES = "iptables"
    NONE = "none"


class Cgroup(StrEnum):
    """The layout under /sys/fs/cgroup; hybrid is version 1 with an empty version 2 beside it."""

    V1 = "1"
    V2 = "2"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingSystem:
    """os-release(5), unquoted.

    Args:
        id: ID, such as "debian".
        id_like: ID_LIKE, the closest relative first.
        version_id: VERSION_ID, such as "12"; rolling distributions have none.
        codename: VERSION_CODENAME, else what VERSION has in parentheses.
        pretty_name: PRETTY_NAME, for people.
    """

    id: str = ""
    id_like: tuple[str, ...] = ()
    version_id: str = ""
    codename: str = ""
    pretty_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface.

    Args:
        name: Such as "eth0".
        mac: In lower case; "" when it has none.
        mtu: In bytes.
        addresses: Each with its prefix length ("198.18.88.11/24"), in the kernel's order.
    """

    name: str
    mac: str = ""
    mtu: int | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultAddress:
    """How the machine reaches the rest of the world: its default route of lowest metric.

    Args:
        address: The one that it sends from, without a prefix length; "" when not known.
        interface: Name of the interface.
        gateway: "" for a route without one.
    """

    address: str
    interface: str
    gateway: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One line of /proc/swaps.

    Args:
        name: Path of the device or file.
        type: "partition" or "file".
        size_kib: As the kernel counts it.
    """

    name: str
    type: str
    size_kib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of /proc/self/mounts, unescaped.

    Args:
        source: The device, or what else is mounted.
        target: Where.
        fstype: Such as "ext4".
        options: As the kernel lists them.
    """

    source: str
    target: str
    fstype: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeSpace:
    """What is left under a path for an unprivileged user, in MiB."""

    path: str
    available_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One machine. Every field has a default that means "not known".

    Args:
        machine: Live, container or image.
        os: The distribution.
        hostname: The kernel's.
        fqdn: The host name with its domain, by itself or from /etc/hosts. DNS is not asked,
            because it may take seconds.
        kernel: Its release, as `uname -r` says it.
        arch: As `uname -m` says it.
        memory_mib: Of the kernel, rounded down; a container's limit does not count.
        cpus: Online.
        default_ipv4: The way out; None when there is none.
        default_ipv6: The same for IPv6.
        has_default_route: Of either kind.
        interfaces: All, in the kernel's order.
        package_manager: The distribution's own where several are installed.
        init: What runs now; an image has none.
        systemd_offline: systemctl is installed and systemd does not run: units can be enabled
            and not started.
        selinux: Of the running kernel.
        apparmor: Whether the running kernel has it enabled.
        firewall: Who manages the packet filter; in an image, who will.
        cgroup: Version.
        virtualisation: What `systemd-detect-virt` says or would say: "kvm", "docker", "none".
        machine_id: machine-id(5); "" also when it is yet to be made.
        product_uuid: The firmware's; only root can read it.
        boot_id: Changes at every boot.
        swap: In use, in the kernel's order; () means that swap is off.
        mounts: Real file systems, in the kernel's order; those of pods and containers are
            left out.
        free_space: Under /, /var, /var/lib and /etc.
        time_synchronised: The clock follows a time source.
        uid: The session's user.
        user: Its name, or the number when it has none.
        group: Its primary group's name, or the number when it has none.
        tools: Which of the commands that `kx_fact_tools` looks for are installed.
    """

    machine: Machine = Machine.LIVE
    os: OperatingSystem = field(default_factory=OperatingSystem)
    hostname: str = ""
    fqdn: str = ""
    kernel: str = ""
    arch: str = ""
    memory_mib: int | None = None
    cpus: int | None = None
    default_ipv4: DefaultAddress | None = None
    default_ipv6: DefaultAddress | None = None
    has_default_route: bool | None = None
    interfaces: tuple[Interface, ...] = ()
    package_manager: PackageManager | None = None
    init: Init | None = None
    systemd_offline: bool | None = None
    selinux: Selinux | None = None
    apparmor: bool | None = None
    firewall: Firewall | None = None
    cgroup: Cgroup | None = None
    virtualisation: str = ""
    machine_id: str = ""
    product_uuid: str = ""
    boot_id: str = ""
    swap: tuple[Swap, ...] | None = None
    mounts: tuple[Mount, ...] = ()
    free_space: tuple[FreeSpace, ...] = ()
    time_synchronised: bool | None = None
    uid: int | None = None
    user: str = ""
    group: str = ""
    tools: frozenset[str] = frozenset()

    def available_mib(self, path: str) -> int | None:
        """Free space under one of the paths of `free_space`; None for any other path."""
        return next((f.available_mib for f in self.free_space if f.path == path), None)

    def to_dict(self) -> dict[str, JsonValue]:
        """The facts as JSON types, keys in the order of the fields, sets sorted."""
        return {one.name: _plain(getattr(self, one.name)) for one in dataclasses.fields(self)}


def _plain(value: object) -> JsonValue:
    match value:
        case None | int():
            return value
        case str():
            # StrEnum to str; and a byte that is not UTF-8 has no place in JSON
            return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        case tuple():
            return [_plain(item) for item in value]
        case frozenset():
            return [_plain(item) for item in sorted(value)]
        case _ if dataclasses.is_dataclass(value):
            return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    message = f"not a fact: {value!r}"
    raise TypeError(message)
