"""Recorded replies of several distributions, damaged ones, and what cannot be told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexm.facts import (
    Cgroup,
    DefaultAddress,
    Facts,
    Firewall,
    FreeSpace,
    Init,
    Interface,
    Machine,
    Mount,
    OperatingSystem,
    PackageManager,
    Selinux,
    Swap,
    parse,
)
from kubexm.shell import Reply
from tests.unit.facts.reply import DIRECTORY, NAMES, recorded, said


def test_debian_container_that_runs_systemd() -> None:
    facts = parse(recorded("debian-12-nspawn"))
    assert facts.machine is Machine.CONTAINER
    assert facts.os == OperatingSystem(
        id="debian",
        version_id="12",
        codename="bookworm",
        pretty_name="Debian GNU/Linux 12 (bookworm)",
    )
    assert (facts.hostname, facts.fqdn, facts.kernel) == ("lab1", "", "6.18.44")
    assert (facts.arch, facts.memory_mib, facts.cpus) == ("x86_64", 24105, 2)
    assert facts.default_ipv4 == DefaultAddress(
        address="198.18.135.11", interface="eth0", gateway="198.18.135.254"
    )
    assert facts.default_ipv6 is None
    assert facts.has_default_route is True
    assert facts.interfaces == (
        Interface(name="lo", mtu=65536, addresses=("127.0.0.1/8", "::1/128")),
        Interface(
            name="eth0",
            mac="02:6b:78:00:2f:01",
            mtu=1500,
            addresses=("198.18.135.11/24", "fe80::6b:78ff:fe00:2f01/64"),
        ),
    )
    assert facts.package_manager is PackageManager.APT
    assert (facts.init, facts.systemd_offline) == (Init.SYSTEMD, False)
    assert (facts.selinux, facts.apparmor) == (None, None)
    assert facts.firewall is Firewall.NONE
    assert facts.cgroup is Cgroup.HYBRID
    assert facts.virtualisation == "systemd-nspawn"
    assert facts.machine_id == "ae47913a64a0e4843d25e5f708ca7c78"
    assert facts.swap == ()
    assert [mount.target for mount in facts.mounts][:1] == ["/"]
    assert [space.path for space in facts.free_space] == ["/", "/var", "/var/lib", "/etc"]
    assert facts.time_synchronised is None
    assert (facts.uid, facts.user, facts.group) == (0, "root", "root")
    assert "nft" in facts.tools
    assert "conntrack" not in facts.tools


def test_ordinary_user_learns_the_same() -> None:
    root, user = (parse(recorded(f"debian-12-nspawn{who}")) for who in ("", "-user"))
    assert (user.uid, user.user, user.group) == (1002, "plain", "plain")
    assert replace(user, uid=0, user="root", group="root", free_space=root.free_space) == root


def test_rocky_virtual_machine() -> None:
    facts = parse(recorded("rocky-9"))
    assert facts.machine is Machine.LIVE
    assert facts.os == OperatingSystem(
        id="rocky",
        id_like=("rhel", "centos", "fedora"),
        version_id="9.4",
        codename="Blue Onyx",
        pretty_name="Rocky Linux 9.4 (Blue Onyx)",
    )
    assert facts.hostname == facts.fqdn == "node1.example.org"
    assert facts.product_uuid == "4c4c4544-0042-3510-8052-b4c04f4e3032"
    assert facts.package_manager is PackageManager.DNF
    assert facts.firewall is Firewall.FIREWALLD
    assert (facts.selinux, facts.apparmor) == (Selinux.ENFORCING, False)
    assert facts.cgroup is Cgroup.V2
    assert facts.virtualisation == "kvm"
    assert facts.time_synchronised is True
    assert facts.swap == (Swap(name="/dev/dm-1", type="partition", size_kib=2158588),)
    assert facts.available_mib("/var/lib") == 102400
    assert facts.interfaces[1].mac == "52:54:00:ab:cd:ef"
    assert facts.interfaces[2] == Interface(name="tun0", mtu=1400, addresses=("10.8.0.2/32",))
    assert facts.mounts[2] == Mount(
        source="nas.example.org:/export/my data",
        target="/srv/my data",
        fstype="nfs4",
        options=("rw", "relatime", "vers=4.2"),
    )


def test_default_address_is_the_one_that_the_kernel_sends_from() -> None:
    facts = parse(recorded("rocky-9"))
    assert facts.default_ipv4 == DefaultAddress(
        address="192.0.2.10", interface="enp1s0", gateway="192.0.2.1"
    )
    assert facts.default_ipv6 == DefaultAddress(
        address="2001:db8::10", interface="enp1s0", gateway="fe80::1"
    )


def test_opensuse_with_dnf_beside_zypper() -> None:
    facts = parse(recorded("opensuse-leap-15"))
    assert facts.os.id_like == ("suse", "opensuse")
    assert (facts.os.id, facts.os.codename) == ("opensuse-leap", "")
    assert facts.package_manager is PackageManager.ZYPPER
    assert facts.fqdn == "leap.example.org"
    assert facts.cpus == 3
    assert (facts.selinux, facts.apparmor) == (None, True)
    assert facts.firewall is Firewall.NFTABLES
    assert facts.swap == (Swap(name="/swap/my file", type="file", size_kib=1048572),)
    assert (facts.default_ipv4, facts.has_default_route) == (None, False)
    assert (facts.uid, facts.user, facts.group) == (1000, "anna", "users")
    # df answered for two of three paths
    assert facts.free_space == ()


def test_alpine_without_systemd() -> None:
    facts = parse(recorded("alpine-3"))
    assert facts.machine is Machine.LIVE
    assert (facts.os.id, facts.os.version_id) == ("alpine", "3.20.3")
    assert facts.package_manager is PackageManager.APK
    assert (facts.init, facts.systemd_offline) == (Init.OPENRC, False)
    assert facts.firewall is Firewall.IPTABLES
    assert (facts.virtualisation, facts.arch) == ("qemu", "armv7l")
    assert facts.machine_id == ""
    assert facts.time_synchronised is False
    assert facts.default_ipv4 == DefaultAddress(
        address="10.0.2.15", interface="eth0", gateway="10.0.2.2"
    )


def test_arch_on_metal_with_its_address_on_the_loopback() -> None:
    facts = parse(recorded("arch"))
    assert facts.package_manager is PackageManager.PACMAN
    assert facts.os == OperatingSystem(id="arch", pretty_name="Arch Linux")
    assert facts.virtualisation == "none"
    assert facts.machine_id == ""
    assert facts.default_ipv4 == DefaultAddress(address="203.0.113.77", interface="wan")
    assert facts.has_default_route is True


def test_ubuntu_with_ufw() -> None:
    facts = parse(recorded("ubuntu-24.04"))
    assert facts.os.id_like == ("debian",)
    assert facts.os.codename == "noble"
    assert facts.package_manager is PackageManager.APT
    assert facts.firewall is Firewall.UFW
    assert facts.apparmor is True


@pytest.mark.parametrize("programs", ["busybox", "no-ip", "no-programs"])
def test_what_no_program_is_needed_for_is_known_without_any(programs: str) -> None:
    full, poor = parse(recorded("debian-12-docker")), parse(recorded(f"debian-12-{programs}"))
    for name in (
        "machine", "hostname", "kernel", "arch", "memory_mib", "cpus", "init", "selinux",
        "apparmor", "cgroup", "virtualisation", "machine_id", "boot_id", "uid", "user", "group",
    ):  # fmt: skip
        assert getattr(poor, name) == getattr(full, name), name


@pytest.mark.parametrize("programs", ["busybox", "no-ip"])
def test_network_is_the_same_from_ip_from_busybox_and_from_proc(programs: str) -> None:
    full, poor = parse(recorded("debian-12-docker")), parse(recorded(f"debian-12-{programs}"))
    assert sorted(poor.interfaces, key=str) == sorted(full.interfaces, key=str)
    assert full.default_ipv4 == poor.default_ipv4
    assert full.default_ipv6 == poor.default_ipv6
    assert full.default_ipv6 is not None


def test_without_programs_the_rest_is_not_known() -> None:
    facts = parse(recorded("debian-12-no-programs"))
    assert facts.os == OperatingSystem()
    assert facts.has_default_route is None
    assert (facts.swap, facts.mounts, facts.free_space) == (None, (), ())
    assert facts.package_manager is PackageManager.NONE


def test_empty_reply_tells_nothing() -> None:
    assert parse(Reply(exit_status=127, stderr=b"sh: not found")) == Facts()


@pytest.mark.parametrize("name", NAMES)
def test_recorded_reply_says_where_it_comes_from(name: str) -> None:
    assert (DIRECTORY / f"{name}.reply").read_text("utf-8").startswith("# ")


@pytest.mark.parametrize("name", NAMES)
def test_reply_cut_short_anywhere_tells_less_and_nothing_wrong(name: str) -> None:
    whole = recorded(name).stdout
    facts = parse(recorded(name))
    for length in range(0, len(whole), 11):
        cut = parse(Reply(exit_status=0, stdout=whole[:length], truncated=True))
        for one in ("hostname", "cpus", "memory_mib", "uid", "init", "kernel", "cgroup", "arch"):
            assert getattr(cut, one) in ("", None, getattr(facts, one))
        assert (cut.swap, cut.has_default_route) in ((None, None), (None, True))


@given(st.binary())
def test_any_bytes_give_facts(stdout: bytes) -> None:
    assert isinstance(parse(Reply(exit_status=0, stdout=stdout)), Facts)


_KEYS = sorted(
    {
        line.replace("=", "= ", 1).split()[0]
        for name in NAMES
        for line in recorded(name).text.splitlines()
        if line and not line.startswith("#")
    }
)
_WORDS = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "0003", "ffffffff", "eth0", "::1/128", "1.2.3.4/33", "%", "\\"]
    ),
    st.integers().map(str),
    st.text(max_size=40),
)


@given(st.lists(st.tuples(st.sampled_from(_KEYS), st.lists(_WORDS, max_size=6)), max_size=30))
def test_nonsense_under_known_keys_gives_facts_that_are_json(
    lines: list[tuple[str, list[str]]],
) -> None:
    text = "".join(
        key + ("" if key.endswith("=") else " ") + " ".join(words) + "\n" for key, words in lines
    )
    facts = parse(Reply(exit_status=0, stdout=text.encode("utf-8", "surrogatepass")))
    assert json.dumps(facts.to_dict(), ensure_ascii=False).encode()


def test_what_the_inventory_calls_an_image_is_one() -> None:
    live, image = (parse(recorded("rocky-9"), image=image) for image in (False, True))
    assert (live.machine, live.init, live.systemd_offline) == (Machine.LIVE, Init.SYSTEMD, False)
    assert (image.machine, image.init) == (Machine.IMAGE, Init.NONE)
    assert image.systemd_offline is True


@pytest.mark.parametrize(
    ("line", "machine"),
    [
        ("root=other", Machine.IMAGE),
        ("root=other\ncontainer=docker", Machine.IMAGE),
        ("proc=none", Machine.IMAGE),
        ("root=same", Machine.LIVE),
        ("container=docker", Machine.CONTAINER),
        ("container=container-other", Machine.CONTAINER),
        ("virtualisation=lxc", Machine.CONTAINER),
        ("virtualisation=kvm", Machine.LIVE),
        ("", Machine.LIVE),
    ],
)
def test_kind_of_machine_follows_from_what_it_shows(line: str, machine: Machine) -> None:
    assert parse(said(line)).machine is machine


@pytest.mark.parametrize(
    ("lines", "virtualisation"),
    [
        ("container=docker\nvirtualisation=none", "docker"),
        ("container=container-other\nvirtualisation=lxc", "lxc"),
        ("container=container-other\nvirtualisation=kvm", "container-other"),
        ("hypervisor xen\nfirmware QEMU", "xen"),
        ("hypervisor unknown\nfirmware VMware, Inc.", "vmware"),
        (
            "hypervisor unknown\nfirmware Microsoft Corporation\nfirmware Virtual Machine",
            "microsoft",
        ),
        ("hypervisor unknown\nfirmware Homemade", "vm-other"),
        ("hypervisor unknown", "vm-other"),
        ("hypervisor none\nfirmware Amazon EC2", "none"),
        ("firmware Google\nfirmware Google Compute Engine", "google"),
        ("firmware Dell Inc.", ""),
        ("", ""),
    ],
)
def test_virtualisation_is_told_or_concluded(lines: str, virtualisation: str) -> None:
    assert parse(said(*lines.split("\n"))).virtualisation == virtualisation


@pytest.mark.parametrize(
    ("os", "tools", "manager"),
    [
        ("fedora", "apt-get dnf yum", PackageManager.DNF),
        ("fedora", "yum", PackageManager.YUM),
        ("debian", "apt-get dnf pacman zypper", PackageManager.APT),
        ("arch", "apt-get pacman", PackageManager.PACMAN),
        ("openEuler", "dnf yum", PackageManager.DNF),
        ("debian", "ip", PackageManager.NONE),
    ],
)
def test_package_manager_is_the_distributions_own(
    os: str, tools: str, manager: PackageManager
) -> None:
    assert parse(said(f"os ID={os}", f"tools={tools}")).package_manager is manager


@pytest.mark.parametrize(
    ("lines", "firewall"),
    [
        ("", None),
        ("enabled=firewalld", None),
        ("active=", Firewall.NONE),
        ("active=chronyd", Firewall.NONE),
        ("active=nftables firewalld", Firewall.FIREWALLD),
        ("active=nftables\nufw=yes", Firewall.UFW),
        ("ufw=yes", Firewall.UFW),
        ("active=netfilter-persistent", Firewall.IPTABLES),
    ],
)
def test_firewall_is_the_first_that_is_active(lines: str, firewall: Firewall | None) -> None:
    assert parse(said(lines)).firewall is firewall


def test_firewall_of_an_image_is_the_one_that_will_be_active() -> None:
    lines = said("active=firewalld", "enabled=nftables")
    assert parse(lines).firewall is Firewall.FIREWALLD
    assert parse(lines, image=True).firewall is Firewall.NFTABLES


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0", 1), ("0-7", 8), ("0,2-3,8", 4), ("", None), ("3-1", None), ("x", None), ("0-", None)],
)
def test_cpus_are_counted_from_ranges(text: str, cpus: int | None) -> None:
    assert parse(said(f"cpus={text}")).cpus == cpus


def test_byte_order_of_routes_is_the_machines() -> None:
    lines = ("read route4", "if4 eth0 192.0.2.2/24 global eth0", "if eth0 1500")
    little = parse(said("arch=x86_64", *lines, "route4 eth0 010200C0 0003 0"))
    big = parse(said("arch=s390x", *lines, "route4 eth0 C0000201 0003 0"))
    assert little.default_ipv4 == big.default_ipv4
    assert big.default_ipv4 == DefaultAddress(
        address="192.0.2.2", interface="eth0", gateway="192.0.2.1"
    )


def test_route_that_rejects_is_no_way_out() -> None:
    facts = parse(said("read route4", "route4 * 00000000 0200 0", "route4 * 00000000 0201 0"))
    assert (facts.default_ipv4, facts.has_default_route) == (None, False)


def test_free_space_is_whole_mebibytes_in_the_order_asked_for() -> None:
    facts = parse(said("df / /etc", "free 2047", "free 1024"))
    assert facts.free_space == (
        FreeSpace(path="/", available_mib=1),
        FreeSpace(path="/etc", available_mib=1),
    )
