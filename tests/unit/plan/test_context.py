from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from kubexm.errors import PlanError, UsageError
from kubexm.facts import Facts
from kubexm.inventory import Inventory, load
from kubexm.plan import RUN, Cluster, Plan, Shared, Step, StepContext, UnpublishedError, Values
from kubexm.secret import Secret
from kubexm.tasks.flags import Flags
from kubexm.tasks.fleet import Fleet


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    path = tmp_path / "hosts.yaml"
    path.write_text("all: {children: {etcd: {hosts: {a: , b: }}, web: {hosts: {b: , c: }}}}\n")
    return load(path)


def test_a_cluster_is_looked_up_by_name_and_role(inventory: Inventory) -> None:
    cluster = Cluster(inventory=inventory)
    assert [host.name for host in cluster.role("web")] == ["b", "c"]
    assert cluster.role("no such") == ()
    assert cluster.host("a").groups == ("etcd",)
    assert cluster.labelled("zone", "x") == ()
    with pytest.raises(UsageError):
        cluster.host("d")


def test_a_host_reads_its_own_value_first_then_the_only_one() -> None:
    values = Values([("a", "token", "of a")])
    assert Shared(host="b", values=values).read("token") == "of a"
    Shared(host="b", values=values).publish("token", "of b")
    assert Shared(host="b", values=values).read("token") == "of b"
    assert Shared(host="b", values=values).read("token", host="a") == "of a"
    assert Shared(host="b", values=values).read_all("token") == {"a": "of a", "b": "of b"}
    with pytest.raises(PlanError, match="2 hosts have published"):
        Shared(host="c", values=values).read("token")


def test_a_value_that_nobody_published_is_told() -> None:
    with pytest.raises(UnpublishedError, match="no step has published the value 'token'"):
        Shared(host="a").read("token")
    with pytest.raises(UnpublishedError, match="on b"):
        Shared(host="a").read("token", host="b")


def test_only_what_a_journal_can_keep_is_published() -> None:
    shared = Shared(host="a")
    shared.publish("nested", {"list": [1, None, "x", True, 1.5]})
    shared.publish("secret", Secret("s"))
    assert shared.text("secret") == Secret("s")
    with pytest.raises(PlanError, match="the value 'path' is a PosixPath"):
        shared.publish("path", Path("/"))  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="not a text"):
        shared.text("nested")


def test_a_context_needs_no_more_than_a_host_its_facts_and_the_cluster(
    inventory: Inventory,
) -> None:
    cluster = Cluster(inventory=inventory)
    context = StepContext(host=cluster.host("a"), facts=Facts(), cluster=cluster)
    assert context.shared.read_all("anything") == {}


def in_step(inventory: Inventory, step: str, values: Values) -> StepContext:
    cluster = Cluster(inventory=inventory)
    shared = Shared(host="a", values=values)
    return StepContext(
        host=cluster.host("a"), facts=Facts(), cluster=cluster, shared=shared, step=step
    )


def test_what_is_cached_is_seen_in_its_scope_alone(inventory: Inventory) -> None:
    values = Values()
    one, two, other = (
        in_step(inventory, step, values) for step in ("part/one", "part/two", "other/one")
    )
    made = iter(range(9))
    for within, first, second, third in ((None, 0, 1, 2), ("part", 3, 3, None), (RUN, 4, 4, 4)):
        for _ in range(2):
            assert one.cached("key", lambda: next(made), within=within) == first
            assert two.cached("key", lambda: next(made), within=within) == second
            if third is not None:
                assert other.cached("key", lambda: next(made), within=within) == third
    assert one.cached("another key", lambda: next(made)) == 5
    with pytest.raises(PlanError, match="the step other/one is in no plan 'part'") as raised:
        other.cached("key", lambda: 0, within="part")
    assert raised.value.hint == "it is in: other"


def test_a_failure_is_not_cached_and_a_value_may_rest_on_another(inventory: Inventory) -> None:
    context = in_step(inventory, "one", Values())
    with pytest.raises(ZeroDivisionError):
        context.cached("key", lambda: 1 // 0)
    assert context.cached("key", lambda: context.cached("inner", lambda: 1) + 1) == 2


def test_values_that_rest_on_each_other_are_an_error_and_no_dead_end(inventory: Inventory) -> None:
    context = in_step(inventory, "one", Values())
    both_began = threading.Barrier(2)

    def make(other: str) -> int:
        both_began.wait(10)
        return context.cached(other, lambda: 1)

    with ThreadPoolExecutor(2) as pool:
        tries = [
            pool.submit(context.cached, one, partial(make, other)) for one, other in ("ab", "ba")
        ]
        errors = [one.exception(timeout=10) for one in tries]
    (error,) = [error for error in errors if error is not None]
    assert isinstance(error, PlanError)
    assert "rests on itself" in str(error)
    with pytest.raises(PlanError, match="the cached value 'c' rests on itself"):
        context.cached("c", lambda: context.cached("c", lambda: 1))


def test_a_plan_in_a_plan_of_the_same_name_has_a_time_of_its_own() -> None:
    inner = Plan(name="p", steps=(Step(name="s", body=()),), timeout_s=5)
    (placed,) = Plan(name="p", steps=(inner,), timeout_s=60).placed()
    assert [(limit.name, limit.plan, limit.seconds) for limit in placed.limits] == [
        ("", "p", 60),
        ("p", "p", 5),
    ]


def test_the_example_of_the_documentation_is_a_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).parents[3] / "docs" / "plans.md").read_text()
    code = text.split("```python\n")[1].split("```")[0].replace("ns.add_task(web)", "")
    names: dict[str, object] = {}
    exec(compile(code, "plans.md", "exec", dont_inherit=True), names)  # noqa: S102 - our own text
    path = tmp_path / "hosts.yaml"
    path.write_text("web: {hosts: {a: , b: }}\n")
    with Fleet(Flags(inventory=(str(path),), plan="tree")) as fleet:
        names["web"].body.__wrapped__(fleet)  # type: ignore[attr-defined]
    shown = capsys.readouterr().out
    assert shown.startswith("web  [on web]")
    assert "  roll  [awaits packages; waves 1, 50%; max_fail 0]\n" in shown
