"""YAML text → nodes; every fault of the syntax at its line and column, with a way out.

Imported when an inventory is loaded and not before, because it imports ruamel.yaml. Its C parser
(ruamel.yaml.clib) is eight times as fast as the one in Python, which says better what is wrong:
a text that the first refuses is read again by the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from kubexm.inventory.node import (
    Entry,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    Verbatim,
)
from kubexm.inventory.node import mapping as mapping_of
from kubexm.inventory.node import sequence as sequence_of
from kubexm.inventory.scalar import resolve
from kubexm.inventory.syntax import explain

try:
    from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]
except ImportError:  # no wheel for this Python or machine: slower, and the same
    CParser = None

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.inventory.problem import FileProblems
    from kubexm.inventory.safe import Seals

_DEEPEST = 64
_CORE = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset({"", "!", *(_CORE + kind for kind in ("bool", "float", "int", "null"))})
_UNSAFE = "!unsafe"
_FETCHED = "!secret"
_VAULTS = frozenset({"!vault", "!vault-encrypted"})
_TEXT_TAGS = frozenset({_CORE + "str", _UNSAFE})


def parse(
    text: str, problems: FileProblems, safe: Seals, *, fast: bool = CParser is not None
) -> Node | None:
    """The one document in `text`.

    Args:
        text: YAML.
        problems: Gets every fault.
        safe: Where `!secret` and `!vault` get their values, when somebody needs them.
        fast: Try the parser in C first.

    Returns:
        Its root; None when there is none, or when `problems` has the reason.
    """
    if fast:
        try:
            # what is wrong is noted only once the text is known to be YAML
            events = list(_fast(text))
        except (YAMLError, RecursionError):
            pass
        else:
            return _composed(iter(events), problems, safe)
    try:
        return _composed(YAML(typ="safe", pure=True).parse(text), problems, safe)
    except MarkedYAMLError as error:
        explain(error, problems)
    except ReaderError as error:
        before = text[: error.position]
        problems.add(
            "YAML does not allow this character",
            before.count("\n") + 1,
            len(before) - before.rfind("\n"),
            hint="write it as an escape in double quotes, or save the file as UTF-8",
        )
    return None


def _fast(text: str) -> Iterator[Event]:
    parser = CParser(text)
    while (event := parser.get_event()) is not None:
        yield event


def _composed(events: Iterator[Event], problems: FileProblems, safe: Seals) -> Node | None:
    try:
        return _Composer(events, problems, safe).compose()
    except _TooDeepError as error:
        problems.add(f"nested more than {_DEEPEST} deep", *_place(error.mark))
    return None


class _TooDeepError(Exception):
    def __init__(self, mark: StreamMark) -> None:
        super().__init__()
        self.mark = mark


def _place(mark: StreamMark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


class _Composer:
    """Makes nodes of parsing events; resolves anchors, merge keys and tags."""

    def __init__(self, events: Iterator[Event], problems: FileProblems, safe: Seals) -> None:
        self._events = events
        self._problems = problems
        self._safe = safe
        self._anchors: dict[str, Node] = {}

    def compose(self) -> Node | None:
        """The root of the first document; a second one is a fault."""
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._add("a second document begins here", event, "remove the '---'")
                    break
            elif isinstance(event, NodeEvent):
                root = self._node(event, 0)
        return root

    def _add(self, message: str, event: Event, hint: str = "") -> None:
        self._problems.add(message, *_place(event.start_mark), hint=hint)

    def _node(self, event: Event, depth: int) -> Node:
        if depth > _DEEPEST:
            raise _TooDeepError(event.start_mark)
        node: Node
        match event:
            case ScalarEvent():
                node = self._scalar(event)
            case MappingStartEvent():
                node = self._mapping(event, depth)
            case SequenceStartEvent():
                node = self._sequence(event, depth)
            case _:
                return self._alias(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Event) -> Node:
        line, column = _place(event.start_mark)
        name = event.anchor if isinstance(event, AliasEvent) else None
        if name in self._anchors:
            return self._anchors[name]._replace(line=line, column=column)
        self._add(
            "this refers to an anchor (&name) that is not above it",
            event,
            "quote a value that begins with '*'",
        )
        return ScalarNode(None, "", line, column)

    def _scalar(self, event: ScalarEvent) -> ScalarNode:
        text: str = event.value
        value: object = text
        tag = event.tag or ""
        line, column = _place(event.start_mark)
        if tag in _PLAIN_TAGS:
            if tag.startswith(_CORE) or (not event.style and not tag):
                value = resolve(text)
        elif tag == _UNSAFE:
            value = Verbatim(text)
        elif tag == _FETCHED:
            return ScalarNode(self._safe.secret(text, line, column), "", line, column)
        elif tag in _VAULTS:
            return ScalarNode(self._safe.vaulted(text, line, column), "", line, column)
        else:
            self._check_tag(tag, _TEXT_TAGS, event)
        return ScalarNode(value, text, line, column)

    def _sequence(self, event: SequenceStartEvent, depth: int) -> SequenceNode:
        self._check_tag(event.tag or "", frozenset({"", _CORE + "seq"}), event)
        items: list[Node] = []
        for item in self._events:
            if isinstance(item, SequenceEndEvent):
                break
            items.append(self._node(item, depth + 1))
        return sequence_of(items, *_place(event.start_mark))

    def _mapping(self, event: MappingStartEvent, depth: int) -> MappingNode:
        self._check_tag(event.tag or "", frozenset({"", _CORE + "map"}), event)
        entries: dict[tuple[type, object], Entry] = {}
        merged: list[Entry] = []
        for item in self._events:
            if isinstance(item, MappingEndEvent):
                break
            key = self._node(item, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, ScalarNode):
                self._problems.add(
                    "a list or mapping cannot be a key",
                    key.line,
                    key.column,
                    hint="quote a value that begins with '{' or '['",
                )
            elif key.text == "<<" and isinstance(item, ScalarEvent) and not item.style:
                merged += self._merge(value)
            elif (identity := (type(key.value), key.value)) in entries:
                self._problems.add(
                    f"the key {key.text!r} is here twice: first on line "
                    f"{entries[identity].key.line}",
                    key.line,
                    key.column,
                    key=key.text,
                    hint="remove one of the two",
                )
            else:
                entries[identity] = Entry(key, value)
        for entry in merged:
            entries.setdefault((type(entry.key.value), entry.key.value), entry)
        return mapping_of(list(entries.values()), *_place(event.start_mark))

    def _merge(self, node: Node) -> list[Entry]:
        """The entries that `<<` brings in; of several mappings the first has the say."""
        merged: list[Entry] = []
        for source in node.items if isinstance(node, SequenceNode) else (node,):
            if isinstance(source, MappingNode):
                merged += source.entries
            else:
                self._problems.add(
                    "'<<' merges mappings, and this is none",
                    source.line,
                    source.column,
                    key="<<",
                    hint="name an anchored mapping: '<<: *name'",
                )
        return merged

    def _check_tag(self, tag: str, known: frozenset[str], event: Event) -> None:
        if tag in known:
            return
        self._add(
            "this value has a tag that means nothing here",
            event,
            "quote a value that begins with '!'",
        )
