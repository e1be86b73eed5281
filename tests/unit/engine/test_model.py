"""Random plans through the real engine, against the reference interpreter."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubexm.engine import HostStatus
from kubexm.plan import Plan, Retry, Step, cut
from kubexm.runtime import Settings
from tests.unit.engine.marks import ALWAYS, Mark, Village
from tests.unit.engine.reference import Sketch, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kubexm.plan import StepContext
    from kubexm.runner import Operation

HOSTS = tuple("abcdef")


@st.composite
def plans(draw: st.DrawFn) -> list[Sketch]:
    """Up to seven steps with needs, barriers, waves, failures, repetitions and conditions."""
    found: list[Sketch] = []
    for number in range(draw(st.integers(1, 7))):
        before = [sketch.name for sketch in found]
        some = st.lists(st.sampled_from(before), max_size=3, unique=True) if before else st.just([])
        hosts = draw(st.sets(st.sampled_from(HOSTS), min_size=1))
        waves = draw(st.one_of(st.just([]), st.lists(st.integers(1, 3), min_size=1, max_size=3)))
        fails = draw(
            st.dictionaries(st.sampled_from(HOSTS), st.sampled_from([1, 2, ALWAYS]), max_size=2)
        )
        found.append(
            Sketch(
                name=f"s{number}",
                hosts=tuple(host for host in HOSTS if host in hosts),
                needs=draw(st.one_of(st.none(), some.map(tuple))),
                awaits=tuple(draw(st.one_of(st.just([]), some))),
                waves=tuple(waves),
                max_fail=draw(st.integers(0, 2)),
                retries=draw(st.integers(0, 2)),
                fails=fails,
                unneeded=frozenset(draw(st.sets(st.sampled_from(HOSTS), max_size=2))),
            )
        )
    return found


def step_of(sketch: Sketch) -> Step:
    """The step that a sketch stands for."""
    return Step(
        name=sketch.name,
        body=body_of(sketch),
        selector=",".join(sketch.hosts),
        needs=sketch.needs,
        awaits=sketch.awaits,
        waves=sketch.waves,
        max_fail=sketch.max_fail,
        retry=Retry(times=sketch.retries, delay_s=0),
        when=lambda context: context.host.name not in sketch.unneeded,
    )


def body_of(sketch: Sketch) -> Callable[[StepContext], Iterable[Operation]]:
    def body(context: StepContext) -> Iterable[Operation]:
        yield Mark(name=sketch.name, fails=sketch.fails.get(context.host.name, 0))

    return body


@given(
    sketches=plans(),
    away=st.frozensets(st.sampled_from(HOSTS), max_size=1),
    forks=st.sampled_from([1, 2, 50]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_walk_comes_to_what_the_reference_says(
    sketches: list[Sketch], away: frozenset[str], forks: int
) -> None:
    village = Village(HOSTS, unreachable=away)
    plan = Plan(name="p", steps=tuple(map(step_of, sketches)))
    report = village.walk(plan, Settings(forks=forks))
    expected = outcomes(sketches, away)

    assert expected == {
        (host.host, step.step): step.status.value for host in report.hosts for step in host.steps
    }
    did = village.log.did
    assert set(did) == {key for key, end in expected.items() if end in ("changed", "failed")}
    for host in report.hosts:
        ends = [step.status.value for step in host.steps]
        if host.host in away and host.steps:
            # one of whose steps none may be begun is not even connected to
            assert host.status in (HostStatus.UNREACHABLE, HostStatus.STOPPED)
        else:
            assert host.status is not HostStatus.UNREACHABLE
        assert (host.status is HostStatus.FAILED) == ("failed" in ends)
    order_holds(sketches, did)


def order_holds(sketches: list[Sketch], did: list[tuple[str, str]]) -> None:
    """Steps of a host are in order, barriers hold across hosts, and waves do not overlap."""
    first = {key: did.index(key) for key in did}
    last = {key: number for number, key in enumerate(did)}
    names = [sketch.name for sketch in sketches]
    for host in HOSTS:
        steps = [name for name in names if (host, name) in first]
        for one, other in pairwise(steps):
            assert last[host, one] < first[host, other]
    for sketch in sketches:
        begins = [first[key] for key in first if key[1] == sketch.name]
        for awaited in sketch.awaits:
            assert all(
                last[key] < min(begins, default=len(did)) for key in last if key[1] == awaited
            )
        at = 0
        ended = -1
        for size in cut(len(sketch.hosts), sketch.waves) if sketch.waves else ():
            wave = {(host, sketch.name) for host in sketch.hosts[at : at + size]}
            assert all(first[key] > ended for key in wave if key in first)
            ended = max([ended, *(last[key] for key in wave if key in last)])
            at += size
