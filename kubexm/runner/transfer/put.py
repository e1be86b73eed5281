"""From this machine to a host: what is not there already, checked, and put in place at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from kubexm.errors import TransferError
from kubexm.runner.operations.file import check_path
from kubexm.runner.transfer.model import (
    FIRST_PART_BYTES,
    SMALL_BYTES,
    Progress,
    PutOptions,
    Transfer,
    next_part_bytes,
)
from kubexm.runner.transfer.remote import Remote, Wire, failure, is_damaged
from kubexm.runner.transfer.source import Entry, EntryKind, Source
from kubexm.shell import TRANSFER, Reply, Script, Slice, Slices, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kubexm.shell import Session

_TOGETHER = 256
_OWNER_BITS = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One entry and what there is in its place.

    Args:
        entry: What should be there.
        path: Where, on the host, without a symbolic link above it.
        found: What is there.
        wanted: The mode it should have.
        has_content: A directory or a link is there, or a file has the content already.
        has_attributes: Mode and owner are right too, or do not matter.
        partial_bytes: Of a large file, what an earlier try has left there.
    """

    entry: Entry
    path: str
    found: Remote
    wanted: int
    has_content: bool
    has_attributes: bool
    partial_bytes: int = 0


def put(
    session: Session,
    source: Source,
    path: str,
    options: PutOptions,
    *,
    deadline_s: float,
    check: bool = False,
    progress: Progress | None = None,
) -> Transfer:
    """Put a source at a path of the host.

    What is there already is not sent. Every file is replaced at once or not at all; a tree is
    not replaced as a whole, and what it has beside the source stays. Missing parents are made.

    Args:
        session: As the user who writes.
        source: What.
        path: Where; the name of the file or directory itself, not of what it is in.
        options: With which mode and owner.
        deadline_s: For each trip, enforced on the host.
        check: Change nothing; say what would be.
        progress: Told while content moves.

    Raises:
        ValueError: The path cannot be one.
        TransferError: It cannot be done on the host, or this machine's file changed meanwhile.
        SessionLostError: The link broke; what came of a large file stays for the next try.
        DeadlineError: A trip took too long; likewise.
    """
    check_path(path)
    wire = Wire(session=session, deadline_s=deadline_s)
    moves = _look(wire, source, path, options)
    todo = tuple(move for move in moves if not (move.has_content and move.has_attributes))
    missing = tuple(move for move in todo if not move.has_content)
    resumed = sum(move.partial_bytes for move in missing)
    meter = _Meter(sum(move.entry.size_bytes for move in missing), resumed, progress)
    if todo and not check:
        _Work(wire, options, meter).apply(todo, path)
    return Transfer(
        changed=tuple(move.path for move in todo),
        unchanged=len(moves) - len(todo),
        sent_bytes=meter.total - resumed if check else meter.sent,
        resumed_bytes=resumed,
        diff="".join(_diff(move, options) for move in todo),
    )


def _look(wire: Wire, source: Source, path: str, options: PutOptions) -> tuple[Move, ...]:
    """What is there of each entry: one trip, and one more for the inside of a directory."""
    doing = f"looking at {path}"
    first = source.entries[0]
    if not source.is_directory:
        reply = wire.ask(_call("kx_put_state", path, first.digest), doing)
        found = Remote.read(reply.text)
        partial, _, place = found.rest.partition("\n")
        return (_move(first, place, found, options, partial),)
    kind, _, root = (
        wire.ask(_call("kx_put_root", path), doing).text.removesuffix("\n").partition("\n")
    )
    paths = [f"{root}/{entry.name}" if entry.name else root for entry in source.entries]
    if kind == "absent":
        states = ["absent\n0"] * len(paths)
    else:
        scripts = [
            _call("kx_tree_state", place, entry.digest if _is_large(entry) else "")
            for entry, place in zip(source.entries, paths, strict=True)
        ]
        states = [reply.text for reply in wire.ask_all(scripts, doing)]
    return tuple(
        _in_tree(entry, place, Remote.read(state), options)
        for entry, place, state in zip(source.entries, paths, states, strict=True)
    )


