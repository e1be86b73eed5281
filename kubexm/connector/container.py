"""The transports `docker` and `podman`: into a running container, with that engine's own client.

Clients that take the same arguments, such as nerdctl, are named with `kubexm_executable`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.connector.client import Client, ClientConnector, Refusal
from kubexm.errors import ConnectError, UnreachableError

if TYPE_CHECKING:
    from kubexm.connector.endpoint import Endpoint

_REFUSALS = (
    Refusal(
        r"[Nn]o such container|no container with (name|ID)",
        UnreachableError,
        "{place} does not exist",
        "is its name right, and does this user see it (docker ps --all, podman ps --all)?",
    ),
    Refusal(
        r"is not running|on running containers|container state improper|is paused",
        UnreachableError,
        "{place} is not running",
        "start it; kubexm works in containers that run",
    ),
    Refusal(
        r"Cannot connect to the Docker daemon|[Cc]annot connect to Podman|daemon is not running",
        UnreachableError,
        "{place} cannot be reached: the engine does not answer",
        "is its daemon running, and does DOCKER_HOST or CONTAINER_HOST name the right one?",
    ),
    Refusal(
        r"permission denied.*(daemon|\.sock)",
        ConnectError,
        "{place} cannot be reached: this user may not talk to the engine",
        "run as root, or as a member of the group docker",
    ),
    Refusal(
        r"executable file .?sh.? not found|exec: \"sh\"|stat .*/sh: no such file",
        ConnectError,
        "{place} has no sh",
        "it may be an image without a shell (distroless): kubexm needs a POSIX sh",
    ),
    Refusal(
        r"unable to find user|no matching entries in passwd|no users? found",
        ConnectError,
        "{place} has no such user",
        "check kubexm_user and --user",
    ),
)


def docker(endpoint: Endpoint) -> ClientConnector:
    """The entry point `docker`."""
    return _connector(endpoint, "docker")


def podman(endpoint: Endpoint) -> ClientConnector:
    """The entry point `podman`."""
    return _connector(endpoint, "podman")


def _connector(endpoint: Endpoint, program: str) -> ClientConnector:
    inside = endpoint.inside
    container = inside.container or endpoint.address or endpoint.name
    user = ("--user", endpoint.user) if endpoint.user else ()
    executable = inside.executable or program
    start = (executable, "exec", "-i", *user, container, "sh", "-c")
    client = Client(
        program=executable,
        place=f"the container {container}",
        argv=lambda command: (*start, command),
        refusals=_REFUSALS,
    )
    return ClientConnector(endpoint, client)
