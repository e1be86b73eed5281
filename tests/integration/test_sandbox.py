"""A sandbox is a copy of this machine, and the machine stays as it is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Bootless, Notices
from kubexm.connector.syscall import KEPT
from kubexm.errors import DeadlineError, UnreachableError
from kubexm.shell import Script, Session, quote
from tests.integration.sandboxes import opened, require_sandbox, sandbox, text, wait_until_gone
from tests.integration.untouched import differences, machine, processes_with
from tests.tasks import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

_FORBIDDEN_CAPABILITIES = {
    "NET_ADMIN": 12,
    "NET_RAW": 13,
    "SYS_MODULE": 16,
    "SYS_RAWIO": 17,
    "SYS_PTRACE": 19,
    "SYS_ADMIN": 21,
    "SYS_BOOT": 22,
    "SYS_TIME": 25,
    "MKNOD": 27,
    "SYSLOG": 34,
}
"""Numbers of linux/capability.h."""

_FORBIDDEN = (
    # mounts
    "mount -t tmpfs none /mnt",
    "mount --bind /etc /mnt",
    "mount -o remount,rw /proc",
    "mount -o remount,bind,rw /sys",
    "umount /proc",
    "umount -l /run",
    "swapoff -a && swapon /dev/zero",
    "unshare --mount true",
    "nsenter --target 1 --mount true",
    # devices
    "mknod /root/disk b 8 0",
    "mknod /dev/mem c 1 1",
    "dd if={disk} of=/dev/null count=1",
    "losetup -f /etc/passwd",
    "fsfreeze -f /",
    # the kernel; each would set what is set already, or do no harm
    "v=$(cat /proc/sys/vm/swappiness); echo $v >/proc/sys/vm/swappiness",
    "v=$(cat /proc/sys/net/ipv4/ip_forward); echo $v >/proc/sys/net/ipv4/ip_forward",
    "v=$(cat /proc/sys/kernel/hostname); echo $v >/proc/sys/kernel/hostname",
    "sysctl -q -w net.ipv4.conf.all.forwarding=1 | grep . && false",
    "echo h >/proc/sysrq-trigger",
    "echo 0 >/sys/class/net/lo/flags",
    "modprobe dummy",
    "hostname elsewhere",
    'date -s "@$(date +%s)"',
    "hwclock --systohc",
    "dmesg --clear",
    "reboot -f",
    "chattr +i /etc/passwd",
    # the network
    "ip link add kxtest0 type dummy",
    "ip link set lo down",
    "ip addr add 198.51.100.7/32 dev lo",
    "ip route add 198.51.100.0/24 dev lo",
    "ip netns add kxtest",
    "tc qdisc add dev lo root pfifo",
    "iptables -A INPUT -j ACCEPT",
    "nft add table inet kxtest",
    # processes of the machine
    "kill -s KILL {pid}",
)

_MESS = """\
echo nobody >/etc/kubexm-was-here
echo 'evil:x:0:0::/:/bin/sh' >>/etc/passwd
echo gone >/etc/hosts
rm -rf /usr/share/doc /usr/bin/env /var/lib/dpkg/info /boot
chmod 700 /usr /etc
chown nobody /etc/shadow
mv /opt /opt-elsewhere
ln -sf /etc/passwd /var/lib/dpkg/status
: >/var/lib/dpkg/lock
mkdir -p /usr/local/kubexm /run/kubexm /home/kubexm
echo elsewhere >/etc/hostname
touch {project}/kubexm-was-here
chmod 000 /dev/null
rm -f /dev/zero
kill -s KILL -1
"""


@pytest.fixture(scope="module", autouse=True)
def possible() -> None:
    require_sandbox()


def test_nothing_that_is_done_in_a_sandbox_changes_the_machine(
    tmp_path: Path, copied: Path
) -> None:
    bystander = subprocess.Popen(["sleep", "300"])
    before = machine()
    disk = f"/dev/{Path('/proc/partitions').read_text('ascii').split()[-1]}"
    try:
        with opened(tmp_path) as session:
            # What follows would really happen to the machine if this were wrong.
            require_harmless(session)
            succeeded = [
                command
                for pattern in _FORBIDDEN
                if (command := pattern.format(pid=bystander.pid, disk=disk))
                and session.ask(Script(command), deadline_s=20).exit_status == 0
            ]
            assert succeeded == []
            mess = Script(_MESS.format(project=quote(str(copied))))
            session.run([mess], deadline_s=60)
        with opened(tmp_path) as session:
            assert text(session, "cat /etc/kubexm-was-here /etc/hosts") == "nobody\ngone"
            assert text(session, f"ls -d /opt-elsewhere {copied}/kubexm-was-here").count("\n") == 1
            assert session.ask(Script("ls /usr/bin/env")).exit_status != 0
        assert differences(before, machine()) == []
        assert bystander.poll() is None
        assert not (copied / "kubexm-was-here").exists()
    finally:
        bystander.kill()
        bystander.wait()
    assert list(tmp_path.iterdir()) == [tmp_path / "node"]


def require_harmless(session: Session) -> None:
    """Every process of the sandbox is without the capabilities that make it dangerous."""
    probe = Path(f"/etc/kubexm-probe-{os.getpid()}")
    assert text(session, f"echo x >{probe}; stat -f -c %T /") == "overlayfs"
    assert not probe.exists()
    for name in ("mnt", "pid", "uts", "ipc"):
        assert text(session, f"readlink /proc/self/ns/{name}") != _namespace(name)
    for line in text(session, "cat /proc/[0-9]*/status | grep ^Cap").splitlines():
        held = int(line.split()[1], 16)
        for name, number in _FORBIDDEN_CAPABILITIES.items():
            assert not held >> number & 1, f"{line}: {name}"
    for place in ("/proc", "/sys"):
        assert text(session, f"grep ' {place} ' /proc/self/mounts | cut -d ' ' -f 4").startswith(
            "ro,"
        )


def _namespace(name: str) -> str:
    return str(Path("/proc/self/ns", name).readlink())


def test_root_in_a_sandbox_keeps_what_installing_packages_needs(tmp_path: Path) -> None:
    own = int(next(iter(_status_lines("CapPrm"))), 16)
    with opened(tmp_path) as session:
        held = int(text(session, "sed -n 's/^CapEff:\t//p' /proc/self/status"), 16)
        assert held == own & sum(1 << number for number in KEPT)
        assert text(session, "id -u; umask; pwd") == "0\n0022\n/"
        assert text(session, "su nobody -s /bin/sh -c 'id -un'") == "nobody"


def _status_lines(key: str) -> list[str]:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return [line.split()[1] for line in lines if line.startswith(f"{key}:")]


def test_a_second_connection_finds_what_the_first_one_left(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        text(session, "echo one >/etc/first; rm /etc/passwd-; mkdir /opt/a; echo /tmp >/tmp/x")
    assert not Path("/etc/first").exists()
    with opened(tmp_path) as session:
        assert text(session, "cat /etc/first; ls -d /opt/a") == "one\n/opt/a"
        assert session.ask(Script("ls /etc/passwd-")).exit_status != 0
        assert session.ask(Script("ls /tmp/x")).exit_status != 0


def test_removing_the_directory_gives_a_fresh_copy(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        text(session, "echo one >/etc/first")
    shutil.rmtree(tmp_path / "node")
    with opened(tmp_path) as session:
        assert session.ask(Script("ls /etc/first")).exit_status != 0


def test_the_changes_of_a_sandbox_can_be_looked_at_by_root_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        text(session, "echo one >/etc/first")
    changed = tmp_path / "node" / "root" / "upper" / "etc" / "first"
    assert changed.read_text() == "one\n"
    assert (tmp_path / "node").stat().st_mode & 0o777 == 0o700


@pytest.fixture
def copied() -> Iterator[Path]:
    """A directory that sandboxes have a copy of: not below /tmp, which they have of their own."""
    made = Path(tempfile.mkdtemp(prefix="kubexm-test-", dir="/var/tmp"))
    yield made
    shutil.rmtree(made)


def test_sandboxes_do_not_see_each_other_nor_themselves_from_outside(copied: Path) -> None:
    with opened(copied, "one") as one, opened(copied, "two") as two:
        text(one, "echo 1 >/etc/number; (sleep 300 >/dev/null 2>&1 &)")
        assert two.ask(Script("ls /etc/number; pgrep -x sleep -c | grep 2")).exit_status != 0
        assert text(two, f"ls -A {copied}") == ""
        assert two.ask(Script(f"touch {copied}/x")).exit_status != 0


def test_two_sessions_of_one_connection_are_in_one_sandbox(tmp_path: Path) -> None:
    connector = sandbox(tmp_path)
    connector.connect()
    with (
        closing(connector),
        closing(Session.open(connector.open)) as one,
        closing(Session.open(connector.open)) as two,
    ):
        text(one, "echo hello >/run/greeting; (exec sleep 4321 >/dev/null 2>&1 &)")
        assert text(two, "cat /run/greeting; pgrep -f '^sleep 4321' -c") == "hello\n1"
        namespaces = "cd /proc/self/ns; readlink mnt pid uts ipc cgroup net"
        assert text(one, namespaces) == text(two, namespaces)
        assert _namespace("pid") != text(one, "readlink /proc/self/ns/pid")
        assert _namespace("net") == text(one, "readlink /proc/self/ns/net")
    assert not connector.is_connected()
    wait_until_gone(tmp_path)
    connector.close()
    with pytest.raises(UnreachableError, match="not there"):
        connector.open("true")


def test_a_command_ends_with_its_own_exit_status_and_in_roots_home(tmp_path: Path) -> None:
    connector = sandbox(tmp_path)
    connector.connect()
    try:
        process = connector.open("pwd; echo $HOME $SYSTEMD_OFFLINE ${KUBEXM_X-none}; exit 7")
        said = b""
        ended = False
        while not ended:
            _, stdout, _, ended = process.exchange(memoryview(b""), 10)
            said += stdout
        home = str(Path("~root").expanduser())
        assert said.decode().splitlines() == [home, f"{home} 1 none"]
        assert process.exit_status() == 7
        process.kill()
    finally:
        connector.close()


def test_devices_are_few_and_work(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        nodes = text(session, "cd /dev; find . -type c ! -path './pts/*' | sort | tr '\\n' ' '")
        assert nodes == "./full ./null ./random ./tty ./urandom ./zero"
        assert text(session, "head -c 3 /dev/urandom | wc -c; echo x >/dev/null; echo /dev/fd/*")
        assert text(session, "echo out >/dev/stdout; : <>/dev/ptmx; : >/dev/shm/x") == "out"
        assert session.ask(Script("echo x >/dev/full")).exit_status != 0


def test_a_sandbox_takes_its_name_from_its_own_file(tmp_path: Path) -> None:
    machines = os.uname().nodename
    with opened(tmp_path) as session:
        text(session, "echo '# mine' >/etc/hostname; echo sandbox7 >>/etc/hostname")
    with opened(tmp_path) as session:
        assert text(session, "uname -n") == "sandbox7"
    assert os.uname().nodename == machines


def test_a_deadline_ends_what_runs_in_a_sandbox(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        replies = session.run([Script("sleep 298")], deadline_s=1, grace_s=1)
        with pytest.raises(DeadlineError):
            replies.whole()
    with opened(tmp_path) as session:
        assert session.ask(Script("pgrep -f '^sleep 298'")).exit_status != 0


def test_orphans_are_reaped(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        text(session, "for i in 1 2 3; do (sleep 0.1 >/dev/null 2>&1 &); done; sleep 0.5")
        assert "Z" not in text(session, "cat /proc/[0-9]*/stat | sed 's/.*) //' | cut -c 1")


def test_closing_ends_every_process_however_it_hides(tmp_path: Path) -> None:
    connector = sandbox(tmp_path)
    connector.connect()
    with closing(Session.open(connector.open)) as session:
        text(session, "for i in 1 2 3; do (trap '' TERM; setsid sleep 300 >/dev/null 2>&1 &); done")
        assert len(processes_with(str(tmp_path))) > 3
        began = time.monotonic()
        connector.close()
        assert time.monotonic() - began < 5
    wait_until_gone(tmp_path)


CONTROLLER = """\
import sys, time
from kubexm.connector import Endpoint
from kubexm.connector.sandbox import plugin
from kubexm.shell import Script, Session

