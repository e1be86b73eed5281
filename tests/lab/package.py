"""Tiny Debian packages with real names: what a Kubernetes node's profile installs.

To add one, add a line to `PACKAGES`; the image follows by itself.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.command import run
from tests.lab.tree import write_tree

PLAIN_TOOL = '#!/bin/sh\necho "${0##*/} (laboratory stand-in)"\n'
DAEMON = "#!/bin/sh\nexec sleep infinity\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyPackage:
    """One package of the hosts' only apt repository.

    Attributes:
        name: As in Debian.
        version: As in Debian, epoch included.
        programs: Absolute paths of stand-ins that print their name and exit 0.
        daemon: Absolute path of a program that sleeps for ever, run by `unit`.
        unit: The name of a systemd service that the package enables and starts.
        alias: A second name of the unit.
        files: Further files: absolute path to content.
        conffiles: The same, for files that dpkg treats as the administrator's.
        fields: Further lines of the control file.
        postinst: Shell text that runs at the end of the package's configuration.
    """

    name: str
    version: str
    programs: tuple[str, ...] = ()
    daemon: str = ""
    unit: str = ""
    alias: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    conffiles: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    postinst: str = ""

    @property
    def file_name(self) -> str:
        """The name of the .deb: without the epoch, as Debian's archive has it."""
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_all.deb"

    def tree(self) -> Mapping[str, tuple[int, str]]:
        """Every file of the package, the DEBIAN directory included: path to mode and content."""
        control = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": "all",
            "Maintainer": "kubexm laboratory <root@localhost>",
            "Section": "admin",
            "Priority": "optional",
            **self.fields,
            "Description": f"laboratory stand-in for {self.name}",
        }
        tree = {"DEBIAN/control": (0o644, "".join(f"{k}: {v}\n" for k, v in control.items()))}
        tree |= dict.fromkeys(self.programs, (0o755, PLAIN_TOOL))
        tree |= {path: (0o644, text) for path, text in self.files.items()}
        tree |= {path: (0o644, text) for path, text in self.conffiles.items()}
        if self.conffiles:
            tree["DEBIAN/conffiles"] = (0o644, "".join(f"{path}\n" for path in self.conffiles))
        if self.daemon:
            tree[self.daemon] = (0o755, DAEMON)
        if self.unit:
            tree[f"/lib/systemd/system/{self.unit}.service"] = (0o644, self._unit_file())
            tree["DEBIAN/prerm"] = (0o755, _script(_UNIT_PRERM.replace("UNIT", self.unit)))
            tree["DEBIAN/postrm"] = (0o755, _script(_UNIT_POSTRM.replace("UNIT", self.unit)))
        started = _UNIT_POSTINST.replace("UNIT", self.unit) if self.unit else ""
        if started or self.postinst:
            tree["DEBIAN/postinst"] = (0o755, _script(started + self.postinst))
        return tree

    def build(self, directory: Path, scratch: Path) -> str:
        """Make the .deb.

        Returns:
            Its paragraph of the repository's Packages index.
        """
        root = scratch / f"{self.name}_{self.version}"
        root.mkdir()
        root.chmod(0o755)
        write_tree(root, self.tree())
        package = directory / self.file_name
        run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", root, package)
        return paragraph(package, (root / "DEBIAN/control").read_text("utf-8"))

    def _unit_file(self) -> str:
        alias = f"Alias={self.alias}.service\n" if self.alias else ""
        return (
            f"[Unit]\nDescription=laboratory stand-in for {self.unit}\n"
            f"After=network.target\n\n[Service]\nType=simple\nExecStart={self.daemon}\n"
            f"ExecReload=/bin/true\n\n[Install]\nWantedBy=multi-user.target\n{alias}"
        )


