"""Content that is read from disk while it is sent, so that its size costs no memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kubexm.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CHUNK = 1 << 19


class Content(Protocol):
    """Bytes of a known number, for a script's stdin."""

    @property
    def direct(self) -> bool:
        """Whether they come on the session's own stdin, without a pipe between.

        The script takes all of them then, and not a byte more, whatever comes of it; with too few
        or too many taken, the session ends. When the link is lost there are fewer.
        """
        ...

    def __len__(self) -> int:
        """How many bytes `chunks` gives."""
        ...

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes, from the first on, in pieces of any size but 0.

        A piece is good until the next one is asked for.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of a file of this machine.

    Args:
        path: The file.
        offset: Where the part begins.
        size_bytes: Of the part.
    """

    path: Path
    offset: int
    size_bytes: int

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The part's bytes.

        Raises:
            TransferError: The file cannot be read, or has become shorter than it was.
        """
        left = self.size_bytes
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.offset)
                buffer = memoryview(bytearray(min(left, _CHUNK)))
                while left and (size := file.readinto(buffer[: min(left, _CHUNK)])):
                    left -= size
                    yield buffer[:size]
        except OSError as error:
            message = f"{self.path} cannot be read: {os.strerror(error.errno or 0)}"
            raise TransferError(message) from error
        if left:
            message = f"{self.path} became shorter while it was sent"
            raise TransferError(message, hint="send it again when nobody writes to it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """Parts of files, one behind the other, as one content.

    Args:
        parts: In order.
        sent: Called with the size of each piece when the next one is asked for.
        direct: See `Content.direct`.
    """

    parts: tuple[Slice, ...]
    sent: Callable[[int], None] | None = None
    direct: bool = False

    def __len__(self) -> int:
        return sum(part.size_bytes for part in self.parts)

    def chunks(self) -> Iterator[bytes | memoryview]:
        """See `Content.chunks`."""
        for part in self.parts:
            for chunk in part.chunks():
                yield chunk
                if self.sent is not None:
                    self.sent(len(chunk))