connector = plugin(Endpoint(name="node", options={"directory": sys.argv[1]}))
connector.connect()
session = Session.open(connector.open)
session.ask(Script("(trap '' TERM; setsid sleep 300 >/dev/null 2>&1 &)"))
print("ready", flush=True)
session.ask(Script("sleep 300"))
"""


def test_a_killed_controller_leaves_neither_process_nor_mount(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as controller:
        assert controller.stdout is not None
        assert controller.stdout.readline() == b"ready\n"
        assert len(processes_with(str(tmp_path))) > 3
        controller.send_signal(signal.SIGKILL)
    wait_until_gone(tmp_path)
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    with opened(tmp_path) as session:
        assert text(session, "echo again") == "again"


MOUNTING = """\
import subprocess, sys
from contextlib import closing
from pathlib import Path
from kubexm.connector import Endpoint
from kubexm.connector.sandbox import plugin
from kubexm.shell import Script, Session

def mount(*words):
    subprocess.run(["mount", *words], check=True)

base = Path(sys.argv[1])
odd, long = base / "a b,c:d\\\\e", base / ("-" * 100)
for place in (odd, long, base / "hidden" / "below"):
    place.mkdir(parents=True)
    mount("-t", "tmpfs", "none", str(place))
    (place / "file").write_text("machine\\n")