# The three scripts are what debhelper writes into real packages; deb-systemd-invoke asks
# policy-rc.d.
_UNIT_POSTINST = """\
if [ "$1" = configure ]; then
    deb-systemd-helper unmask UNIT.service >/dev/null || true
    if deb-systemd-helper --quiet was-enabled UNIT.service; then
        deb-systemd-helper enable UNIT.service >/dev/null || true
    else
        deb-systemd-helper update-state UNIT.service >/dev/null || true
    fi
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
        if [ -n "$2" ]; then action=restart; else action=start; fi
        deb-systemd-invoke "$action" UNIT.service >/dev/null || true
    fi
fi
"""
_UNIT_PRERM = """\
if [ -d /run/systemd/system ] && [ "$1" = remove ]; then
    deb-systemd-invoke stop UNIT.service >/dev/null || true
fi
"""
_UNIT_POSTRM = """\
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = remove ]; then
    deb-systemd-helper mask UNIT.service >/dev/null || true
fi
if [ "$1" = purge ]; then
    deb-systemd-helper purge UNIT.service >/dev/null || true
    deb-systemd-helper unmask UNIT.service >/dev/null || true
fi
"""

_CHRONY_CONF = """\
# Welcome to the chrony configuration file. See chrony.conf(5) for more
# information about usable directives.
confdir /etc/chrony/conf.d
pool 2.debian.pool.ntp.invalid iburst
sourcedir /run/chrony-dhcp
sourcedir /etc/chrony/sources.d
keyfile /etc/chrony/chrony.keys
driftfile /var/lib/chrony/chrony.drift
ntsdumpdir /var/lib/chrony
logdir /var/log/chrony
maxupdateskew 100.0
rtcsync
makestep 1 3
leapsectz right/UTC
"""

