"""The machine in memory and a real sh give the same replies to the same batches."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubexm.connector.local import LocalConnector
from kubexm.shell import Frame, Guarded, Reply, Script, Session, expectation, quote
from kubexm.testing.fake import FakeMachine
from tests.unit.runner.store import KEYS, Store, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

_NAMES = st.sampled_from("abc")
_WORDS = st.text("ab'\"$ !\\`;\u00e4", min_size=1, max_size=6)
_SIZES = st.none() | st.sampled_from((0, 1, 65_535, 65_536, 200_001))
_COMMANDS = st.one_of(
    st.tuples(st.just("keys_set"), st.just("DIR"), _NAMES, st.sampled_from(("1", "2"))),
    st.tuples(st.just("keys_flap"), st.just("DIR")),
    st.tuples(st.just("keys_say"), _WORDS, _WORDS),
    st.tuples(st.just("keys_get"), st.just("DIR"), _NAMES, _NAMES),
    st.tuples(st.just("exit"), st.sampled_from(("0", "3", "255"))),
)
_TAKE = ("keys_take", "DIR", "a")


@dataclass(frozen=True)
class Drawn:
    """A script to be; its payload is told by its size, so that a failure stays readable."""

    lines: tuple[tuple[str, ...], ...]
    payload_bytes: int | None

    def script(self, directory: Path) -> Script:
        """The script, on the keys of a directory."""
        where = {"DIR": str(directory)}
        lines = (" ".join(quote(where.get(word, word)) for word in line) for line in self.lines)
        payload = None if self.payload_bytes is None else b"x" * self.payload_bytes
        return Script("\n".join(lines), payload=payload, libraries=(KEYS,))


@dataclass(frozen=True)
class DrawnGuard:
    """A guard to be, on a fresh reading unless it is stale."""

    probe: Drawn
    change: Drawn | None
    is_stale: bool
    unmet: bool

    def guarded(self, session: Session, directory: Path) -> Guarded:
        """The guard, with what the session's machine answers now."""
        probe = self.probe.script(directory)
        reading = session.ask(probe)
        return Guarded(
            probe=probe,
            expected=expectation(Reply(exit_status=1) if self.is_stale else reading),
            change=None if self.change is None else self.change.script(directory),
            unmet=self.unmet,
        )


@st.composite
def _scripts(draw: st.DrawFn) -> Drawn:
    size = draw(_SIZES)
    first = [_TAKE] if size is not None and draw(st.booleans()) else []
    return Drawn((*first, *draw(st.lists(_COMMANDS, min_size=1, max_size=3))), size)


_GETS = st.lists(_NAMES, min_size=1, max_size=3, unique=True).map(
    lambda names: Drawn((("keys_get", "DIR", *names),), None)
)
_RARELY = st.integers(0, 7).map(lambda number: number == 0)
_GUARDS = st.builds(DrawnGuard, _GETS, _scripts() | st.none(), _RARELY, _RARELY)


@pytest.fixture(scope="module")
def keys() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(_NAMES, st.just("1"))),
    st.lists(_GUARDS | _GUARDS | _scripts(), min_size=1, max_size=6),
)
def test_random_batches_have_the_same_replies(
    keys: Path, start: list[tuple[str, str]], drawn: list[Drawn | DrawnGuard]
) -> None:
    for path in keys.iterdir():
        path.unlink()
    for name, value in start:
        (keys / name).write_text(value)
    real = Session.open(LocalConnector().open)
    fake = FakeMachine(answer, Store(dict(start))).session()
    try:
        frames: list[Frame] = [
            one.script(keys) if isinstance(one, Drawn) else one.guarded(fake, keys) for one in drawn
        ]
        assert real.run(frames, deadline_s=20).whole() == fake.run(frames).whole()
    finally:
        real.close()
