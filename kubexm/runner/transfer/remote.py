"""What is at a path of the host, as the scripts of a transfer answer it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexm.errors import DeadlineError, TransferError, tail
from kubexm.shell import Reply, Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubexm.shell import OutputListener, Session

_REPLY_BYTES = 16 << 20
_NUMBERED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One path of the host.

    Args:
        kind: file, directory, link, special, or absent.
        mode: Its permission bits.
        owners: The owner's number and name.
        groups: The group's number and name.
        size_bytes: Of a file.
        digest: SHA-256 of a file's content.
        rest: What the script printed behind the state, without the last newline.
    """

    kind: str
    mode: int = 0
    owners: tuple[str, str] = ("", "")
    groups: tuple[str, str] = ("", "")
    size_bytes: int = 0
    digest: str = ""
    rest: str = ""

    @classmethod
    def read(cls, text: str) -> Remote:
        """From what `kx_file_state` printed, with more behind it."""
        head, _, rest = text.partition("\n")
        rest = rest.removesuffix("\n")
        kind, _, more = head.partition(" ")
        words = more.split(" ", _NUMBERED - 1)
        if len(words) < _NUMBERED:
            return cls(kind=kind, rest=rest)
        mode, uid, gid, size, digest, names = words
        owner, _, group = names.partition(":")
        return cls(
            kind=kind,
            mode=int(mode, 8),
            owners=(uid, owner),
            groups=(gid, group),
            size_bytes=int(size),
            digest=digest if kind == "file" else "",
            rest=rest,
        )

    def shown(self) -> str:
        """The path in a few words, for a diff."""
        if self.kind == "absent":
            return ""
        content = f", {self.size_bytes} bytes, sha256 {self.digest}" if self.digest else ""
        target = f" to {self.rest}" if self.kind == "link" else ""
        mode = "" if self.kind == "link" else f" {self.mode:04o}"
        return f"{self.kind}{target}{mode} {self.owners[1]}:{self.groups[1]}{content}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A session with the deadline that each of a transfer's trips has."""

    session: Session
    deadline_s: float

    def ask(self, script: Script, doing: str) -> Reply:
        """One script that has to succeed; `doing` says in an error what it was for."""
        return self.ask_all([script], doing)[0]

    def ask_all(
        self,
        scripts: Sequence[Script],
        doing: str,
        *,
        listener: OutputListener | None = None,
        cap_bytes: int = _REPLY_BYTES,
    ) -> tuple[Reply, ...]:
        """Scripts in one trip, each of which has to succeed.

        Raises:
            TransferError: One did not; the message ends with what it said.
            SessionLostError: The link broke.
            DeadlineError: The trip took too long.
        """
        batch = self.session.run(
            scripts, deadline_s=self.deadline_s, cap_bytes=cap_bytes, listener=listener
        )
        if isinstance(batch.ended_by, DeadlineError):
            message = f"{doing}: the deadline passed"
            hint = "run it again, with a longer --timeout if need be: it goes on where it stopped"
            raise DeadlineError(message, hint=hint) from batch.ended_by
        replies = [reply for reply in batch.whole() if isinstance(reply, Reply)]
        for reply in replies:
            if reply.exit_status != 0:
                raise failure(reply, doing)
        return tuple(replies)


def failure(reply: Reply, doing: str) -> TransferError:
    """What a script that did not succeed comes to."""
    said = tail(reply.stderr.decode("utf-8", "replace")).replace("kubexm: ", "")
    hint = "the file here changes, or the host's disk is damaged" if is_damaged(reply) else ""
    return TransferError(f"{doing}: {said or f'exit status {reply.exit_status}'}", hint=hint)


def is_damaged(reply: Reply) -> bool:
    """Whether a script found content that is not what it should be (it exits with EX_DATAERR)."""
    return reply.exit_status == os.EX_DATAERR
