"""Templates in variables: evaluated when read, and told with their place when they fail."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from kubexm.errors import InventoryError
from kubexm.secret import Secret
from tests.unit.inventory.write import loaded

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "hunter2xyzzy"


def value(directory: Path, template: str, **others: str) -> object:
    """What a variable of host a comes to; the others are YAML."""
    lines = [f"      {name}: {text}" for name, text in {"x": template, **others}.items()]
    text = "all:\n  hosts:\n    a:\n" + "\n".join(lines) + "\n    b: {color: blue}\n"
    return loaded(directory, text).host("a").variables["x"]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("'{{ n }}'", 3),
        ("'{{ n + 1 }}'", 4),
        ("'{{ n }}{{ n }}'", "33"),
        ("'n is {{ n }}'", "n is 3"),
        ("'{{ l }}'", ("a", "b3")),
        ("'{{ m.inner.deep }}'", "b3"),
        ("'{{ m }}'", {"inner": {"deep": "b3"}}),
        ("['{{ n }}', {k: '{{ n }}'}]", (3, {"k": 3})),
        ("'{{ later | upper }}'", "B3"),
        ("'{{ nothing | default(\"d\") }}'", "d"),
        ("'{{ nothing is defined }}'", False),
        ("'{{ inventory_hostname }}'", "a"),
        ('\'{{ hostvars.b.color }}-{{ hostvars["b"]["color"] }}\'', "blue-blue"),
        ("'{{ groups.all }}'", ("a", "b")),
        ("'{{ group_names }}'", ("ungrouped",)),
        ("'{% for i in l %}{{ i }};{% endfor %}'", "a;b3;"),
        ('\'{{ [1, 2] | map("string") | join(",") }}\'', "1,2"),
        ("'{{ \"yes\" | bool }}'", True),
        ("'{{ m | combine({\"k\": n}) }}'", {"inner": {"deep": "b3"}, "k": 3}),
        ('\'{{ (n > 2) | ternary("many", "few") }}\'', "many"),
        ("'{{ m | to_json }}'", '{"inner": {"deep": "b3"}}'),
        ('\'{{ "a1" | ansible.builtin.regex_replace("[0-9]", "") }}\'', "a"),
        ("'{{ \"x\" | b64encode | b64decode }}'", "x"),
        ("!unsafe '{{ n }}'", "{{ n }}"),
        ("'{% raw %}{{ n }}{% endraw %}'", "{{ n }}"),
    ],
)
def test_template_comes_to(tmp_path: Path, template: str, expected: object) -> None:
    others = {"n": "3", "later": "'b{{ n }}'", "l": "[a, '{{ later }}']"}
    others["m"] = "{inner: {deep: '{{ later }}'}}"
    found = value(tmp_path, template, **others)
    assert (found, type(found)) == (expected, type(found))


def test_environment_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOR", "red")
    assert value(tmp_path, "\"{{ lookup('env', 'COLOR') }}\"") == "red"


def test_template_that_nobody_reads_may_be_anything(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path, "all: {hosts: {a: {x: '{{ ansible_facts.eth0 | nothing }}', y: 1}}}"
    )
    variables = inventory.host("a").variables
    assert variables["y"] == 1
    assert inventory.host("a").written["x"] == "{{ ansible_facts.eth0 | nothing }}"
    with pytest.raises(InventoryError):
        variables["x"]


def test_comparing_hosts_evaluates_nothing(tmp_path: Path) -> None:
    text = "all: {hosts: {a: {x: '{{ gone }}', y: !secret 'cmd:touch asked'}}}"
    first, second = (loaded(tmp_path, text).host("a") for _ in range(2))
    assert first == first  # noqa: PLR0124 - it is about comparing
    assert first != second  # of two loads, nobody knows whether the secrets are the same
    assert not (tmp_path / "asked").exists()


def test_connection_variables_are_templates_too(tmp_path: Path) -> None:
    inventory = loaded(
        tmp_path,
        """
        all:
          vars:
            ansible_host: "{{ inventory_hostname }}.{{ domain }}"
            ansible_port: "{{ 2200 + number }}"
            kubexm_labels: {zone: "{{ zone }}"}
            domain: example.com
            zone: z1
          hosts:
            a: {number: 1}
            b: {number: 2, domain: example.org}
        """,
    )
    assert [host.endpoint.address for host in inventory.hosts] == ["a.example.com", "b.example.org"]
    assert [host.endpoint.port for host in inventory.hosts] == [2201, 2202]
    assert inventory.host("a").labels == {"zone": "z1"}


@pytest.mark.parametrize(
    ("template", "others", "message", "hint"),
    [
        (
            "'{{ colour }}'",
            {"color": "1"},
            "x of host a: 'colour' is undefined",
            "did you mean 'color'?",
        ),
        ("'{{ y }}'", {"y": "'{{ gone }}'"}, "y of host a: 'gone' is undefined", "needed by x"),
        ("'{{ m.k }}'", {"m": "{}"}, "x of host a: 'a mapping' has no attribute 'k'", ""),
        ("'{{ 1 + }}'", {}, "x of host a: unexpected 'end of print statement'", ""),
        ("'{{ 1 | nothing }}'", {}, "x of host a: No filter named 'nothing'.", ""),
        ("'{{ 1 / 0 }}'", {}, "x of host a: ZeroDivisionError: division by zero", ""),
        ("'{{ x }}'", {}, "'x' of host a is defined by itself: x → x", None),
        (
            "'{{ y }}'",
            {"y": "'{{ z }}'", "z": "['{{ x }}']"},
            "'x' of host a is defined by itself: x → y → z → x",
            None,
        ),
    ],
)
def test_template_that_fails_is_told_with_its_place(
    tmp_path: Path, template: str, others: dict[str, str], message: str, hint: str | None
) -> None:
    with pytest.raises(InventoryError) as caught:
        value(tmp_path, template, **others)
    line = 5 if message.startswith("y ") else 4
    assert str(caught.value) == f"{tmp_path}/inv.yaml:{line}:7: {message}"
    cycle = "give one of them a value without a template"
    assert caught.value.hint == (cycle if hint is None else hint)


def test_cycle_through_two_hosts_names_both(tmp_path: Path) -> None:
    text = """
    all:
      hosts:
        a: {x: "{{ hostvars.b.x }}"}
        b: {x: "{{ hostvars.a.x }}"}
    """
    with pytest.raises(InventoryError, match=r"defined by itself: a\.x → b\.x → a\.x"):
        loaded(tmp_path, text).host("a").variables["x"]


def test_faults_of_connection_templates_are_told_at_once_for_each_host(tmp_path: Path) -> None:
    text = """
    all:
      vars: {ansible_host: "{{ ip }}", ansible_port: "{{ port }}"}
      hosts:
        a: {port: 1}
        b: {port: high, ip: 192.0.2.1}
    """
    with pytest.raises(InventoryError) as caught:
        loaded(tmp_path, text)
    place = f"{tmp_path}/inv.yaml:2"
    assert str(caught.value).splitlines()[1:] == [
        f"{place}:10: ansible_host of host a: 'ip' is undefined",
        f"{place}:50: ansible_port must be a whole number from 1 to 65535, not 'high' (for host b)",
    ]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("'{{ s }}'", Secret(PASSWORD)),
        ("'a{{ s }}b'", Secret(f"a{PASSWORD}b")),
        ("'{{ [s, 1] }}'", (Secret(PASSWORD), Secret("1"))),
        ("'{{ m.k }}'", Secret(PASSWORD)),
        ("'{{ m.plain }}'", "p"),
        ("'{{ m.values() | join }}'", Secret(f"{PASSWORD}p")),
        ("'{{ m | to_json }}'", Secret(f'{{"k": "{PASSWORD}", "plain": "p"}}')),
        ("'{{ s | length }}'", Secret(str(len(PASSWORD)))),
        ("'{{ s is defined }}'", True),
        ("{a: '{{ s }}', b: 1}", {"a": Secret(PASSWORD), "b": 1}),
        ("'{{ hostvars.a.s }}'", Secret(PASSWORD)),
    ],
)
def test_what_a_secret_goes_into_is_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str, expected: object
) -> None:
    monkeypatch.setenv("S", PASSWORD)
    others = {"s": "!secret env:S", "m": "{k: !secret env:S, plain: p}"}
    found = value(tmp_path, template, **others)
    assert found == expected
    assert PASSWORD not in repr(found)


@pytest.mark.parametrize("template", ["'{{ {}[s] }}'", "'{{ s.nothing }}'", "'{{ m[s] }}'"])
def test_failing_template_does_not_show_the_secret_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    monkeypatch.setenv("S", PASSWORD)
    with pytest.raises(InventoryError) as caught:
        value(tmp_path, template, s="!secret env:S", m="{}")
    error: BaseException | None = caught.value
    while error is not None:
        assert PASSWORD not in f"{error!s} {error!r}"
        error = error.__cause__ or error.__context__


def test_many_threads_read_one_variable(tmp_path: Path) -> None:
    inventory = loaded(tmp_path, "all: {hosts: {a: {x: '{{ y }}', y: '{{ z }}', z: 1}}}")
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(inventory.host("a").variables["x"]))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 20