def _in_tree(entry: Entry, place: str, found: Remote, options: PutOptions) -> Move:
    partial = found.rest if entry.kind is EntryKind.FILE else ""
    return _move(entry, place, found, options, partial)


def _is_large(entry: Entry) -> bool:
    """Whether its content travels in parts."""
    return entry.size_bytes > SMALL_BYTES


def _move(entry: Entry, path: str, found: Remote, options: PutOptions, partial: str) -> Move:
    wanted = entry.mode
    if entry.kind is EntryKind.FILE and options.mode is not None:
        wanted = options.mode
    if found.kind not in (entry.kind.value, "absent") and "directory" in (found.kind, entry.kind):
        message = f"{path} is there and is a {found.kind}, not a {entry.kind}"
        raise TransferError(message, hint="name the file itself, or remove what is there")
    is_there = found.kind == entry.kind.value
    match entry.kind:
        case EntryKind.FILE:
            is_there = is_there and found.digest == entry.digest
            has_attributes = (
                found.mode == wanted
                and (not options.owner or options.owner in found.owners)
                and (not options.group or options.group in found.groups)
            )
        case EntryKind.LINK:
            is_there, has_attributes = is_there and found.rest == entry.target, True
        case EntryKind.DIRECTORY:
            has_attributes = True
    return Move(
        entry=entry,
        path=path,
        found=found,
        wanted=wanted,
        has_content=is_there,
        has_attributes=has_attributes,
        partial_bytes=0
        if is_there or not _is_large(entry)
        else min(int(partial), entry.size_bytes),
    )


@dataclass(slots=True)
class _Meter:
    """How much has moved."""

    total: int
    resumed: int
    progress: Progress | None
    sent: int = field(default=0, init=False)

    def add(self, count: int) -> None:
        self.sent += count
        if self.progress is not None:
            self.progress(self.resumed + self.sent, self.total)


