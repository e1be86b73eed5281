"""The recorded replies, by the name of their file."""

from __future__ import annotations

from pathlib import Path

from kubexm.shell import Reply

DIRECTORY = Path(__file__).parent / "replies"
NAMES = tuple(sorted(path.stem for path in DIRECTORY.glob("*.reply")))


def recorded(name: str) -> Reply:
    """A recorded reply; its first line, a comment, says where it comes from."""
    return Reply(exit_status=0, stdout=(DIRECTORY / f"{name}.reply").read_bytes())


def said(*lines: str) -> Reply:
    """A whole reply of these lines."""
    text = "\n".join((*lines, "end=yes", ""))
    return Reply(exit_status=0, stdout=text.encode())