PACKAGES: tuple[TinyPackage, ...] = (
    # the tools of a node
    TinyPackage(name="conntrack", version="1:1.4.7-1+b2", programs=("/usr/sbin/conntrack",)),
    TinyPackage(name="socat", version="1.7.4.4-2", programs=("/usr/bin/socat",)),
    TinyPackage(name="ebtables", version="2.0.11-5", programs=("/usr/sbin/ebtables",)),
    TinyPackage(name="ethtool", version="1:6.1-1", programs=("/usr/sbin/ethtool",)),
    TinyPackage(name="ipset", version="7.17-1", programs=("/usr/sbin/ipset",)),
    TinyPackage(name="ipvsadm", version="1:1.31-1+b1", programs=("/usr/sbin/ipvsadm",)),
    TinyPackage(name="curl", version="7.88.1-10+deb12u12", programs=("/usr/bin/curl",)),
    TinyPackage(name="rsync", version="3.2.7-1+deb12u2", programs=("/usr/bin/rsync",)),
    TinyPackage(name="unzip", version="6.0-28", programs=("/usr/bin/unzip",)),
    TinyPackage(name="zstd", version="1.5.4+dfsg2-5", programs=("/usr/bin/zstd",)),
    TinyPackage(name="xfsprogs", version="6.1.0-1", programs=("/usr/sbin/mkfs.xfs",)),
    TinyPackage(name="gnupg", version="2.2.40-1.1", programs=("/usr/bin/gpg",)),
    TinyPackage(name="openssl", version="3.0.17-1~deb12u2", programs=("/usr/bin/openssl",)),
    TinyPackage(name="mergerfs", version="2.33.5-1", programs=("/usr/bin/mergerfs",)),
    TinyPackage(name="iputils-ping", version="3:20221126-1+deb12u1", programs=("/usr/bin/ping",)),
    TinyPackage(
        name="bash-completion",
        version="1:2.11-6",
        files={"/usr/share/bash-completion/bash_completion": "# completion\n"},
    ),
    TinyPackage(name="apt-transport-https", version="2.6.1"),
    TinyPackage(name="ca-certificates", version="20230311+deb12u1"),
    TinyPackage(name="python3-apt", version="2.6.0"),
    TinyPackage(name="software-properties-common", version="0.99.30-4.1~deb12u1"),
    # services
    TinyPackage(
        name="chrony",
        version="4.3-2+deb12u1",
        programs=("/usr/bin/chronyc",),
        daemon="/usr/sbin/chronyd",
        unit="chrony",
        alias="chronyd",
        conffiles={"/etc/chrony/chrony.conf": _CHRONY_CONF},
        fields={
            "Conflicts": "time-daemon, ntp",
            "Provides": "time-daemon",
            "Replaces": "time-daemon",
        },
    ),
    TinyPackage(name="nfs-common", version="1:2.6.2-4", programs=("/usr/sbin/mount.nfs",)),
    TinyPackage(
        name="open-iscsi",
        version="2.1.8-1",
        programs=("/usr/sbin/iscsiadm",),
        daemon="/usr/sbin/iscsid",
        unit="iscsid",
        conffiles={"/etc/iscsi/iscsid.conf": "node.startup = manual\n"},
    ),
    TinyPackage(
        name="multipath-tools",
        version="0.9.4-3+deb12u1",
        programs=("/usr/sbin/multipath",),
        daemon="/usr/sbin/multipathd",
        unit="multipathd",
    ),
    TinyPackage(name="apparmor", version="3.0.8-3", programs=("/usr/sbin/apparmor_parser",)),
    TinyPackage(
        name="unattended-upgrades",
        version="2.9.1+nmu3",
        daemon="/usr/share/unattended-upgrades/unattended-upgrade-shutdown",
        unit="unattended-upgrades",
        conffiles={"/etc/apt/apt.conf.d/50unattended-upgrades": "// nothing\n"},
    ),
    TinyPackage(
        name="containerd",
        version="1.6.20~ds1-1+deb12u1",
        programs=("/usr/bin/ctr",),
        daemon="/usr/bin/containerd",
        unit="containerd",
        fields={"Depends": "runc"},
    ),
    TinyPackage(name="runc", version="1.1.5+ds1-1+deb12u1", programs=("/usr/sbin/runc",)),
    TinyPackage(name="cri-tools", version="1.36.0-1.1", programs=("/usr/bin/crictl",)),
    TinyPackage(name="kubectl", version="1.36.1-1.1", programs=("/usr/bin/kubectl",)),
    TinyPackage(name="kubeadm", version="1.36.1-1.1", programs=("/usr/bin/kubeadm",)),
    TinyPackage(
        name="kubelet",
        version="1.36.1-1.1",
        daemon="/usr/bin/kubelet",
        unit="kubelet",
    ),
    # what tests of package handling want
    TinyPackage(name="versioned-demo", version="1.0", programs=("/usr/bin/versioned-demo",)),
    TinyPackage(name="versioned-demo", version="1.1", programs=("/usr/bin/versioned-demo",)),
    TinyPackage(
        name="conffile-demo", version="1.0", conffiles={"/etc/conffile-demo.conf": "version 1.0\n"}
    ),
    TinyPackage(
        name="conffile-demo", version="1.1", conffiles={"/etc/conffile-demo.conf": "version 1.1\n"}
    ),
    TinyPackage(name="depends-demo", version="1.0", fields={"Depends": "versioned-demo (>= 1.1)"}),
    TinyPackage(name="slow-demo", version="1.0", postinst="sleep 30\n"),
    TinyPackage(name="broken-demo", version="1.0", postinst="echo no luck >&2\nexit 1\n"),
)


def _script(text: str) -> str:
    return f"#!/bin/sh\nset -e\n{text}"


def paragraph(package: Path, control: str) -> str:
    """What the Packages index of an apt repository says of one .deb.

    Args:
        package: The .deb, in the repository's directory.
        control: Its control file.
    """
    content = package.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    place = f"Filename: ./{package.name}\nSize: {len(content)}\nSHA256: {digest}\n"
    return f"{control.rstrip(chr(10))}\n{place}"


def build_repository(directory: Path, scratch: Path) -> None:
    """Fill a directory with `PACKAGES`, the .debs that are there already, and their index.

    Args:
        directory: The repository; a `deb [trusted=yes] file:DIRECTORY ./` line reads it.
        scratch: An empty directory for the trees.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paragraphs = [
        paragraph(package, run("dpkg-deb", "--field", package).stdout)
        for package in sorted(directory.glob("*.deb"))
    ]
    paragraphs += [package.build(directory, scratch) for package in PACKAGES]
    (directory / "Packages").write_text("\n".join(paragraphs), "utf-8")
