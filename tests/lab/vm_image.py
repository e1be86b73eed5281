"""What a virtual machine boots from: the hosts' own root file system, and Debian's kernel for it.

Kept in the cache under a digest of the recipe, beside the image of the hosts that share a kernel.
The kernel's packages are unpacked, not installed: their dependencies would make the boot's first
file system a minute's work. dpkg in the machine therefore knows nothing of its kernel.
"""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.command import note, run
from tests.lab.image import USERS, Suite, _apt_options, apt_sources, cache_directory, cached_image
from tests.lab.tree import discard, write_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.cgroup import ControlGroup
    from tests.lab.image import Image

KERNEL_PACKAGES = ("linux-image-cloud-amd64", "systemd-zram-generator", "busybox-static")

ADDRESS = "10.0.2.15"
"""The machine's own; qemu's user network forwards to it unless told another."""

ROUTER = "10.0.2.2"
SWAP_LABEL = "lab-swap"
ZRAM_SWAP = "/dev/zram0"

_DISK_SIZE = "3G"
_SWAP_SIZE = "64M"
_PLACED = "/var/lib/kubexm-lab-placed"
_BOOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_rng")

_UNUSED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "logrotate.timer",
    "serial-getty@ttyS0.service",
    "systemd-pstore.service",
    "systemd-tmpfiles-clean.timer",
)
"""Each costs a second or more of a boot, and no test looks at any."""

_FSTAB = f"""\
# /etc/fstab: static file system information.
/dev/vda / ext4 errors=remount-ro 0 0
LABEL={SWAP_LABEL} none swap sw,x-systemd.device-timeout=600s 0 0
"""

_FILES = {
    # An emulated machine on a busy one: a device may take longer than systemd's 90 seconds.
    "etc/systemd/system.conf.d/lab.conf": (
        0o644,
        "[Manager]\nDefaultTimeoutStartSec=600s\nDefaultDeviceTimeoutSec=600s\n",
    ),
    "etc/fstab": (0o644, _FSTAB),
    "etc/systemd/zram-generator.conf": (0o644, "[zram0]\nzram-size = min(ram / 8, 64)\n"),
    "etc/ssh/sshd_config.d/lab.conf": (0o644, "LoginGraceTime 600\nUseDNS no\n"),
}

_SETUP = f"""\
set -eu
rm -f /etc/tmpfiles.d/lab-loop.conf
for home in /root {" ".join(f"/home/{user}" for user in USERS)}; do
    mkdir -p -m 0700 "$home/.ssh"
    chown --reference="$home" "$home/.ssh"
done
for unit in {" ".join(_UNUSED_UNITS)}; do
    ln -sfn /dev/null "/etc/systemd/system/$unit"
done
depmod "$1"
ldconfig
# Otherwise the first boot does these again: ldconfig, the hardware database, the users.
touch /etc/.updated /var/.updated
"""

_INIT = f"""\
#!/bin/busybox sh
PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in /modules/*; do
    insmod "$module"
done
until [ -b /dev/vda ]; do
    sleep 0.1
done
mount -t ext4 -o rw /dev/vda /root || exec sh
if ! [ -e /root{_PLACED} ]; then
    cd /own
    find . -type f | while read -r file; do
        cp -a "$file" "/root/$file"
    done
    : >/root{_PLACED}
fi
ip address add {ADDRESS}/24 dev eth0
ip link set eth0 up
ip route add default via {ROUTER}
umount /proc /sys
mount -o move /dev /root/dev
exec switch_root /root /sbin/init
"""
"""What Debian's own does in 20 seconds, and the network, which nobody then waits for."""

