from __future__ import annotations

from pathlib import Path

import pytest

from kubexm.errors import PlanError
from kubexm.plan import Plan, Retry, Step, cut, digest, dot, exceeds, tree
from kubexm.runner.operations import FileContent
from kubexm.runner.procedures import Get, Put, RestartService
from kubexm.secret import Secret


def step(name: str, **policy: object) -> Step:
    return Step(name=name, body=(), **policy)  # type: ignore[arg-type]


def names(plan: Plan) -> list[str]:
    return [placed.name for placed in plan.placed()]


PREPARE = Plan(name="prepare", steps=(step("kernel"), step("packages", tags=frozenset({"slow"}))))
ETCD = Plan(
    name="etcd",
    selector="etcd",
    awaits=("prepare",),
    steps=(step("install"), step("start", undo=())),
)
WORKERS = Plan(
    name="workers",
    awaits=("etcd/start",),
    waves=(1, "50%"),
    steps=(step("drain", undo=()), step("upgrade", undo=(), awaits=("prepare",))),
)
CLUSTER = PREPARE + ETCD + WORKERS


def test_a_cluster_reads_as_the_sum_of_its_parts() -> None:
    assert CLUSTER.name == "prepare + etcd + workers"
    assert names(CLUSTER) == [
        "prepare/kernel",
        "prepare/packages",
        "etcd/install",
        "etcd/start",
        "workers/drain",
        "workers/upgrade",
    ]


def test_a_plan_hands_its_policy_down() -> None:
    drain = CLUSTER.placed()[4]
    assert drain.needs == {"prepare/kernel", "prepare/packages", "etcd/install", "etcd/start"}
    assert drain.awaits == {"etcd/start"}
    assert drain.rolling is not None
    assert drain.rolling.waves == (1, "50%")
    assert CLUSTER.placed()[2].selectors == ("etcd",)


