"""The laboratory's network: one bridge, and a namespace with an address for each host.

Nothing else of the machine's network changes: no sysctl, no firewall rule, no route beside the
bridge's own.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.lab.command import CommandError, LabError, run

_NAMESPACES = Path("/run/netns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The addresses and names of one laboratory.

    Attributes:
        number: 0 to 99; each laboratory of a machine has its own bridge and its own /24 of
            198.18.0.0/15, which RFC 2544 keeps for tests.
    """

    number: int

    @property
    def bridge(self) -> str:
        """The name of the bridge."""
        return f"kxlab{self.number}"

    @property
    def prefix(self) -> str:
        """The first three numbers of every address."""
        return f"198.18.{88 + self.number}"

    @property
    def address(self) -> str:
        """The machine's own address on the bridge."""
        return f"{self.prefix}.1"

    def link(self, index: int) -> "Link":
        """The network of host `index`, counted from 1."""
        return Link(network=self, index=index)

    def is_up(self) -> bool:
        """Whether the bridge exists."""
        return Path("/sys/class/net", self.bridge).exists()

    def up(self) -> None:
        """Create the bridge, unless it is there."""
        if not self.is_up():
            run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "address", "replace", f"{self.address}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")

    def down(self) -> None:
        """Delete the bridge and every namespace and link of this laboratory."""
        if _NAMESPACES.is_dir():
            for path in sorted(_NAMESPACES.glob(f"{self.link(0).namespace_stem}*")):
                run("ip", "netns", "delete", path.name)
        for path in sorted(Path("/sys/class/net").glob(f"{self.bridge}-*")):
            _delete_link(path.name)
        if self.is_up():
            _delete_link(self.bridge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One host's network namespace and the cable from it to the bridge."""

    network: Network
    index: int

    @property
    def address(self) -> str:
        """The host's address."""
        return f"{self.network.prefix}.{10 + self.index}"

    @property
    def hardware_address(self) -> str:
        """The host's MAC address; the same at every boot, so that no neighbour entry goes stale."""
        return f"02:6b:78:00:{self.network.number:02x}:{self.index:02x}"

    @property
    def cable(self) -> str:
        """The bridge's end of the cable; the host's end is eth0."""
        return f"{self.network.bridge}-{self.index}"

    @property
    def namespace_stem(self) -> str:
        """How the names of all namespaces of this laboratory begin."""
        return f"kxlab-{self.network.number}-lab"

    @property
    def namespace(self) -> str:
        """The name of the network namespace."""
        return f"{self.namespace_stem}{self.index}"

    @property
    def namespace_path(self) -> Path:
        """The file that stands for the network namespace."""
        return _NAMESPACES / self.namespace

    def make(self) -> None:
        """Create the namespace anew, as a boot does: rules and net.* settings start from zero.

        The default route leads to an address that nobody has: facts find a default route, and
        no packet ever leaves the laboratory, also where the machine forwards.
        """
        self.remove()
        run("ip", "netns", "add", self.namespace)
        inner, outer = self.namespace, self.cable
        run(
            *("ip", "link", "add", outer, "type", "veth"),
            *("peer", "name", "eth0", "address", self.hardware_address, "netns", inner),
        )
        run("ip", "link", "set", outer, "master", self.network.bridge, "up")
        run(
            *("ip", "-n", inner, "-batch", "-"),
            stdin=f"link set lo up\naddress add {self.address}/24 dev eth0\nlink set eth0 up\n"
            f"route add default via {self.network.prefix}.254\n",
        )

    def remove(self) -> None:
        """Delete the namespace and the cable, as far as they exist."""
        _delete_link(self.cable)
        if self.namespace_path.exists():
            run("ip", "netns", "delete", self.namespace)

    def plug(self, *, is_in: bool) -> None:
        """Put the cable in or pull it out at the bridge's end."""
        run("ip", "link", "set", self.cable, "up" if is_in else "down")


def namespace_directory_is_mounted() -> bool:
    """Whether `ip netns` has made /run/netns a mount point."""
    return any(
        line.split()[4] == str(_NAMESPACES)
        for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    )


def remove_namespace_directory() -> bool:
    """Take /run/netns away again, when no namespace is left in it.

    Returns:
        Whether it is gone.
    """
    if not _NAMESPACES.is_dir():
        return True
    if any(_NAMESPACES.iterdir()):
        return False
    if namespace_directory_is_mounted():
        run("umount", _NAMESPACES)
    with suppress(OSError):
        _NAMESPACES.rmdir()
    return True


def _delete_link(name: str) -> None:
    if not Path("/sys/class/net", name).exists():
        return
    try:
        run("ip", "link", "delete", name)
    except CommandError as error:
        # The end of its namespace takes a cable away too, a moment later.
        if Path("/sys/class/net", name).exists():
            message = f"{name}: the link cannot be deleted"
            raise LabError(message) from error
