"""Ansible's INI format → the same nodes that its YAML format gives.

A value is a Python literal where it is one (`22`, `True`, `['a']`, `"'22'"`), else text: as Ansible
has it, for hosts and for `[group:vars]` alike.
"""

from __future__ import annotations

import ast
import io
import re
import shlex
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from kubexm.inventory.name import ALL, UNGROUPED
from kubexm.inventory.node import Entry, MappingNode, Node, ScalarNode, mapping, node_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubexm.inventory.problem import FileProblems

_COMMENTS = ("#", ";")
_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_FIRST_SECTION = re.compile(
    r"(?:[ \t]*(?:[#;].*)?\r?\n)*[ \t]*\[[\w:.-]+\][ \t]*(?:#.*)?\r?$", re.MULTILINE
)
_YAML_START = re.compile(r"(---|%YAML|[\[{]|-\s|(\"[^\"]*\"|'[^']*'|[^\s=:#\"'\[{]+)\s*:(\s|$))")
_KINDS = ("hosts", "children", "vars")
_QUOTES = "close the quote; a value with spaces stands in quotes"


class _Word(NamedTuple):
    text: str
    column: int


def is_ini(text: str) -> bool:
    """Whether a text is of the INI format rather than YAML.

    It is when its first line with content is a `[section]`, or can be no start of a YAML mapping.
    """
    if _FIRST_SECTION.match(text):
        return True
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            return stripped.startswith(";") or not _YAML_START.match(stripped)
    return False


def parse(text: str, problems: FileProblems) -> Node | None:
    """The groups of an INI inventory, as a mapping in the shape of the YAML format.

    Returns:
        None when there is nothing in it.
    """
    return _Reader(problems).read(text)


class _Section:
    """A group, gathered from all its sections; entries in the order of the file."""

    def __init__(self, name: str, line: int, column: int) -> None:
        self.key = ScalarNode(name, name, line, column)
        self.hosts: list[Entry] = []
        self.children: dict[str, Entry] = {}
        self.variables: dict[str, Entry] = {}
        self.is_declared = False

    def entry(self, line: int) -> Entry:
        """The group as the YAML format has it."""
        parts = {"hosts": self.hosts, "children": [*self.children.values()]}
        parts["vars"] = [*self.variables.values()]
        entries = [
            Entry(ScalarNode(kind, kind, line, 1), mapping(parts[kind], line, 1))
            for kind in _KINDS
            if parts[kind]
        ]
        return Entry(self.key, mapping(entries, self.key.line, self.key.column))


