"""Transports that are a program: what their complaints mean, and how they share a connection."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kubexm.connector import (
    Connector,
    Endpoint,
    HostKeyPolicy,
    Inside,
    Proxy,
    kubectl,
    local,
    openssh,
)
from kubexm.connector import container as engine
from kubexm.errors import (
    AuthenticationError,
    ConnectError,
    HostKeyError,
    UnreachableError,
    UsageError,
)
from kubexm.inventory import load
from kubexm.runtime import Runtime
from kubexm.secret import Secret
from kubexm.shell import Become, Escalation, Script, Session, elevate
from tests.integration.sshd import free_port, make_key
from tests.integration.wire import LOGIN_SHELLS, eventually, machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import ServerMaker
    from tests.integration.sshd import SshServer

pytestmark = pytest.mark.integration

NO_BYTES = memoryview(b"")


def refused(connector: Connector) -> ConnectError:
    """What connecting raises."""
    with pytest.raises(ConnectError) as caught:
        connector.connect()
    assert not connector.is_connected()
    return caught.value


# ssh


@pytest.fixture
def endpoint(sshd: SshServer) -> Endpoint:
    return sshd.endpoint(connect_timeout_s=60)


def test_openssh_shares_one_connection_and_logs_in_once(make_sshd: ServerMaker) -> None:
    server = make_sshd(settings="LogLevel VERBOSE\n")
    connector = openssh.plugin(server.endpoint(connect_timeout_s=60))
    connector.connect()
    for number in range(3):
        session = Session.open(connector.open)
        assert session.ask(Script(f"echo {number}")).text == f"{number}\n"
        session.close()
    connector.close()
    assert server.log.count("Accepted publickey") == 1


def test_openssh_tells_the_fingerprint_of_a_new_host_key_once(
    sshd: SshServer, endpoint: Endpoint
) -> None:
    connector = openssh.plugin(endpoint)
    connector.connect()
    (notice,) = connector.notices
    connector.close()
    assert notice.startswith("new host key SHA256:")
    assert f"accepted for '[127.0.0.1]:{sshd.port}' (ED25519)" in notice
    connector.connect()
    assert connector.notices == ()
    connector.close()


def test_openssh_takes_further_settings_from_the_connection_options(endpoint: Endpoint) -> None:
    connector = openssh.plugin(replace(endpoint, options={"NoSuchSetting": "yes"}))
    assert "kubexm_connection_options" in refused(connector).hint
    connector = openssh.plugin(replace(endpoint, options={"SetEnv": "LC_KUBEXM=here"}))
    connector.connect()
    connector.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host_key_policy": HostKeyPolicy.PINNED, "host_keys": ("SHA256:x",)}, "pinned"),
        ({"private_key_content": Secret("the key")}, "a key that is in no file"),
        ({"proxy": Proxy.parse("socks5://127.0.0.1:1080")}, "proxies"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_openssh_refuses_what_it_cannot_hand_on(changes: dict[str, object], message: str) -> None:
    endpoint = replace(Endpoint(name="a", address="127.0.0.1"), **changes)  # type: ignore[arg-type] # as above
    assert f"openssh does not know {message}" in str(refused(openssh.plugin(endpoint)))


def test_openssh_goes_through_bastions(sshd: SshServer, make_sshd: ServerMaker) -> None:
    inner = make_sshd()
    inner.authorize(sshd.private_key)
    (sshd.directory / "config").write_text(
        f"IdentityFile {sshd.private_key}\nUserKnownHostsFile {sshd.known_hosts}\n"
        "StrictHostKeyChecking accept-new\n"
    )
    bastion = Endpoint(name="gate", address="127.0.0.1", port=sshd.port)
    endpoint = inner.endpoint(connect_timeout_s=60, bastions=(bastion,))
    program = sshd.directory / "ssh-here"
    # the configuration file goes to the ssh of the bastion too (ssh_config(5), ProxyJump)
    program.write_text(f'#!/bin/sh\nexec ssh -F {sshd.directory}/config "$@"\n')
    program.chmod(0o755)
    connector = openssh.plugin(replace(endpoint, inside=Inside(executable=str(program))))
    connector.connect()
    with closing(connector), closing(Session.open(connector.open)) as session:
        assert session.ask(Script("echo behind")).text == "behind\n"
    assert "Accepted publickey" in sshd.log


def test_openssh_tells_an_unknown_host_key_and_a_changed_one(
    sshd: SshServer, endpoint: Endpoint
) -> None:
    strict = replace(endpoint, host_key_policy=HostKeyPolicy.STRICT)
    error = refused(openssh.plugin(strict))
    assert isinstance(error, HostKeyError)
    assert "unknown" in str(error)
    for known in (openssh.plugin(endpoint), openssh.plugin(strict)):
        known.connect()
        known.close()
    make_key(sshd.host_key())
    sshd.restart()
    error = refused(openssh.plugin(endpoint))
    assert isinstance(error, HostKeyError)
    assert "not the one on record" in str(error)


def test_openssh_tells_a_key_that_is_not_accepted(endpoint: Endpoint, tmp_path: Path) -> None:
    stranger = replace(endpoint, private_key=str(make_key(tmp_path / "stranger")))
    error = refused(openssh.plugin(stranger))
    assert isinstance(error, AuthenticationError)
    assert "connection ssh" in error.hint


def test_openssh_tells_refusal_silence_and_hanging_up_apart(home: Path) -> None:
    del home
    nobody = Endpoint(name="n", address="127.0.0.1", port=free_port(), connect_timeout_s=2)
    assert "refused the connection" in str(refused(openssh.plugin(nobody)))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = replace(nobody, port=silent.getsockname()[1])
        error = refused(openssh.plugin(mute))
    assert isinstance(error, UnreachableError)
    assert "in time" in str(error) or "did not answer within" in str(error)
    absent = replace(nobody, inside=Inside(executable="no-such-ssh"))
    assert "no-such-ssh cannot be started" in str(refused(openssh.plugin(absent)))


def test_openssh_on_another_machine_logs_in_for_each_session(make_sshd: ServerMaker) -> None:
    server = make_sshd(settings="LogLevel VERBOSE\n")
    connector = openssh.plugin(server.endpoint(connect_timeout_s=60))
    connector.through(local.plugin(Endpoint(name="here")))
    connector.connect()
    with closing(connector), closing(Session.open(connector.open)) as session:
        reply = session.ask(Script("cat; echo apart >&2; exit 3", payload=b"\0\xff"))
    assert (reply.stdout, reply.stderr, reply.exit_status) == (b"\0\xff", b"apart\n", 3)
    assert server.log.count("Accepted publickey") == 2


def test_openssh_notices_that_the_server_is_gone(sshd: SshServer, endpoint: Endpoint) -> None:
    connector = openssh.plugin(endpoint)
    connector.connect()
    process = connector.open("sleep 600")
    sshd.stop()
    assert eventually(lambda: not connector.is_connected(), within_s=30)
    assert eventually(lambda: process.exchange(NO_BYTES, 0.1).ended, within_s=30)
    with pytest.raises(UnreachableError):
        connector.open("true")
    connector.close()


def test_openssh_leaves_no_file(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    connector = openssh.plugin(endpoint)
    connector.connect()
    assert [path.stat().st_mode & 0o777 for path in scratch.iterdir()] == [0o700]
    connector.close()
    assert list(scratch.iterdir()) == []
    refused(openssh.plugin(replace(endpoint, address="", name="-oProxyCommand=touch x")))
    assert list(scratch.iterdir()) == []


# Containers: what clients say, as they say it


class Said(NamedTuple):
    """What a client says as it ends, and what that means."""

    plugin: Callable[[Endpoint], Connector]
    words: str
    kind: type[ConnectError]
    message: str
    status: int = 1


SAID = (
    Said(
        engine.docker,
        "Error response from daemon: No such container: web",
        UnreachableError,
        "the container web does not exist",
    ),
    Said(
        engine.docker,
        "Error response from daemon: container 5e0f6a is not running",
        UnreachableError,
        "the container web is not running",
    ),
    Said(
        engine.docker,
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is it running?",
        UnreachableError,
        "the engine does not answer",
    ),
    Said(
        engine.docker,
        "permission denied while trying to connect to unix:///var/run/docker.sock",
        ConnectError,
        "this user may not talk to the engine",
    ),
    Said(
        engine.docker,
        'OCI runtime exec failed: exec: "sh": executable file not found in $PATH: unknown',
        ConnectError,
        "the container web has no sh",
        127,
    ),
    Said(
        engine.docker,
        "unable to find user dev: no matching entries in passwd file",
        ConnectError,
        "the container web has no such user",
        126,
    ),
    Said(
        engine.podman,
        'Error: no container with name or ID "web" found: no such container',
        UnreachableError,
        "the container web does not exist",
        125,
    ),
    Said(
        engine.podman,
        "Error: can only create exec sessions on running containers: container state improper",
        UnreachableError,
        "the container web is not running",
        255,
    ),
    Said(
        engine.podman,
        "Error: crun: executable file `sh` not found in $PATH: No such file or directory",
        ConnectError,
        "the container web has no sh",
        127,
    ),
    Said(engine.podman, "", UnreachableError, "it ended with exit status 3", 3),
    Said(
        kubectl.plugin,
        'Error from server (NotFound): pods "web" not found',
        UnreachableError,
        "the pod web does not exist",
    ),
    Said(
        kubectl.plugin,
        "Error from server (BadRequest): container app is not valid for pod web",
        UnreachableError,
        "the pod has no such container",
    ),
    Said(
        kubectl.plugin,
        "error: cannot exec into a container in a completed pod; current phase is Succeeded",
        UnreachableError,
        "the pod web is not running",
    ),
    Said(
        kubectl.plugin,
        "error: You must be logged in to the server (Unauthorized)",
        AuthenticationError,
        "the cluster refused every credential",
    ),
    Said(
        kubectl.plugin,
        'Error from server (Forbidden): pods "web" is forbidden: User "dev" cannot create it',
        ConnectError,
        "does not permit commands",
    ),
    Said(
        kubectl.plugin,
        'error: context "test" does not exist',
        ConnectError,
        "kubectl's configuration does not lead",
    ),
    Said(
        kubectl.plugin,
        "The connection to the server localhost:8080 was refused - is it the right host or port?",
        UnreachableError,
        "the cluster's API does not answer",
    ),
    Said(
        kubectl.plugin,
        "Something that nobody has heard before",
        UnreachableError,
        "the pod web: Something that nobody has heard before",
    ),
)


@pytest.mark.parametrize("case", SAID, ids=lambda case: case.message)
def test_what_a_client_says_becomes_an_error_of_ours(tmp_path: Path, case: Said) -> None:
    (tmp_path / "said").write_text(f"{case.words}\n" if case.words else "")
    program = written(tmp_path, f"cat {tmp_path}/said >&2\nexit {case.status}\n")
    error = refused(
        case.plugin(Endpoint(name="web", inside=Inside(executable=program), connect_timeout_s=60))
    )
    assert (type(error), error.host) == (case.kind, "web")
    assert case.message in str(error)


def written(directory: Path, text: str) -> str:
    """The path of a client that is a shell script."""
    program = directory / "client"
    program.write_text(f"#!/bin/sh\n{text}")
    program.chmod(0o755)
    return str(program)


def test_client_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    program = written(tmp_path, "echo waiting for the API >&2\nexec sleep 600\n")
    inside = Inside(executable=program)
    endpoint = Endpoint(name="web", inside=inside, connect_timeout_s=2)
    error = refused(kubectl.plugin(endpoint))
    assert str(error).startswith("the pod web did not answer within 2 s")


def test_closing_wakes_who_is_connecting(tmp_path: Path) -> None:
    inside = Inside(executable=written(tmp_path, "exec sleep 600\n"))
    connector = kubectl.plugin(Endpoint(name="web", inside=inside, connect_timeout_s=600))
    closer = threading.Timer(0.3, connector.close)
    closer.start()
    assert isinstance(refused(connector), UnreachableError)
    closer.join()


def test_client_that_is_missing_on_the_other_machine_is_named() -> None:
    other = local.plugin(Endpoint(name="here"))
    connector = engine.podman(Endpoint(name="web", inside=Inside(executable="no-such-podman")))
    connector.through(other)
    error = refused(connector)
    assert str(error) == (
        "the container web cannot be reached: no-such-podman is missing where it is to run"
    )
    assert "kubexm_via" in error.hint


# Through others


@pytest.mark.parametrize("login", LOGIN_SHELLS)
def test_any_login_shell_carries_a_client_and_what_that_one_carries(
    tmp_path: Path, login: str
) -> None:
    host = machine("dash", tmp_path, login=login)
    # exec -i NAME sh -c COMMAND, read by another login shell of the same kind
    inside = Inside(executable=written(tmp_path, f'shift 5\nexec {login} -c "$1"\n'))
    carrier: Connector = local.plugin(Endpoint(name="here"))
    carrier.open = host.open  # type: ignore[method-assign] # its login shell is another
    with ExitStack() as stack:
        for name in ("outer", "middle", "inner"):
            connector = engine.podman(Endpoint(name=name, inside=inside, connect_timeout_s=60))
            connector.through(carrier)
            carrier = stack.enter_context(closing(connector))
            connector.connect()
        session = stack.enter_context(closing(Session.open(carrier.open)))
        assert session.ask(Script("echo it is $0")).text == "it is kubexm\n"


def test_elevated_command_has_its_pipes_to_itself() -> None:
    """Root need not ask to be root; what it runs is a command with bytes in and out."""
    connector = local.plugin(Endpoint(name="here"))
    command = "printf 'out '; printf 'err ' >&2; cat; exit 7"
    process = elevate(connector.open, Escalation(method=Become.SUDO), command, timeout_s=15)
    sent = bytes(range(256)) * 4096
    out, err, outgoing, ended = b"", b"", memoryview(sent), False
    while not ended:
        taken, stdout, stderr, ended = process.exchange(outgoing, 10)
        outgoing, out, err = outgoing[taken:], out + stdout, err + stderr
        if not outgoing:
            process.close_stdin()
    assert (out, err, process.exit_status()) == (b"out " + sent, b"err ", 7)
    process.kill()


def test_connector_that_cannot_be_carried_runs_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of another distribution that knows nothing of `kubexm_via`."""
    distribution = tmp_path / "courier-1.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: courier\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text(
        "[kubexm.connectors]\ncourier = kubexm.connector.local:plugin\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "inventory.yaml"
    path.write_text("all: {hosts: {a: {kubexm_connection: courier, kubexm_via: b}, b: }}")
    inventory = load(path)
    runtime = Runtime(inventory, (inventory.host("a"),))
    with (
        pytest.raises(UsageError, match="courier goes through no other host"),
        runtime.connected(inventory.host("a")),
    ):
        pass


def test_way_through_a_host_that_is_down_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(
        f"""
all:
  hosts:
    web: {{kubexm_connection: podman, kubexm_via: node1}}
    node1: {{kubexm_host: 127.0.0.1, kubexm_port: {free_port()}}}
"""
    )
    inventory = load(path)
    web = inventory.host("web")
    with pytest.raises(UnreachableError) as caught, Runtime(inventory, (web,)).connected(web):
        pass
    assert str(caught.value).startswith("the way through node1 is closed: 127.0.0.1 port ")
    assert caught.value.host == "web"
