"""A Kubernetes node: what a machine needs before kubeadm or a distribution is put on it.

The order is chosen for check mode (what rests on pending packages comes last) and for round trips
(swap late and the host name last, because facts are read again after them). A step that fails holds
up only those that need it: without a network everything but the packages is done.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from kubexm.errors import UnsupportedError
from kubexm.facts import PackageManager
from kubexm.plan import Plan, Step, StepContext
from kubexm.profiles.settings import NodeSettings, ProxyMode, TimeSync
from kubexm.runner.operations import (
    Directory,
    FileContent,
    HostEntries,
    HostEntry,
    Hostname,
    KernelModules,
    PackagesInstalled,
    Service,
    SwapOff,
    SysctlSettings,
    Timezone,
    UserAccount,
    UserGroup,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubexm.inventory import Host, Inventory
    from kubexm.runner import Operation

NAME = "kubernetes"
"""What our drop-in files and blocks are called."""

_LIMITS = """\
# kubexm: open files and processes of logins on a Kubernetes node (limits.conf(5))
{% for kind in ("soft", "hard") %}
* {{ kind }} nofile {{ open_files }}
* {{ kind }} nproc {{ processes }}
{% endfor %}
"""
_CHRONY = """\
# kubexm: time sources of a Kubernetes node (chrony.conf(5))
{% for server in servers %}
server {{ server }} iburst
{% endfor %}
makestep 1.0 3
rtcsync
"""
_SOURCES = f"/etc/chrony/conf.d/{NAME}.conf"
_SYSCTL = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "net.bridge.bridge-nf-call-arptables": "1",
    "fs.may_detach_mounts": "1",
    "fs.inotify.max_user_instances": "8192",
    "fs.inotify.max_user_watches": "524288",
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.keys.root_maxbytes": "25000000",
}
_MINIMA = frozenset({"fs.inotify.max_user_instances", "fs.inotify.max_user_watches"})
_SOME_KERNELS = frozenset({"fs.may_detach_mounts", "net.bridge.bridge-nf-call-arptables"})
"""Parameters that are set where the kernel has them."""

_MODULES = {
    ProxyMode.IPTABLES: ("nf_conntrack",),
    ProxyMode.IPVS: ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack"),
    ProxyMode.NFTABLES: ("nf_tables", "nf_conntrack"),
}
_APT = frozenset(
    {
        "apparmor",
        "bash-completion",
        "conntrack",
        "curl",
        "e2fsprogs",
        "ebtables",
        "ethtool",
        "gnupg",
        "iproute2",
        "iptables",
        "iputils-ping",
        "libseccomp2",
        "openssl",
        "rsync",
        "socat",
        "tar",
        "unzip",
        "xfsprogs",
    }
)
_APT_PROXY = {
    ProxyMode.IPTABLES: ("ipset",),
    ProxyMode.IPVS: ("ipset", "ipvsadm"),
    ProxyMode.NFTABLES: ("ipset", "nftables"),
}
_DIRECTORIES = (
    "/etc/kubernetes",
    "/etc/kubernetes/manifests",
    "/etc/cni/net.d",
    "/opt/cni/bin",
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/var/lib/cni",
)


def prepare(inventory: Inventory, hosts: Iterable[Host]) -> Plan:
    """Everything that makes a bare machine ready for Kubernetes.

    Args:
        inventory: For the place of a fault.
        hosts: Whose settings are checked now, before any of them is touched.

    Raises:
        InventoryError: A host's settings have a fault.
    """
    for host in hosts:
        NodeSettings.of(host, path=str(inventory.path))
    return Plan(
        name="node.prepare",
        steps=(
            Step(name="kernel", body=_kernel, needs=()),
            Step(name="files", body=_files, needs=()),
            Step(name="accounts", body=_accounts, needs=()),
            Step(name="names", body=_names, needs=()),
            Step(name="swap", body=_swap, needs=()),
            Step(name="packages", body=_packages, needs=()),
            Step(name="time", body=_time, needs=("files", "packages")),
            Step(name="hostname", body=_hostname, needs=()),
        ),
    )


def _kernel(context: StepContext) -> Iterable[Operation]:
    settings = NodeSettings.of(context.host)
    modules = ("overlay", "br_netfilter", *_MODULES[settings.proxy_mode], *settings.modules)
    yield KernelModules(name=NAME, modules=tuple(dict.fromkeys(modules)))
    values = dict(_SYSCTL)
    if settings.ipv6:
        values["net.ipv6.conf.all.forwarding"] = "1"
    if settings.node_ports:
        values["net.ipv4.ip_local_reserved_ports"] = settings.node_ports
    values |= settings.sysctl
    optional = _SOME_KERNELS
    if not context.facts.machine.owns_kernel:
        # br_netfilter cannot be loaded from here, so its parameters may be missing
        optional |= {key for key in values if key.startswith("net.bridge.")}
    yield SysctlSettings(
        name=f"99-{NAME}",
        values=values,
        at_least=_MINIMA - settings.sysctl.keys(),
        optional=optional & values.keys(),
    )


def _swap(context: StepContext) -> Iterable[Operation]:
    if NodeSettings.of(context.host).swap_off:
        yield SwapOff()


def _files(context: StepContext) -> Iterable[Operation]:
    settings = NodeSettings.of(context.host)
    for path in (*_DIRECTORIES, *settings.directories):
        yield Directory(path=path)
    yield FileContent.rendered(
        f"/etc/security/limits.d/99-{NAME}.conf",
        template=_LIMITS,
        variables={"open_files": settings.open_files, "processes": settings.processes},
        name="limits.conf",
    )
    if settings.time_sync is TimeSync.CHRONY and settings.time_servers:
        # before the package, which starts chrony: then it starts with these
        yield FileContent.rendered(
            _SOURCES,
            template=_CHRONY,
            variables={"servers": settings.time_servers},
            name="chrony.conf",
        )


def _accounts(context: StepContext) -> Iterable[Operation]:
    if not NodeSettings.of(context.host).accounts:
        return
    nologin = "/usr/sbin/nologin"
    yield UserGroup(name="kube-cert", system=True)
    yield UserAccount(name="kube", group="kube-cert", shell=nologin, system=True)
    yield UserAccount(name="etcd", shell=nologin, home="/var/lib/etcd", system=True)


def _names(context: StepContext) -> Iterable[Operation]:
    settings = NodeSettings.of(context.host)
    entries = []
    if settings.host_entries:
        for host in context.cluster.hosts:
            address = host.internal_address or host.address
            if _is_ip(address):
                domain = NodeSettings.of(host).domain
                names = (f"{host.name}.{domain}", host.name) if domain else (host.name,)
                entries.append(HostEntry(address=address, names=names))
    if settings.api_name:
        entries.append(HostEntry(address=settings.api_address, names=(settings.api_name,)))
    if entries:
        yield HostEntries(name=NAME, entries=tuple(entries))


def _packages(context: StepContext) -> Iterable[Operation]:
    settings = NodeSettings.of(context.host)
    if context.facts.package_manager is not PackageManager.APT:
        message = "node.prepare does not know the packages of this distribution yet"
        raise UnsupportedError(message, hint="leave the step out with --skip packages,time")
    names = {*_APT, *_APT_PROXY[settings.proxy_mode], *settings.packages}
    if settings.time_sync is TimeSync.CHRONY:
        names.add("chrony")
    if settings.timezone:
        names.add("tzdata")
    if settings.storage_clients:
        names |= {"nfs-common", "open-iscsi"}
    yield PackagesInstalled(names=frozenset(names))


def _time(context: StepContext) -> Iterable[Operation]:
    settings = NodeSettings.of(context.host)
    if settings.timezone:
        yield Timezone(name=settings.timezone)
    if settings.time_sync is not TimeSync.CHRONY:
        return
    yield Service(name="chrony", restarted_after=(_SOURCES,) if settings.time_servers else ())


def _hostname(context: StepContext) -> Iterable[Operation]:
    if NodeSettings.of(context.host).hostname:
        yield Hostname(name=context.host.name)


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
