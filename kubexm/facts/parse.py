"""From the reply of the script to `Facts`: pure, and never an error.

A reply that is empty, cut short or damaged gives facts that are not known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubexm.facts.model import (
    Cgroup,
    Facts,
    Firewall,
    FreeSpace,
    Init,
    Machine,
    Mount,
    PackageManager,
    Selinux,
    Swap,
)
from kubexm.facts.network import parse_network
from kubexm.facts.record import Record, number
from kubexm.facts.release import parse_os_release
from kubexm.facts.virtualisation import is_container, parse_virtualisation
from kubexm.shell import Library, Reply, Script

if TYPE_CHECKING:
    from kubexm.facts.model import OperatingSystem

FACTS = Library.load("kubexm.facts", "facts")
"""The functions behind `script`."""

_COMMANDS = {
    PackageManager.APT: "apt-get",
    PackageManager.DNF: "dnf",
    PackageManager.YUM: "yum",
    PackageManager.ZYPPER: "zypper",
    PackageManager.PACMAN: "pacman",
    PackageManager.APK: "apk",
}
_NATIVE = {
    "debian": (PackageManager.APT,),
    "fedora": (PackageManager.DNF, PackageManager.YUM),
    "rhel": (PackageManager.DNF, PackageManager.YUM),
    "suse": (PackageManager.ZYPPER,),
    "arch": (PackageManager.PACMAN,),
    "alpine": (PackageManager.APK,),
}
"""What a distribution and its relatives (ID, ID_LIKE) use, even where another is installed too."""

_FIREWALLS = {
    Firewall.FIREWALLD: {"firewalld"},
    Firewall.UFW: {"ufw"},
    Firewall.NFTABLES: {"nftables"},
    Firewall.IPTABLES: {"iptables", "ip6tables", "netfilter-persistent"},
}
"""Their services; the first that is active manages the packet filter."""

_MACHINE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MEMORY = re.compile(r"MemTotal:\s+([0-9]{1,18}) kB", re.ASCII)
_OCTAL = re.compile(r"\\([0-7]{3})", re.ASCII)
_KIB_PER_MIB = 1024


def script() -> Script:
    """The script whose reply `parse` takes; read-only, and the same state gives the same reply."""
    return FACTS.call("kx_facts")


def parse(reply: Reply, *, image: bool = False) -> Facts:
    """The facts that a reply tells.

    Args:
        reply: To `script()`; any bytes will do.
        image: The inventory says that this is an image, which nothing inside it need show.
    """
    record = Record.of(reply.text)
    os = parse_os_release(record.tables.get("os", ()))
    arch = record.value("arch")
    machine = _machine(record, image=image)
    network = parse_network(record, arch)
    tools = record.words("tools")
    init = _init(record, machine)
    hostname = record.value("hostname")
    machine_id = record.value("machine_id")
    return Facts(
        machine=machine,
        os=os,
        hostname=hostname,
        fqdn=hostname if "." in hostname else record.value("fqdn"),
        kernel=record.value("kernel"),
        arch=arch,
        memory_mib=_memory_mib(record),
        cpus=_cpus(record.value("cpus")),
        default_ipv4=network.default_ipv4,
        default_ipv6=network.default_ipv6,
        has_default_route=network.has_default_route,
        interfaces=network.interfaces,
        package_manager=None if tools is None else _package_manager(os, tools),
        init=init,
        systemd_offline=(
            None
            if tools is None or init is None
            else "systemctl" in tools and init is not Init.SYSTEMD
        ),
        selinux={
            "1": Selinux.ENFORCING,
            "0": Selinux.PERMISSIVE,
            "off": Selinux.DISABLED,
        }.get(record.value("selinux")),
        apparmor=record.flag("apparmor"),
        firewall=_firewall(record, machine),
        cgroup={one.value: one for one in Cgroup}.get(record.value("cgroup")),
        virtualisation=parse_virtualisation(record),
        machine_id=machine_id if _MACHINE_ID.fullmatch(machine_id) else "",
        product_uuid=record.value("product_uuid").lower(),
        boot_id=record.value("boot_id"),
        swap=_swap(record),
        mounts=_mounts(record),
        free_space=_free_space(record),
        time_synchronised=record.flag("time_synchronised"),
        uid=record.number("uid"),
        user=record.value("user"),
        group=record.value("group"),
        tools=tools or frozenset(),
    )


def _machine(record: Record, *, image: bool) -> Machine:
    """An image first: a chroot is one also where its files come from a container.

    No /proc means that nothing has booted here.
    """
    if image or record.value("root") == "other" or record.value("proc") == "none":
        return Machine.IMAGE
    return Machine.CONTAINER if is_container(record) else Machine.LIVE


def _init(record: Record, machine: Machine) -> Init | None:
    """A /run that is shared with an image tells about another machine."""
    if not machine.is_booted:
        return Init.NONE
    return {one.value: one for one in Init}.get(record.value("init"))


def _package_manager(os: OperatingSystem, tools: frozenset[str]) -> PackageManager:
    native = (manager for name in (os.id, *os.id_like) for manager in _NATIVE.get(name, ()))
    installed = (one for one in (*native, *_COMMANDS) if _COMMANDS[one] in tools)
    return next(installed, PackageManager.NONE)


def _firewall(record: Record, machine: Machine) -> Firewall | None:
    """Of an image, who will be active once it boots.

    `ufw enable` does not start its unit, so its own file tells better than the unit.
    """
    services = record.words("active" if machine.is_booted else "enabled")
    if record.flag("ufw"):
        services = (services or frozenset()) - _FIREWALLS[Firewall.UFW] | {"ufw"}
    if services is None:
        return None
    active = (one for one, units in _FIREWALLS.items() if not units.isdisjoint(services))
    return next(active, Firewall.NONE)


def _memory_mib(record: Record) -> int | None:
    found = _MEMORY.fullmatch(record.value("memory"))
    return None if found is None else int(found[1]) // _KIB_PER_MIB


def _cpus(text: str) -> int | None:
    """How many a list of ranges names: "0-3,8"."""
    count = 0
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start, end = number(first), number(last if dash else first)
        if start is None or end is None or end < start:
            return None
        count += end - start + 1
    return count


def _swap(record: Record) -> tuple[Swap, ...] | None:
    if not record.was_read("swaps"):
        return None
    rows = ((row[0], row[1], number(row[2])) for row in record.rows("swap", 3))
    return tuple(
        Swap(name=_unescape(name), type=kind, size_kib=size)
        for name, kind, size in rows
        if size is not None
    )


def _mounts(record: Record) -> tuple[Mount, ...]:
    return tuple(
        Mount(
            source=_unescape(source),
            target=_unescape(target),
            fstype=fstype,
            options=tuple(options.split(",")),
        )
        for source, target, fstype, options, *_ in record.rows("mount", 4)
    )


def _free_space(record: Record) -> tuple[FreeSpace, ...]:
    """Df answers in the order of its arguments; a line too few or too many spoils that."""
    paths = [path for row in record.rows("df", 1) for path in row]
    available = [number(row[0]) for row in record.rows("free", 1)]
    if len(paths) != len(available):
        return ()
    return tuple(
        FreeSpace(path=path, available_mib=size // _KIB_PER_MIB)
        for path, size in zip(paths, available, strict=True)
        if size is not None
    )


def _unescape(text: str) -> str:
    r"""The path behind the kernel's `\040` for a blank."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)