def test_a_step_moves_back_behind_what_it_needs_and_no_further() -> None:
    plan = Plan(name="p", steps=(step("a", needs=("c",)), step("b"), step("c", needs=())))
    assert names(plan) == ["c", "a", "b"]
    plan = Plan(name="p", steps=(step("a", needs=("c",)), step("c", needs=()), step("d")))
    assert names(plan) == ["c", "a", "d"]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((step("a", needs=("b",)), step("b", needs=("a",))), "a cycle in the plan p: a → b → a"),
        ((step("a", awaits=("b",)), step("b")), "a cycle in the plan p: a → b → a"),
        ((step("a", needs=("a",)),), "cannot wait for each other"),
        ((step("a"), step("b", needs=("aa",))), "b names the step 'aa', which the plan p has not"),
        ((Plan(name="q", waves=(1,), steps=(step("a", waves=(1,)),)),), "has waves, and q around"),
        (
            (Plan(name="q", waves=(1,), steps=(step("a"), step("b", awaits=("a",)))),),
            "awaits a step that rolls in the same waves",
        ),
    ],
)
def test_a_plan_that_cannot_be_walked_says_why(
    steps: tuple[Step | Plan, ...], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        Plan(name="p", steps=steps).placed()


@pytest.mark.parametrize("policy", [{"waves": (0,)}, {"waves": ("0%",)}, {"waves": ("x",)}])
def test_a_wave_of_no_size_is_refused(policy: dict[str, object]) -> None:
    with pytest.raises(PlanError, match="not an amount of hosts"):
        step("s", **policy)


def test_other_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(PlanError, match="not an amount"):
        step("s", max_fail="101%")
    with pytest.raises(PlanError, match="timeout"):
        step("s", timeout_s=-1)
    with pytest.raises(PlanError, match="try again"):
        Retry(times=-1)


def test_waves_are_cut_by_count_and_by_share() -> None:
    assert cut(8, (1, "50%")) == (1, 4, 3)
    assert cut(3, ("10%",)) == (1, 1, 1)
    assert cut(5, (2,)) == (2, 2, 1)
    assert cut(0, (2,)) == ()
    assert exceeds(1, 0, 8)
    assert not exceeds(2, "25%", 8)
    assert exceeds(3, "25%", 8)


@pytest.mark.parametrize(
    ("only", "skip", "left"),
    [
        (("etcd",), (), ["etcd/install", "etcd/start"]),
        (("slow", "etcd/start"), (), ["prepare/packages", "etcd/start"]),
        ((), ("prepare", "workers"), ["etcd/install", "etcd/start"]),
        (("etcd",), ("install",), ["etcd/start"]),
    ],
)
def test_steps_are_chosen_by_name_by_plan_and_by_tag(
    only: tuple[str, ...], skip: tuple[str, ...], left: list[str]
) -> None:
    plan = CLUSTER.narrowed(only=only, skip=skip)
    assert names(plan) == left
    assert all(placed.needs | placed.awaits <= set(left) for placed in plan.placed())


def test_a_part_that_was_narrowed_stays_so_in_a_whole() -> None:
    plan = PREPARE + ETCD.narrowed(skip=["install"])
    assert names(plan) == ["prepare/kernel", "prepare/packages", "etcd/start"]


def test_an_unknown_word_is_refused_with_a_suggestion() -> None:
    with pytest.raises(PlanError, match="no step 'instal'") as caught:
        CLUSTER.narrowed(skip=["instal"])
    assert "did you mean 'install'?" in caught.value.hint


def test_a_plan_is_taken_back_in_reverse() -> None:
    back = CLUSTER.undone()
    assert names(back) == ["workers/upgrade", "workers/drain", "etcd/start"]
    start = back.placed()[-1]
    assert start.awaits == {"workers/upgrade", "workers/drain"}
    assert start.selectors == ("etcd",)
    with pytest.raises(PlanError, match="how it is undone"):
        PREPARE.undone()


def test_a_digest_changes_with_what_a_plan_means_and_with_nothing_else() -> None:
    def plan(content: str | Secret, depth: int = 1) -> Plan:
        file = FileContent(path="/f", content=content)
        return Plan(name="p", steps=(Step(name="s", body=lambda _: (file,) * depth),))

    assert digest(plan("a")) == digest(plan("a"))
    assert digest(plan("a")) != digest(plan("b"))
    assert digest(plan("a")) != digest(plan("a", depth=2))
    assert digest(plan(Secret("a"))) == digest(plan(Secret("b")))
    assert digest(frozenset("abc")) == digest(frozenset("cba"))


def test_a_plan_is_shown_as_a_tree() -> None:
    changed = step("config", on_change=(RestartService(name="etcd"),), retry=Retry(times=2))
    plan = PREPARE + ETCD.narrowed(skip=["install"]) + changed
    assert (
        tree(plan)
        == f"""\
prepare + etcd + config  ({digest(plan)[:12]})
  prepare
    kernel  nothing
    packages  [tags slow]  nothing
  etcd  [on etcd; awaits prepare]
    start  [can be undone]  nothing
  config  [retry 2 times; on change restart etcd]  nothing"""
    )


def test_a_plan_is_shown_as_a_graph_without_arrows_that_follow_from_others() -> None:
    assert dot(CLUSTER).splitlines()[8:-1] == [
        '  "prepare/kernel" -> "prepare/packages";',
        '  "prepare/packages" -> "etcd/install" [style=bold];',
        '  "etcd/install" -> "etcd/start";',
        '  "etcd/start" -> "workers/drain" [style=bold];',
        '  "workers/drain" -> "workers/upgrade";',
    ]


def test_the_digest_of_a_path_is_that_of_where_it_leads() -> None:
    assert digest(Put(source=Path("a"), path="/x")) == digest(Put(source=Path("a"), path="/x"))
    assert digest(Put(source=Path("a"), path="/x")) != digest(Put(source=Path("b"), path="/x"))
    assert digest(Get(path="/x", local=Path("a"))) != digest(Get(path="/x", local=Path("b")))
