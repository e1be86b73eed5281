"""What the YAML parser says → what the writer of an inventory can act on.

Nothing of the file is quoted: what is wrong may be a password.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError

    from kubexm.inventory.problem import FileProblems

_QUOTE = "quote a value that holds punctuation, and indent keys of one mapping alike"


class _Fault(NamedTuple):
    """What to say for a parser's problem; `from_start`: the place is where its context began."""

    pattern: str
    message: str
    hint: str
    from_start: bool = False


_FAULTS = (
    _Fault(r"character '\\t'", "a tab cannot indent YAML", "indent with spaces"),
    _Fault(
        r"cannot start any token",
        "an unquoted value cannot begin with this character",
        "quote the value",
    ),
    _Fault(
        r"mapping values are not allowed",
        "this ':' cannot be here",
        "quote a value that holds ': ', indent alike, and end the key above with ':'",
    ),
    _Fault(
        r"sequence entries are not allowed",
        "this '- ' cannot be here",
        "begin a list on a line of its own, and quote a value that begins with '- '",
    ),
    _Fault(r"could not find expected ':'", "a key without ':'", "end it with ':'", from_start=True),
    _Fault(
        r"unexpected end of stream|unexpected document separator",
        "a quote that is opened here is never closed",
        "close it",
        from_start=True,
    ),
    _Fault(
        r"expected ',' or '([]}])'",
        "a bracket that is opened here is not closed",
        "close it, separate its items with ', ', and quote a value that begins with a bracket",
        from_start=True,
    ),
    _Fault(
        r"but found '<(scalar|alias|anchor|tag)>'",
        "text after the end of a value",
        "quote the value as a whole",
    ),
    _Fault(
        r"but found '<block (mapping|sequence) start>'",
        "the indentation matches no line above",
        "indent keys of one mapping alike",
    ),
    _Fault(
        r"expected <block end>, but found '[?-]'",
        "a list and a mapping are mixed",
        "write keys ('name:') without '- '",
    ),
    _Fault(
        r"expected the node content",
        "a value is missing here, or a bracket above is not closed",
        "close the bracket, and quote a value that begins with one",
    ),
    _Fault(
        r"escape (character|sequence)",
        "an unknown escape in double quotes",
        "use single quotes, or write a backslash as '\\\\'",
    ),
)


def explain(error: MarkedYAMLError, problems: FileProblems) -> None:
    """The parser's words as ours, with the place where the writer has to look."""
    said = str(error.problem)
    mark = error.problem_mark or error.context_mark
    for fault in _FAULTS:
        if re.search(fault.pattern, said):
            if fault.from_start and error.context_mark is not None:
                mark = error.context_mark
            problems.add(fault.message, mark.line + 1, mark.column + 1, hint=fault.hint)
            return
    expected = re.sub(r",? *(but )?(found|got) .*|(['\"]).*\3", "", said).strip()
    problems.add(
        f"not valid YAML{expected and ': '}{expected}", mark.line + 1, mark.column + 1, hint=_QUOTE
    )
