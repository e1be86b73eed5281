"""Files of kernel parameters (sysctl.d(5)), and what they come to at boot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from kubexm.runner.operations.kernel import SYSCTL_DIRECTORIES, parameter_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kubexm_linux.kernel import ConfigLine

_RANGES = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)+|[0-9]+-[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line of a file of parameters.

    Args:
        path: Below /proc/sys; "*" stands for every name in its place.
        value: `None` for a line that only keeps patterns off this path.
        place: "FILE:LINE".
    """

    path: str
    value: str | None
    place: str


def tidy(value: str) -> str:
    """A value with one blank for white space: the kernel shows tabs."""
    return " ".join(value.split())


def as_shown(value: str) -> str:
    """A value as the kernel would show it: tidy, lists of ports sorted and merged."""
    value = tidy(value)
    if not _RANGES.fullmatch(value):
        return value
    words = (part.partition("-") for part in value.split(","))
    merged: list[tuple[int, int]] = []
    for span in sorted((int(first), int(last or first)) for first, _, last in words):
        if merged and span[0] <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(span[1], merged[-1][1]))
        else:
            merged.append(span)
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in merged)


def is_same(one: str, other: str) -> bool:
    """Whether two values mean the same."""
    return as_shown(one) == as_shown(other)


def in_order(
    files: Mapping[str, Sequence[ConfigLine]], own: str, content: str
) -> tuple[Setting, ...]:
    """Every setting in the order in which a boot applies them, with one file's new content.

    Of files with one name the one in the directory of highest rank counts; they are sorted by
    name. What is in none of those directories comes last, as it was listed: /etc/sysctl.conf,
    which `sysctl --system` reads last, and systemd only where a link in a directory leads to it.

    Args:
        files: Path to lines; also the ones that are empty, which hide others.
        own: Path of the file that is to be written.
        content: What will be in it.
    """
    present = {**files, own: tuple(enumerate(content.splitlines(), start=1))}
    by_name: dict[str, str] = {}
    others = []
    for path in present:
        parent = str(PurePosixPath(path).parent)
        if parent not in SYSCTL_DIRECTORIES:
            others.append(path)
            continue
        name = PurePosixPath(path).name
        rival = by_name.setdefault(name, path)
        if _rank(path) < _rank(rival):
            by_name[name] = path
    chosen = [by_name[name] for name in sorted(by_name)]
    return tuple(
        setting
        for path in (*chosen, *others)
        for number, text in present[path]
        if (setting := parse(text, f"{path}:{number}")) is not None
    )


def _rank(path: str) -> int:
    return SYSCTL_DIRECTORIES.index(str(PurePosixPath(path).parent))


def parse(text: str, place: str) -> Setting | None:
    """The setting on a line; `None` for one that sets nothing.

    A dash in front means that a failure does not matter, or, without "=", that patterns do
    not apply to the key.
    """
    text = text.strip()
    name, equals, value = text.partition("=")
    if name[:1] in ("", "#", ";") or not (equals or name.startswith("-")):
        return None
    path = parameter_path(name.removeprefix("-").strip()).strip("/")
    if not path:
        return None
    return Setting(path=path, value=tidy(value) if equals else None, place=place)


def at_boot(path: str, settings: Iterable[Setting]) -> Setting | None:
    """The setting that a path ends with; `None` when no file has one.

    The last one counts, but one that names the path wins over every pattern.
    """
    named = matched = None
    for setting in settings:
        if setting.path == path:
            named = setting
        elif "*" not in path and matches(setting.path, path):
            matched = setting
    return named or matched


def matches(pattern: str, path: str) -> bool:
    """Whether a path below /proc/sys is one of those that a pattern (glob(7)) stands for."""
    return PurePosixPath("/", path).match(f"/{pattern}")
