"""Replies of kernel.sh, put together from the lines that real hosts answered."""

from __future__ import annotations

import hashlib

from kubexm.facts import Facts, Init, Machine
from kubexm.shell import Reply
from kubexm_linux.kernel import HEADER

LIVE = Facts(user="root", group="root", init=Init.SYSTEMD, kernel="6.1.0-41-cloud-amd64")
CONTAINER = Facts(user="root", group="root", init=Init.SYSTEMD, machine=Machine.CONTAINER)
IMAGE = Facts(user="root", group="root", machine=Machine.IMAGE, systemd_offline=True)


def file_state(content: str | None) -> str:
    """What `kx_content_state` says of a file of root's."""
    if content is None:
        return "absent\n"
    data = content.encode("utf-8", "surrogateescape")
    digest = hashlib.sha256(data).hexdigest()
    return f"file 644 0 0 {len(data)} {digest} root:root\n{content}"


def answer(*lines: str, file: str | None = None) -> Reply:
    """A probe's lines, then the state of its file."""
    text = "".join(f"{line}\n" for line in (*lines, "file")) + file_state(file)
    return Reply(exit_status=0, stdout=text.encode("utf-8", "surrogateescape"))


def made(*lines: str) -> str:
    """The content of a file that kubexm made."""
    return HEADER + "".join(f"{line}\n" for line in lines)
