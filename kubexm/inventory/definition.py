"""Connection variables: their names, what they accept and where they land.

Ours begin with `kubexm_` and have Ansible's stems, so that whoever knows `ansible_port` knows
`kubexm_port`; Ansible's own names are aliases.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubexm.connector import HostKeyPolicy
from kubexm.inventory import reach, value
from kubexm.inventory.model import MachineMode
from kubexm.inventory.ssh_args import ssh_args


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One connection variable.

    Args:
        name: Ours.
        aliases: Ansible's, the first has the say.
        lands: The attribute of `Settings`.
        accepts: Its values in words, as messages have them.
        description: What it is for.
        read: From a node to the value.
        is_secret: Its value is never shown.
        mistaken: What people write instead; suggestions use it.
    """

    name: str
    aliases: tuple[str, ...] = ()
    lands: str
    accepts: str
    description: str
    read: value.Reader
    is_secret: bool = False
    mistaken: tuple[str, ...] = ()


def _words(kind: type[HostKeyPolicy | MachineMode]) -> str:
    *others, last = (member.value for member in kind)
    return f"{', '.join(others)} or {last}"


DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        name="kubexm_host",
        aliases=("ansible_host", "ansible_ssh_host"),
        lands="address",
        accepts="a host name or an IP address",
        description="where the machine is reached; by default its name in the inventory",
        read=value.address,
        mistaken=("address", "ip", "hostname", "ssh_host"),
    ),
    Definition(
        name="kubexm_internal_address",
        lands="internal_address",
        accepts="a host name or an IP address",
        description="how other hosts reach it; by default the same",
        read=value.address,
        mistaken=("internal_ip", "internal_host"),
    ),
    Definition(
        name="kubexm_port",
        aliases=("ansible_port", "ansible_ssh_port"),
        lands="port",
        accepts="a whole number from 1 to 65535",
        description="the port of the connection; by default the connector's (22 for ssh)",
        read=value.port,
        mistaken=("ssh_port",),
    ),
    Definition(
        name="kubexm_user",
        aliases=("ansible_user", "ansible_ssh_user"),
        lands="user",
        accepts="a user's name",
        description="the login user; by default what ssh_config says, else the local user",
        read=value.word,
        mistaken=("username", "ssh_user", "login"),
    ),
    Definition(
        name="kubexm_password",
        aliases=("ansible_password", "ansible_ssh_pass", "ansible_ssh_password"),
        lands="password",
        accepts="a string",
        description="the login user's password",
        read=value.secret,
        is_secret=True,
        mistaken=("pass", "ssh_pass", "ssh_password"),
    ),
    Definition(
        name="kubexm_private_key_file",
        aliases=("ansible_ssh_private_key_file", "ansible_private_key_file"),
        lands="private_key",
        accepts="a path",
        description="a private key; a relative path starts at the inventory's directory",
        read=value.path,
        mistaken=("key", "key_file", "ssh_key", "identity_file"),
    ),
    Definition(
        name="kubexm_private_key",
        aliases=("ansible_private_key", "ansible_ssh_private_key"),
        lands="private_key_content",
        accepts="the text of a private key file",
        description="a private key itself, instead of a file",
        read=value.secret,
        is_secret=True,
        mistaken=("private_key_content", "key_content"),
    ),
    Definition(
        name="kubexm_private_key_passphrase",
        aliases=("ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase"),
        lands="passphrase",
        accepts="a string",
        description="the private key's passphrase",
        read=value.secret,
        is_secret=True,
        mistaken=("passphrase", "key_passphrase"),
    ),
    Definition(
        name="kubexm_certificate_file",
        lands="certificate",
        accepts="a path",
        description="the private key's OpenSSH certificate; by default KEY-cert.pub beside it",
        read=value.path,
        mistaken=("certificate", "cert_file", "ssh_certificate"),
    ),
    Definition(
        name="kubexm_connection",
        aliases=("ansible_connection",),
        lands="connection",
        accepts="ssh, local, openssh, podman or the name of another connector plugin",
        description="how to reach the machine; by default ssh",
        read=value.connection,
        mistaken=("connector", "transport"),
    ),
    Definition(
        name="kubexm_via",
        lands="via",
        accepts="the name of a host",
        description="the host on which the connection's client (podman, kubectl, ssh) runs",
        read=value.word,
        mistaken=("through", "delegate_to", "proxy_host"),
    ),
    Definition(
        name="kubexm_container",
        aliases=(
            "ansible_docker_host",
            "ansible_podman_host",
            "ansible_kubectl_container",
        ),
        lands="container",
        accepts="the name of a container",
        description="which container; by default kubexm_host, and for kubectl the pod's first",
        read=value.word,
        mistaken=("container_name",),
    ),
    Definition(
        name="kubexm_pod",
        aliases=("ansible_kubectl_pod",),
        lands="pod",
        accepts="the name of a pod",
        description="which pod of Kubernetes; by default kubexm_host",
        read=value.word,
        mistaken=("pod_name",),
    ),
    Definition(
        name="kubexm_namespace",
        aliases=("ansible_kubectl_namespace",),
        lands="namespace",
        accepts="the name of a namespace",
        description="the pod's namespace; by default the context's",
        read=value.word,
    ),
    Definition(
        name="kubexm_context",
        aliases=("ansible_kubectl_context",),
        lands="context",
        accepts="the name of a context",
        description="the kubectl context; by default the current one",
        read=value.word,
    ),
    Definition(
        name="kubexm_kubeconfig",
        aliases=("ansible_kubectl_kubeconfig", "ansible_kubectl_config"),
        lands="kubeconfig",
        accepts="a path",
        description="kubectl's configuration; an absolute path when it is on another machine",
        read=value.path,
    ),
    Definition(
        name="kubexm_root",
        lands="root",
        accepts="an absolute path",
        description="the directory tree of a chroot; by default kubexm_host",
        read=value.elsewhere,
        mistaken=("chroot", "root_directory", "directory"),
    ),
    Definition(
        name="kubexm_executable",
        aliases=("ansible_podman_executable", "ansible_chroot_exe", "ansible_ssh_executable"),
        lands="executable",
        accepts="the name or the path of a program",
        description="the connection's client, instead of podman, kubectl, ssh and so on",
        read=value.word,
    ),
    Definition(
        name="kubexm_connection_options",
        lands="options",
        accepts="a mapping of strings to strings",
        description="further settings for a connector plugin; no secrets",
        read=value.strings,
        mistaken=("options",),
    ),
    Definition(
        name="kubexm_host_key_policy",
        lands="host_key_policy",
        accepts=_words(HostKeyPolicy),
        description="what to do about the machine's host key; by default pinned when "
        "kubexm_host_key is set, else accept-new",
        read=value.choice(HostKeyPolicy),
        mistaken=("host_key_checking",),
    ),
    Definition(
        name="kubexm_host_key",
        lands="host_keys",
        accepts="a public key, its SHA256 fingerprint, or a list of them",
        description="the machine's host key, known_hosts aside",
        read=reach.host_keys,
        mistaken=("host_keys", "fingerprint", "host_key_fingerprint"),
    ),
    Definition(
        name="kubexm_known_hosts",
        lands="known_hosts",
        accepts="a path",
        description="the known_hosts file; by default what ssh_config says, else "
        "~/.ssh/known_hosts",
        read=value.path,
        mistaken=("known_hosts_file",),
    ),
    Definition(
        name="kubexm_bastion",
        lands="bastions",
        accepts="a host of the inventory, user@host:port, a list of them, or none",
        description="what to go through, the one that is dialled directly first",
        read=reach.bastions,
        mistaken=("bastions", "jump", "jump_host", "proxy_jump", "gateway"),
    ),
    Definition(
        name="kubexm_proxy",
        lands="proxies",
        accepts="socks5://user@host:port, http://user@host:port, or none",
        description="the proxy for a machine that is dialled directly",
        read=reach.proxies,
        mistaken=("socks_proxy", "http_proxy"),
    ),
    Definition(
        name="kubexm_proxy_password",
        lands="proxy_password",
        accepts="a string",
        description="what the proxy wants of its user",
        read=value.secret,
        is_secret=True,
        mistaken=("proxy_pass",),
    ),
    Definition(
        name="kubexm_proxy_command",
        lands="proxy_command",
        accepts="a command line, or none",
        description="a command whose input and output lead to the machine (ProxyCommand)",
        read=reach.proxy_command,
        mistaken=("proxycommand",),
    ),
    Definition(
        name="kubexm_ssh_args",
        aliases=("ansible_ssh_common_args",),
        lands="ssh_args",
        accepts="options of the ssh command",
        description="bastions, host keys and so on as ssh(1) has them: -J, -i, -l, -p, -o",
        read=ssh_args,
        mistaken=("ssh_common_args", "ssh_options"),
    ),
    Definition(
        name="kubexm_ssh_extra_args",
        aliases=("ansible_ssh_extra_args", "ansible_ssh_args"),
        lands="ssh_extra_args",
        accepts="options of the ssh command",
        description="more of them, so that a group and a host can each have some",
        read=ssh_args,
    ),
    Definition(
        name="kubexm_connect_timeout",
        aliases=("ansible_timeout", "ansible_ssh_timeout"),
        lands="connect_timeout_s",
        accepts="a time such as 15, 15s or 2m, more than 0 and at most 1h",
        description="for each of the TCP connection, the banner and the authentication",
        read=value.seconds,
        mistaken=("timeout", "ssh_timeout", "connection_timeout"),
    ),
    Definition(
        name="kubexm_connect_attempts",
        lands="connect_attempts",
        accepts="a whole number from 1 to 20",
        description="how often to try a machine that cannot be reached; by default what "
        "ssh_config says, else once",
        read=reach.attempts,
        mistaken=("connect_retries", "connection_attempts", "retries"),
    ),
    Definition(
        name="kubexm_become",
        aliases=("ansible_become",),
        lands="become",
        accepts="auto, true or false",
        description="when to become another user; auto: where the work needs root",
        read=value.become,
        mistaken=("sudo",),
    ),
    Definition(
        name="kubexm_become_method",
        aliases=("ansible_become_method",),
        lands="become_method",
        accepts="sudo, su or doas",
        description="how to become another user; by default sudo",
        read=value.become_method,
    ),
    Definition(
        name="kubexm_become_user",
        aliases=("ansible_become_user",),
        lands="become_user",
        accepts="a user's name",
        description="whom to become; by default root",
        read=value.become_user,
        mistaken=("sudo_user",),
    ),
    Definition(
        name="kubexm_become_password",
        aliases=("ansible_become_password", "ansible_become_pass"),
        lands="become_password",
        accepts="a string",
        description="what sudo, su or doas asks for",
        read=value.secret,
        is_secret=True,
        mistaken=("become_pass", "sudo_pass", "sudo_password"),
    ),
    Definition(
        name="kubexm_mode",
        lands="mode",
        accepts=_words(MachineMode),
        description="image: baked and not booted, such as a chroot; by default live",
        read=value.choice(MachineMode),
    ),
    Definition(
        name="kubexm_family",
        lands="family",
        accepts="the name of an OS family",
        description="the OS family to take it for; by default its facts decide",
        read=value.plugin_name,
        mistaken=("os_family", "os"),
    ),
    Definition(
        name="kubexm_labels",
        lands="labels",
        accepts="a mapping of strings to strings",
        description="free words about the host",
        read=value.strings,
    ),
)
"""Every connection variable, in the order of the documentation."""