mount("-t", "tmpfs", "none", str(base / "hidden"))
(base / "here").write_text("below\\n")
(base / "source").write_text("machine\\n")
mount("--bind", str(base / "source"), str(base / "here"))
for _ in range(2):
    connector = plugin(Endpoint(name="node", options={"directory": str(base / "kept")}))
    connector.connect()
    print(*connector.notices, sep="\\n", end="")
    with closing(connector), closing(Session.open(connector.open)) as session:
        reply = session.ask(Script(sys.argv[2]))
        sys.stdout.write(reply.text)
        sys.stdout.flush()
for place in (odd / "file", long / "file", base / "source"):
    sys.stdout.write(place.read_text())
"""


def test_every_file_system_of_the_machine_is_copied(copied: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("unshare is missing: install util-linux")
    command = (
        f"cd {copied}; cat a*/file; echo odd | tee -a a*/file >&2; "
        "cat ./---*/file; echo x | tee -a ./---*/file >&2; ls hidden; cat here; echo mine >>here"
    )
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", MOUNTING, str(copied), command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    first = ["machine", "machine", "machine"]
    second = ["machine", "odd", "machine", "machine", "mine"]
    assert done.stdout.split() == [*first, *second, *(["machine"] * 3)]


def test_three_sandboxes_are_made_side_by_side(tmp_path: Path) -> None:
    def work(name: str) -> str:
        with opened(tmp_path, name) as session:
            return text(session, f"echo {name} >/etc/hostname; sleep 0.5; cat /etc/hostname")

    names = ["cp1", "w1", "w2"]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, names)) == names
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_sandbox_is_an_image_and_says_what_it_is_without(tmp_path: Path) -> None:
    connector = sandbox(tmp_path)
    assert isinstance(connector, Bootless)
    assert connector.is_image
    assert isinstance(connector, Notices)
    assert list(connector.notices) == []
    assert repr(connector) == f"<SandboxConnector node in {tmp_path / 'node'}>"
