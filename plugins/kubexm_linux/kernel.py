"""What the handlers for modules, parameters and swap have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from kubexm.errors import HostError, tail
from kubexm.runner.operations import FileContent
from kubexm.shell import FILE, Library, Script

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubexm.shell import Reply

KERNEL = Library.load("kubexm_linux", "kernel", FILE)
"""Functions about modules, parameters and swap."""

HEADER = "# Made by kubexm, which undoes other changes to this file.\n"

ConfigLine: TypeAlias = tuple[int, str]
"""A line's number, counted from 1, and its text."""


def call(function: str, *arguments: str) -> Script:
    """A script that calls one of the functions of `KERNEL`."""
    return KERNEL.call(function, *arguments)


def drop_in(path: str, lines: Iterable[str]) -> FileContent:
    """A file in one of the directories below /etc that are read at boot."""
    content = HEADER + "".join(f"{line}\n" for line in lines)
    return FileContent(path=path, content=content, mode=0o644, owner="root", group="root")


def split_reply(path: str, reply: Reply) -> tuple[list[str], Reply]:
    """A probe's own lines, and what follows the line "file": the state of a file.

    Args:
        path: Of that file, for messages.
        reply: The probe's.

    Raises:
        HostError: The probe failed.
    """
    if reply.exit_status != 0:
        said = tail(reply.stderr.decode("utf-8", "replace"))
        message = f"cannot read {path}: {said or f'exit status {reply.exit_status}'}"
        raise HostError(message)
    before, _, rest = (b"\n" + reply.stdout).partition(b"\nfile\n")
    lines = before.decode("utf-8", "surrogateescape").split("\n")
    return [line for line in lines if line], replace(reply, stdout=rest)


def config_files(lines: Sequence[str]) -> dict[str, tuple[ConfigLine, ...]]:
    """The files that a probe lists as "conf PATH", each followed by "NUMBER:TEXT" lines."""
    found: dict[str, list[ConfigLine]] = {}
    current: list[ConfigLine] = []
    for line in lines:
        if line.startswith("conf "):
            current = found.setdefault(line.removeprefix("conf "), [])
        elif line[:1].isdigit():
            number, _, text = line.partition(":")
            current.append((int(number), text))
    return {path: tuple(entries) for path, entries in found.items()}
