"""Names in /etc/hosts (hosts(5))."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from kubexm.errors import HostError
from kubexm.runner.operations import HostEntries, HostEntry
from kubexm_linux.block import Markers, with_block
from kubexm_linux.text import bare, edit, lines_of, probe_text, read_text, text_of

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from kubexm.facts import Facts
    from kubexm.runner import Change
    from kubexm.shell import Reply, Script
    from kubexm_linux.state import PathState

PATH = "/etc/hosts"
_MODE = 0o644
_WORD = re.compile(r"\S+")
_OTHER_BLOCK = re.compile(r"# (BEGIN|END) kubexm (.+)")
_LOCAL = re.compile(r"(ip6-)?(localhost|loopback)[46]?(\.localdomain[46]?)?|.+\.localhost")
_CLOUD_INIT = re.compile(r"^#.*manage_etc_hosts.*True", re.MULTILINE)


def entry_line(entry: HostEntry) -> str:
    """The entry as it stands in the file, a name with a domain first.

    The first name is the canonical one: with a short name there `hostname --fqdn` fails.
    """
    names = sorted(dict.fromkeys(entry.names), key=lambda name: "." not in name)
    return " ".join((entry.address, *names))


def with_entries(text: str, name: str, entries: tuple[HostEntry, ...]) -> str:
    """The text with the block of entries in it; doing it twice is doing it once.

    Every other line loses the names that the entries have: the first line that has a name
    wins, whatever its address. Names of the loopback, such as localhost, stay where they are.

    Args:
        text: Of /etc/hosts.
        name: Of the block.
        entries: In order.

    Raises:
        HostError: The markers are damaged, or another block has one of the names for another
            address, so that the two would undo each other for ever.
    """
    markers = Markers(name=name)
    block_lines = list(dict.fromkeys(entry_line(entry) for entry in entries))
    lines = lines_of(with_block(text, markers, block_lines, PATH))
    own = {number for place in markers.find(lines, PATH) for number in place}
    wanted: dict[str, set[str]] = {}
    for entry in entries:
        for each in entry.names:
            if not _LOCAL.fullmatch(each.lower()):
                wanted.setdefault(each.lower(), set()).add(entry.address)
    kept = []
    block = ""
    for number, line in enumerate(lines):
        if number in own:
            kept.append(line)
            continue
        if marker := _OTHER_BLOCK.fullmatch(bare(line).rstrip()):
            block = marker[2] if marker[1] == "BEGIN" else ""
        if block:
            _refuse_conflict(line, wanted, block)
            kept.append(line)
        else:
            kept.append(_without(line, wanted.keys()))
    return "".join(kept)


def _words(line: str) -> list[re.Match[str]]:
    """The address and the names of a line, without what a "#" starts."""
    return list(_WORD.finditer(bare(line).partition("#")[0]))


def _without(line: str, names: Container[str]) -> str:
    """The line without these names; empty when that leaves an address without a name."""
    words = _words(line)
    claimed = [number for number, word in enumerate(words) if number and word[0].lower() in names]
    if not claimed:
        return line
    if len(claimed) == len(words) - 1:
        return ""
    for number in reversed(claimed):
        line = line[: words[number - 1].end()] + line[words[number].end() :]
    return line


def _refuse_conflict(line: str, wanted: Mapping[str, set[str]], block: str) -> None:
    words = [word[0] for word in _words(line)]
    for word in words[1:]:
        if words[0] not in wanted.get(word.lower(), words[:1]):
            message = f"{PATH}: the block {block} has {word} for {words[0]}"
            raise HostError(message, hint="name every host in one block only")


class HostsFile:
    """`HostEntries` on any Linux."""

    operation = HostEntries

    def supports(self, facts: Facts) -> bool:
        """See `Handler.supports`."""
        del facts
        return True

    def probe(self, op: HostEntries, facts: Facts) -> Script:
        """See `Handler.probe`."""
        del op, facts
        return probe_text(PATH)

    def read(self, op: HostEntries, reply: Reply, facts: Facts) -> PathState:
        """See `Handler.read`."""
        del op, facts
        return read_text(PATH, reply)

    def change(self, op: HostEntries, state: PathState, facts: Facts) -> Change[PathState] | None:
        """See `Handler.change`."""
        text = with_entries(text_of(state), op.name, op.entries)
        change = edit(PATH, state, text, mode=_MODE, facts=facts)
        if change is None or not _renames(op, facts):
            return change
        return replace(change, alters_facts=True)

    def notes(self, op: HostEntries, state: PathState, facts: Facts) -> tuple[str, ...]:
        """See `Notes.notes`."""
        del op, facts
        if _CLOUD_INIT.search(text_of(state)):
            return (f"{PATH}: cloud-init writes it anew at every boot (manage_etc_hosts: true)",)
        return ()


def _renames(op: HostEntries, facts: Facts) -> bool:
    """Whether the machine's own full name, which is a fact, may become another one."""
    for entry in op.entries:
        if facts.hostname in entry.names:
            return entry_line(entry).split()[1] != facts.fqdn
    return False
