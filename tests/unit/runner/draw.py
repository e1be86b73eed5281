"""Random operations and start states, adversarial and peaceful."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from tests.unit.runner.keyed import ByFact, Conduct, Key, PickyKey
from tests.unit.runner.store import HOSTNAME

KEYS = ("a", "b", "c", HOSTNAME)
VALUES = ("a", "b", "z")
"""Also host names, of which the first two have a handler for `PickyKey`."""

_key = st.sampled_from(KEYS)
_value = st.sampled_from(VALUES)


@st.composite
def _operation(draw: st.DrawFn, *, with_facts: bool) -> Key:
    keys = _key if with_facts else st.sampled_from(KEYS[:-1])
    watches = draw(st.lists(keys, max_size=2, unique=True))
    kind = draw(st.sampled_from((Key, Key, Key, PickyKey) if with_facts else (Key,)))
    conducts = (*[Conduct.HONEST] * 8, Conduct.FAILS, Conduct.LIES)
    by_facts = (*[ByFact.NOTHING] * 3, ByFact.VALUE, ByFact.PROBE)
    return kind(
        name="",
        key=draw(keys),
        value=draw(_value),
        watches=tuple(watches),
        derives=bool(watches) and draw(st.booleans()),
        also=tuple(draw(st.lists(st.tuples(keys, _value), max_size=2))),
        needs=draw(st.sampled_from(("", "", "", *KEYS[:-1]))),
        conduct=draw(st.sampled_from(conducts)),
        by_fact=draw(st.sampled_from(by_facts)) if with_facts else ByFact.NOTHING,
        takes_payload=draw(st.booleans()),
        flaps=draw(st.integers(0, 19)) == 0,
        answered=draw(st.booleans()),
        lasting=draw(st.booleans()),
    )


def operations(*, with_facts: bool = True, most: int = 8) -> st.SearchStrategy[tuple[Key, ...]]:
    """Sequences of operations that fail, lie, flap and break each other."""
    listed = st.lists(_operation(with_facts=with_facts), min_size=1, max_size=most)
    return listed.map(
        lambda ops: tuple(replace(op, name=f"n{number}") for number, op in enumerate(ops))
    )


def states(*, with_facts: bool = True) -> st.SearchStrategy[dict[str, str]]:
    """Keys with values; there is always a host name, and some keys may be missing."""
    keys = st.dictionaries(st.sampled_from(KEYS[:-1]), _value)
    hostnames = st.sampled_from(VALUES[:2]) if with_facts else st.just("a")
    return st.builds(lambda some, hostname: {**some, HOSTNAME: hostname}, keys, hostnames)


def fights(earlier: Key, later: Key) -> bool:
    """Whether the later one's change may alter what the earlier one's decision rests on."""
    if later.alters_facts and (earlier.by_fact or isinstance(earlier, PickyKey)):
        return True
    reads_any = earlier.by_fact is ByFact.PROBE
    return reads_any or not set(earlier.reads).isdisjoint(later.sets)


def peaceful(ops: tuple[Key, ...]) -> tuple[Key, ...]:
    """Those that fight with none before them, nor with themselves."""
    kept: list[Key] = []
    for op in ops:
        own = set(op.watches) | {op.needs, *(HOSTNAME for _ in (op.by_fact,) if op.by_fact)}
        if own.isdisjoint(op.sets) and not any(fights(one, op) for one in kept):
            kept.append(op)
    return tuple(kept)