class _Reader:
    """One pass over the lines; before the first section they are hosts in no group."""

    def __init__(self, problems: FileProblems) -> None:
        self._problems = problems
        self._sections: dict[str, _Section] = {}
        self._line = 0

    def read(self, text: str) -> MappingNode | None:
        section, kind = self._section(UNGROUPED, 1, 1), "hosts"
        for number, whole in enumerate(text.splitlines(), start=1):
            self._line = number
            line = whole.strip()
            if not line or line.startswith(_COMMENTS):
                continue
            column = len(whole) - len(whole.lstrip()) + 1
            if found := _SECTION.fullmatch(line):
                section, kind = self._begin(found, column)
            elif line.startswith("[") and line.endswith("]"):
                self._add(
                    "this is no section: a name in brackets has no spaces and one ':' at most",
                    column,
                    hint="write [group], [group:vars] or [group:children]",
                )
            elif kind == "hosts":
                self._host(section, line, column)
            elif kind == "vars":
                self._variable(section, line, column)
            else:
                self._child(section, line, column)
        self._check()
        if not any(it.hosts or it.is_declared for it in self._sections.values()):
            return None
        ordered = [it.entry(it.key.line) for it in self._sections.values()]
        return mapping(ordered, 1, 1)

    def _add(self, message: str, column: int, *, key: str = "", hint: str = "") -> None:
        self._problems.add(message, self._line, column, key=key, hint=hint)

    def _section(self, name: str, line: int, column: int) -> _Section:
        return self._sections.setdefault(name, _Section(name, line, column))

    def _begin(self, found: re.Match[str], column: int) -> tuple[_Section, str]:
        name, kind = found[1], found[2] or "hosts"
        section = self._section(name, self._line, column + 1)
        if kind not in _KINDS:
            self._add(
                f"[{name}:{kind}] is no kind of section",
                column,
                key=kind,
                hint="write [group], [group:vars] or [group:children]",
            )
            kind = "hosts"
        section.is_declared |= kind != "vars"
        return section, kind

    def _host(self, section: _Section, line: str, column: int) -> None:
        try:
            name, *words = _words(line, column)
        except ValueError:
            self._add("a quote on this line is not closed", column, hint=_QUOTES)
            return
        variables: dict[str, Entry] = {}
        for word in words:
            key, equals, value = word.text.partition("=")
            if not equals:
                self._add(
                    "behind a host stand variables as name=value, and this has no '='",
                    word.column,
                    hint="put a value with spaces in quotes, and one host on a line",
                )
                continue
            variables[key] = self._entry(key, value, word.column, word.column + len(key) + 1)
        named = ScalarNode(name.text, name.text, self._line, name.column)
        section.hosts.append(Entry(named, mapping([*variables.values()], self._line, name.column)))

    def _variable(self, section: _Section, line: str, column: int) -> None:
        key, equals, value = line.partition("=")
        if not equals:
            self._add("a variable is written name=value, and this has no '='", column)
            return
        at = column + len(key) + 1 + len(value) - len(value.lstrip())
        section.variables[key.strip()] = self._entry(key.strip(), value.strip(), column, at)

    def _entry(self, key: str, value: str, column: int, at: int) -> Entry:
        node = node_from(_literal(value), self._line, at)
        if isinstance(node, ScalarNode) and not isinstance(node.value, str):
            node = node._replace(text=value)
        return Entry(ScalarNode(key, key, self._line, column), node)

    def _child(self, section: _Section, line: str, column: int) -> None:
        found = _GROUP.fullmatch(line)
        if found is None:
            self._add(
                "a line of [group:children] is the name of one group",
                column,
                hint="put hosts below [group], and each child on a line of its own",
            )
            return
        child = ScalarNode(found[1], found[1], self._line, column)
        section.children.setdefault(
            found[1], Entry(child, ScalarNode(None, "", self._line, column))
        )

    def _check(self) -> None:
        """Every group that is named must be a section, as a slip would go unnoticed."""
        known = {name for name, it in self._sections.items() if it.is_declared} | {ALL, UNGROUPED}
        for name, section in self._sections.items():
            if name not in known and name not in {
                child for it in self._sections.values() for child in it.children
            }:
                self._line = section.key.line
                self._add(
                    f"[{name}:vars] is for a group that is nowhere in this file",
                    section.key.column,
                    key=name,
                    hint=f"add [{name}], with or without hosts",
                )
            for child, entry in section.children.items():
                if child not in known:
                    self._line = entry.key.line
                    self._add(
                        f"group {child!r} is nowhere in this file",
                        entry.key.column,
                        key=child,
                        hint=f"add [{child}], with or without hosts",
                    )


def _words(line: str, column: int) -> Iterator[_Word]:
    """The words of a line as a shell has them, each with its column; '#' begins a comment.

    Raises:
        ValueError: A quote is not closed.
    """
    stream = io.StringIO(line)
    lexer = shlex.shlex(stream, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[_Word] = []
    while True:
        rest = line[stream.tell() :]
        start = stream.tell() + len(rest) - len(rest.lstrip())
        text = lexer.get_token()
        if text is None:
            return iter(words)
        words.append(_Word(text, column + start))


def _literal(text: str) -> object:
    """A Python literal's value, or the text itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return _plain(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _plain(value: object) -> object:
    """A literal as data: sets are lists, bytes are text, keys are text."""
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case set():
            return [_plain(item) for item in sorted(value, key=repr)]
        case bytes():
            return value.decode(errors="surrogateescape")
        case complex():
            return str(value)
        case _:
            return "..." if value is ... else value
