"""Scripts, contents, file names and environment values by chance, against a real session.

Chance is the same every time (`derandomize`), so that a failure on one machine is one on all.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from kubexm.runner import Catalogue, Host
from kubexm.runner.operations import FileContent, PathAbsent
from kubexm.shell import Reply, Script, Session, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

MEGABYTE = 1 << 20
_LONGEST_NAME = 255

# What a shell could make more of than a word, and bytes that are no UTF-8.
_SPICE = "'\"\\$`!~*?[]{}()<>|&;#=%^ \t\n\r\x01\x7f\x81\udc81\udcff-é€\U0001f600\u2028aZ0"

# A script of these does nothing that its own directory does not contain.
_GARBAGE = "'\"\\$`!*?[]{}()<>|&;#=%^ \t\n-ab1:"


def _clean(text: str) -> str:
    """Without the halves of surrogate pairs that bytes cannot be."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _is_name(name: str) -> bool:
    size = len(name.encode("utf-8", "surrogateescape"))
    return 0 < size <= _LONGEST_NAME and name not in {".", ".."} and "/" not in name


WORDS = (
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
    | st.text(_SPICE, max_size=40)
).map(_clean)
NAMES = WORDS.filter(_is_name)
CONTENTS = st.binary(max_size=300) | st.builds(
    lambda piece: (piece * (MEGABYTE // len(piece) + 1))[:MEGABYTE], st.binary(min_size=1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One batch of chance."""

    scripts: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()


TRIALS = st.builds(
    Trial,
    scripts=st.lists(st.text(_GARBAGE, max_size=30), max_size=3).map(tuple),
    values=st.lists(WORDS, max_size=3).map(tuple),
    files=st.lists(st.tuples(NAMES, CONTENTS), max_size=3, unique_by=lambda each: each[0]).map(
        tuple
    ),
)


def play(session: Session, *, examples: int = 4) -> None:
    """Try chance on a session: everything arrives exactly, and nothing disturbs what follows.

    Args:
        session: On a machine whose /tmp can be written to.
        examples: How many batches, beside two that are always the same.
    """
    host = Host.open("chance", session, Catalogue.installed(), deadline_s=60)
    directory = f"/tmp/kubexm-chance-{secrets.token_hex(8)}"  # noqa: S108 - unguessable
    host.files.mkdir(directory, mode=0o700)

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(TRIALS)
    @example(Trial(values=("x\n" * 40_000,), files=(("-rf", b"\0'\n" * (MEGABYTE // 3)),)))
    @example(Trial(files=(("\n", b"\n"), ("--", b""), ("\udcff*", b"a"), ("'$(id)'", b"\xff"))))
    def trial(drawn: Trial) -> None:
        _batch(session, directory, drawn)
        _operations(host, directory, drawn)

    try:
        trial()
    finally:
        host.files.remove(directory)


def _batch(session: Session, directory: str, drawn: Trial) -> None:
    """Everything at once, in one round trip."""
    inside = f"cd {quote(directory)} && mkdir batch && cd batch || exit 99"
    within = f"cd {quote(directory)}/batch || exit 99"
    scripts = [Script(f"{inside}; echo before")]
    scripts += [Script(f"{within}\n{text}") for text in drawn.scripts]
    scripts += [Script(f"V={quote(value)} sh -c 'printf %s \"$V\"'") for value in drawn.values]
    # Whatever the garbage made is out of the way of the names to come.
    scripts += [Script(f"cd {quote(directory)} && rm -rf batch && mkdir batch")]
    for name, content in drawn.files:
        scripts += [Script(f"{within}; cat >./{quote(name)}", payload=content)]
    scripts += [Script(f"{within}; cat ./{quote(name)}") for name, _ in drawn.files]
    scripts += [Script(f"{within}; find . -type f -exec printf '%s\\0' {{}} +")]
    scripts += [Script(f"cd {quote(directory)} && rm -rf batch; echo after")]
    trips = session.trips
    found = _replies(session, scripts)
    assert session.trips == trips + 1
    assert (found[0].text, found[-1].text) == ("before\n", "after\n")
    at = 1 + len(drawn.scripts)
    assert [reply.text for reply in found[at : at + len(drawn.values)]] == list(drawn.values)
    read = found[-2 - len(drawn.files) : -2]
    assert [reply.stdout for reply in read] == [content for _, content in drawn.files]
    names = {name.removeprefix("./") for name in found[-2].text.split("\0") if name}
    assert names == {name for name, _ in drawn.files}


def _operations(host: Host, directory: str, drawn: Trial) -> None:
    """One of the files as an operation: so after the first time, no change the second time."""
    files = [
        FileContent(path=f"{directory}/{name}", content=content)
        for name, content in drawn.files
        if "\n" not in name
    ][:1]
    for wanted in (True, False):
        outcomes = host.converge(*files)
        assert [outcome.error for outcome in outcomes] == [None] * len(files)
        assert [outcome.changed for outcome in outcomes] == [wanted] * len(files)
    host.converge(*(PathAbsent(path=file.path) for file in files))


def _replies(session: Session, scripts: Sequence[Script]) -> list[Reply]:
    found = session.run(scripts, deadline_s=60).whole()
    return [reply for reply in found if isinstance(reply, Reply)]