_BUILD = """\
set -eu
layers=$1 draft=$2 setup=$3 size=$4
shift 4
kernel=$draft/kernel root=$draft/merged result=$draft/result
version=$(ls "$kernel/lib/modules")
mount -t overlay overlay -o "lowerdir=$layers,upperdir=$draft/upper,workdir=$draft/work" "$root"
cp -a "$kernel/lib/modules" "$root/usr/lib/"
cp -a "$kernel/boot/." "$root/boot/"
(cd "$kernel" && find . -name '*zram-generator*' -o -name 'systemd-zram-*') |
    grep -v -e /doc/ -e /man/ | tar -C "$kernel" -cf - -T - |
    tar -C "$root" --no-overwrite-dir --keep-directory-symlink -xpf -
tar -C "$draft/files" -cf - . | tar -C "$root" --no-overwrite-dir -xpf -
chroot "$root" /bin/sh -c "$setup" setup "$version"

initrd=$draft/initrd
mkdir -p "$initrd/bin" "$initrd/modules" "$initrd/dev" "$initrd/proc" "$initrd/sys" "$initrd/root"
cp "$kernel/bin/busybox" "$initrd/bin/busybox"
number=100
chroot "$root" modprobe --set-version "$version" --all --show-depends "$@" |
    awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$draft/depends"
while read -r path; do
    number=$((number + 1))
    cp "$root$path" "$initrd/modules/$number-${path##*/}"
done <"$draft/depends"
[ "$number" -gt 100 ]

mkdir "$result"
(cd "$initrd" && find . | "$kernel/bin/busybox" cpio -o -H newc 2>/dev/null) >"$result/initrd"
cp "$kernel/boot/vmlinuz-$version" "$result/kernel"
cp "$kernel/bin/busybox" "$result/busybox"
mke2fs -q -t ext4 -m 0 -E assume_storage_prezeroed=1 -d "$root" "$result/disk" "$size"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualImage:
    """What virtual machines boot from; none of it is ever written to.

    Attributes:
        directory: In the cache.
    """

    directory: Path

    @property
    def kernel(self) -> Path:
        """Debian's cloud kernel."""
        return self.directory / "kernel"

    @property
    def initrd(self) -> Path:
        """The first part of the first file system; the machine's own files are the second."""
        return self.directory / "initrd"

    @property
    def busybox(self) -> Path:
        """A program of this machine too: it writes cpio archives."""
        return self.directory / "busybox"

    @property
    def disk(self) -> Path:
        """The root file system, a sparse file without partitions."""
        return self.directory / "disk"

    @property
    def swap(self) -> Path:
        """The second disk: swap, which fstab(5) names by its label."""
        return self.directory / "swap"


def cached_virtual_image(group: ControlGroup) -> VirtualImage:
    """The image of today's recipe, built when the cache lacks it.

    Args:
        group: What the programs run in that build the hosts' image.

    Raises:
        CommandError: A building program failed.
        MissingError: This machine's apt does not offer the suite.
    """
    image = cached_image(group)
    recipe = (
        *(layer.name for layer in image.layers),
        *(KERNEL_PACKAGES, _DISK_SIZE, _SWAP_SIZE, _BOOT_MODULES),
        *(_FILES, _SETUP, _INIT, _BUILD),
    )
    digest = hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]
    cache = cache_directory() / "vm"
    cache.mkdir(exist_ok=True)
    found = VirtualImage(directory=cache / digest)
    with _locked(cache):
        for stale in cache.glob("building-*"):
            discard(stale)
        if not found.directory.is_dir():
            note(f"building {found.directory}; this takes half a minute, once")
            with _draft(cache) as draft:
                _build(image, draft)
                (draft / "result").rename(found.directory)
    return found


def _build(image: Image, draft: Path) -> None:
    for name in ("upper", "work", "merged", "files", "initrd", "tmp"):
        (draft / name).mkdir()
    (draft / "upper").chmod(0o755)
    (draft / "tmp").chmod(0o1777)
    run(
        *("env", f"TMPDIR={draft / 'tmp'}", "mmdebstrap"),
        *("--quiet", "--mode=root", "--variant=extract", "--format=directory"),
        f"--include={','.join(KERNEL_PACKAGES)}",
        *_apt_options(),
        *(str(Suite.BOOKWORM), str(draft / "kernel"), *map(str, apt_sources())),
        timeout_s=900.0,
    )
    write_tree(draft / "files", _FILES)
    write_tree(draft / "initrd", {"init": (0o755, _INIT)})
    layers = ":".join(map(str, image.layers))
    # The mount goes with the last process.
    private = ("unshare", "--mount", "--propagation", "slave", "--fork", "--kill-child")
    build = ("sh", "-c", _BUILD, "sh", layers, str(draft), _SETUP, _DISK_SIZE, *_BOOT_MODULES)
    run(*private, *build, timeout_s=900.0)
    swap = draft / "result/swap"
    run("truncate", f"--size={_SWAP_SIZE}", swap)
    run("mkswap", "--label", SWAP_LABEL, swap)


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    with (cache / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _draft(cache: Path) -> Iterator[Path]:
    draft = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
    try:
        yield draft
    finally:
        discard(draft)