@dataclass(frozen=True, slots=True)
class _Work:
    """The second half: everything that changes the host."""

    wire: Wire
    options: PutOptions
    meter: _Meter

    def apply(self, todo: tuple[Move, ...], path: str) -> None:
        """In an order in which each has what it stands in: directories, files, links."""
        new = [move for move in todo if not move.has_content]
        directories = [move for move in new if move.entry.kind is EntryKind.DIRECTORY]
        files = [move for move in new if move.entry.kind is EntryKind.FILE]
        links = [move for move in new if move.entry.kind is EntryKind.LINK]
        doing = f"putting {path}"
        self._calls([("kx_parents", todo[0].path)], doing)
        self._calls([self._mkdir(move) for move in directories], doing)
        for group in _together(move for move in files if not _is_large(move.entry)):
            self.wire.ask(self._group(group), doing)
        for move in files:
            if _is_large(move.entry):
                self._large(move, f"putting {move.path}")
        self._calls([("kx_link", move.path, move.entry.target) for move in links], doing)
        closed = [move for move in directories if move.wanted & _OWNER_BITS != _OWNER_BITS]
        self._calls(
            [
                *(self._attributes(move) for move in todo if move.has_content),
                *(self._attributes(move) for move in reversed(closed)),
            ],
            doing,
        )

    def _calls(self, calls: list[tuple[str, ...]], doing: str) -> None:
        for start in range(0, len(calls), _TOGETHER):
            lines = (_line(*call) for call in calls[start : start + _TOGETHER])
            self.wire.ask(_script("\n".join(lines)), doing)

    def _mkdir(self, move: Move) -> tuple[str, ...]:
        # what its owner may not write into is closed when everything is in it
        mode = f"{move.wanted | _OWNER_BITS:o}"
        return ("kx_put_mkdir", mode, *self._owner, move.path)

    def _attributes(self, move: Move) -> tuple[str, ...]:
        return ("kx_put_attributes", move.path, f"{move.wanted:o}", *self._owner)

    def _group(self, group: tuple[Move, ...]) -> Script:
        """Small files of one directory, in one script."""
        directory = group[0].path.rpartition("/")[0] or "/"
        lines = [f"kx_put_in {quote(directory)} || exit", "{"]
        for number, move in enumerate(group):
            size, digest = str(move.entry.size_bytes), move.entry.digest
            lines.append(f"kx_take {number} {size} {digest} &&")
        lines.append("kx_taken &&")
        lines += [
            _words("kx_settle", str(number), name, f"{move.wanted:o}", *self._owner) + " &&"
            for number, move in enumerate(group)
            for name in [move.path.rpartition("/")[2]]
        ]
        lines += [":; }", 'kx_put_out "$?"']
        parts = tuple(
            Slice(path=move.entry.path, offset=0, size_bytes=move.entry.size_bytes)
            for move in group
        )
        return _script("\n".join(lines), Slices(parts=parts, sent=self.meter.add))

    @property
    def _owner(self) -> tuple[str, str]:
        return self.options.owner, self.options.group

    def _large(self, move: Move, doing: str) -> None:
        """In parts; once more from the beginning when what an earlier try left was damaged."""
        reply = self._parts(move, move.partial_bytes, doing)
        if is_damaged(reply) and move.partial_bytes:
            reply = self._parts(move, 0, doing)
        if reply.exit_status != 0:
            raise failure(reply, doing)

    def _parts(self, move: Move, start: int, doing: str) -> Reply:
        offset, size = start, FIRST_PART_BYTES
        entry = move.entry
        while offset < entry.size_bytes:
            count = min(size, entry.size_bytes - offset)
            part = Slice(path=entry.path, offset=offset, size_bytes=count)
            content = Slices(parts=(part,), sent=self.meter.add, direct=True)
            began = time.monotonic()
            call = _words("kx_put_part", move.path, entry.digest, str(offset))
            self.wire.ask(_script(call, content), doing)
            size = next_part_bytes(size, time.monotonic() - began, self.wire.deadline_s)
            offset += count
        attributes = (f"{move.wanted:o}", *self._owner)
        call = _words("kx_put_whole", move.path, entry.digest, str(entry.size_bytes), *attributes)
        return self.wire.session.ask(_script(call), deadline_s=self.wire.deadline_s)


def _together(moves: Iterable[Move]) -> Iterator[tuple[Move, ...]]:
    """Neighbours that lie in one directory, not too many and not too large together."""
    for _, group in groupby(moves, key=lambda move: move.path.rpartition("/")[0]):
        held: list[Move] = []
        size = 0
        for move in group:
            if held and (len(held) == _TOGETHER or size + move.entry.size_bytes > SMALL_BYTES):
                yield tuple(held)
                held, size = [], 0
            held.append(move)
            size += move.entry.size_bytes
        yield tuple(held)


def _diff(move: Move, options: PutOptions) -> str:
    """What changes at a path, as two lines."""
    before = move.found.shown()
    entry = move.entry
    owner = options.owner or move.found.owners[1] or "-"
    group = options.group or move.found.groups[1] or "-"
    match entry.kind:
        case EntryKind.LINK:
            after = f"link to {entry.target}"
        case EntryKind.DIRECTORY:
            after = f"directory {move.wanted:04o} {owner}:{group}"
        case EntryKind.FILE:
            content = f"{entry.size_bytes} bytes, sha256 {entry.digest}"
            after = f"file {move.wanted:04o} {owner}:{group}, {content}"
    old = f"-{move.path}: {before}\n" if before else ""
    return f"{old}+{move.path}: {after}\n"


def _words(function: str, *arguments: str) -> str:
    return " ".join((function, *map(quote, arguments)))


def _line(function: str, *arguments: str) -> str:
    return f"{_words(function, *arguments)} || exit"


def _script(text: str, content: Slices | None = None) -> Script:
    return Script(text, libraries=(TRANSFER,), content=content)


def _call(function: str, *arguments: str) -> Script:
    return _script(_words(function, *arguments))
