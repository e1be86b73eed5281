"""What a machine runs on, in the words of systemd-detect-virt(1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubexm.facts.record import Record

_CONTAINERS = frozenset(
    {
        "container-other",
        "docker",
        "lxc",
        "lxc-libvirt",
        "openvz",
        "podman",
        "pouch",
        "proot",
        "rkt",
        "systemd-nspawn",
        "wsl",
    }
)
_FIRMWARE = {
    "KVM": "kvm",
    "OpenStack": "kvm",
    "KubeVirt": "kvm",
    "Amazon EC2": "amazon",
    "QEMU": "qemu",
    "VMware": "vmware",
    "VMW": "vmware",
    "innotek GmbH": "oracle",
    "VirtualBox": "oracle",
    "Xen": "xen",
    "Bochs": "bochs",
    "Parallels": "parallels",
    "BHYVE": "bhyve",
    "Virtual Machine": "microsoft",
    "Apple Virtualization": "apple",
    "Google Compute Engine": "google",
}
"""What vendor or product names of virtual firmware start with."""


def is_container(record: Record) -> bool:
    """Whether the machine shares its kernel."""
    return bool(record.value("container")) or record.value("virtualisation") in _CONTAINERS


def parse_virtualisation(record: Record) -> str:
    """The innermost kind; "none" for bare metal, "" when nothing tells."""
    detected, container = record.value("virtualisation"), record.value("container")
    if container:
        return detected if detected in _CONTAINERS else container
    if detected:
        return detected
    hypervisor = next((row[0] for row in record.rows("hypervisor", 1)), "")
    if hypervisor not in ("", "unknown"):
        return hypervisor
    for name in record.tables.get("firmware", ()):
        for start, virtualisation in _FIRMWARE.items():
            if name.startswith(start):
                return virtualisation
    return "vm-other" if hypervisor else ""
