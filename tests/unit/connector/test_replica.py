"""What a copy of the machine is made of, as far as that can be told without making one."""

from __future__ import annotations

from kubexm.connector.enclosure import environment
from kubexm.connector.mount_table import Mounted, mounted

TABLE = r"""
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:20 / /proc rw,nosuid - proc proc rw
40 21 254:1 / /var/log rw master:2 propagate_from:1 - xfs /dev/vdb rw
30 21 254:2 / /var rw - ext4 /dev/vdc rw
41 21 0:33 /file /srv/a\040b\134c rw shared:7 - fuse.sshfs none rw
42 21 0:34 / /srv rw - tmpfs first rw
43 42 0:35 / /srv rw - tmpfs second rw
""".lstrip()


def test_of_two_mounts_at_one_place_the_later_counts_and_parents_come_first() -> None:
    assert mounted(TABLE) == [
        Mounted("21", "/", "ext4"),
        Mounted("22", "/proc", "proc"),
        Mounted("43", "/srv", "tmpfs"),
        Mounted("41", "/srv/a b\\c", "fuse.sshfs"),
        Mounted("30", "/var", "ext4"),
        Mounted("40", "/var/log", "xfs"),
    ]


def test_the_environment_is_a_logins_with_the_way_to_the_network_and_nothing_else() -> None:
    given = {
        "https_proxy": "http://proxy.example:3128",
        "NO_PROXY": "localhost",
        "LC_TIME": "C",
        "SSL_CERT_FILE": "/etc/ssl/ca.pem",
        "SSH_AUTH_SOCK": "/run/agent",
        "GITHUB_TOKEN": "hunter2",
        "LD_PRELOAD": "/usr/lib/odd.so",
        "HOME": "/home/me",
        "PATH": "/home/me/bin",
    }
    assert environment(given, "/root") == {
        "https_proxy": "http://proxy.example:3128",
        "NO_PROXY": "localhost",
        "LC_TIME": "C",
        "SSL_CERT_FILE": "/etc/ssl/ca.pem",
        "HOME": "/root",
        "LOGNAME": "root",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SHELL": "/bin/sh",
        "SYSTEMD_OFFLINE": "1",
        "USER": "root",
    }
