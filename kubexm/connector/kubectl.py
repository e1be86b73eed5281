"""The transport `kubectl`: into a container of a running pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.connector.client import Client, ClientConnector, Refusal
from kubexm.errors import AuthenticationError, ConnectError, UnreachableError

if TYPE_CHECKING:
    from kubexm.connector.endpoint import Endpoint

_REFUSALS = (
    Refusal(
        r"\(NotFound\)|pods? .* not found|namespaces .* not found",
        UnreachableError,
        "{place} does not exist",
        "check kubexm_pod and kubexm_namespace (kubectl get pods)",
    ),
    Refusal(
        r"container .* (is not valid for|not found in) pod",
        UnreachableError,
        "{place} does not exist: the pod has no such container",
        "check kubexm_container (kubectl describe pod)",
    ),
    Refusal(
        r"completed pod|container not found|is not running|unable to upgrade connection",
        UnreachableError,
        "{place} is not running",
        "see kubectl describe pod",
    ),
    Refusal(
        r"Unauthorized|must be logged in|provide credentials",
        AuthenticationError,
        "the cluster refused every credential for {place}",
        "log in, or check kubexm_kubeconfig and kubexm_context",
    ),
    Refusal(
        r"\(Forbidden\)|is forbidden",
        ConnectError,
        "the cluster does not permit commands in {place}",
        "the account needs the verb create on pods/exec",
    ),
    Refusal(
        r"context .* does not exist|no context exists|error loading config|"
        r"invalid configuration|stat .*: no such file",
        ConnectError,
        "kubectl's configuration does not lead to {place}",
        "check kubexm_kubeconfig and kubexm_context (kubectl config get-contexts)",
    ),
    Refusal(
        r"connection to the server .* refused|Unable to connect to the server|no such host|"
        r"i/o timeout",
        UnreachableError,
        "{place} cannot be reached: the cluster's API does not answer",
        "check the network, and kubexm_kubeconfig and kubexm_context",
    ),
    Refusal(
        r"executable file .?sh.? not found|exec: \"sh\"",
        ConnectError,
        "{place} has no sh",
        "it may be an image without a shell (distroless): kubexm needs a POSIX sh",
    ),
)


def plugin(endpoint: Endpoint) -> ClientConnector:
    """The entry point `kubectl`. The pod's image decides the user."""
    inside = endpoint.inside
    pod = inside.pod or endpoint.address or endpoint.name
    place = f"the pod {pod}" if not inside.namespace else f"the pod {inside.namespace}/{pod}"
    settings = {
        "kubeconfig": inside.kubeconfig,
        "context": inside.context,
        "namespace": inside.namespace,
        "container": inside.container,
    }
    flags = (f"--{name}={value}" for name, value in settings.items() if value)
    executable = inside.executable or "kubectl"
    start = (executable, "exec", "-i", *flags, pod, "--", "sh", "-c")
    client = Client(
        program=executable,
        place=f"the container {inside.container} of {place}" if inside.container else place,
        argv=lambda command: (*start, command),
        refusals=_REFUSALS,
    )
    return ClientConnector(endpoint, client)
