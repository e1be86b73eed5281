"""Texts such as files hold: any endings, no final newline, stray carriage returns."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = (
    "",
    "a",
    "a = 1",
    "b",
    "#",
    "# END",
    "a\r",
    "\r",
    "\x0c",
    "\u2028",
    "\x85",
    "\udcff",
    "  a",
)
ENDINGS = ("\n", "\r\n", "\n\n")


def texts(*words: str) -> st.SearchStrategy[str]:
    """Texts made of these words and awkward ones."""
    line = st.tuples(st.sampled_from((*words, *WORDS)), st.sampled_from(ENDINGS)).map("".join)
    last = st.sampled_from(("", *words, *WORDS))
    return st.builds(lambda lines, end: "".join(lines) + end, st.lists(line, max_size=8), last)
