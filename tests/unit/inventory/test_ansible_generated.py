"""The same hosts, groups and values as Ansible's own reading of generated inventories."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kubexm.inventory import load
from tests.ansible import reference, shape

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.full

GROUPS = ("delta", "alpha", "gamma", "beta")
HOSTS = ("h1", "h2", "n[1:3]", "r[a:c].example.com", "s[00:09:3]", "p1:2222", "192.0.2.5")
NAMES = st.sampled_from(["v", "w", "x", "y"])
WORDS = st.text(st.sampled_from("ab 1.,:{}[]()'\"=#\\-_%/@~é"), max_size=8)
"""What INI values are made of: everything that quoting and literals can trip over."""
LITERALS = st.sampled_from(
    [
        *("1", "-5", "017", "0x1f", "1.5", "1e3", "True", "yes", "None", "'quoted'", "[1, 'a']"),
        *("{'a': {'b': 1}}", "(1, 2)", "1_000", "''", "a b", "a=b", "v1.2.3", "{{ x }}", "b'x'"),
    ]
)
SCALARS = st.one_of(
    st.integers(-99, 99),
    st.booleans(),
    st.none(),
    st.sampled_from(["", "text", "yes", "0123", "{{ v }}", "a: b", "# no", "1.5", "~"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=4,
)
VARIABLES = st.dictionaries(NAMES, VALUES, max_size=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Files of one inventory, by path."""

    files: Mapping[str, str]
    sources: tuple[str, ...] = field(default=("hosts",))

    def write(self, directory: Path) -> list[str]:
        for name, text in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return [str(directory / source) for source in self.sources]


@st.composite
def beside(draw: st.DrawFn) -> dict[str, str]:
    """Files of variables."""
    found = {}
    for kind, names in (("group_vars", ("all", "ungrouped", *GROUPS)), ("host_vars", ("h1", "n2"))):
        for name in draw(st.lists(st.sampled_from(names), max_size=3, unique=True)):
            end = draw(st.sampled_from(["", ".yml", ".yaml", ".json", "/a.yml", "/b"]))
            found[f"{kind}/{name}{end}"] = json.dumps(draw(VARIABLES))
    return found


@st.composite
def yaml_trees(draw: st.DrawFn) -> Tree:
    """Groups without cycles: each has only children after it."""
    document: dict[str, object] = {}
    for group in draw(st.permutations(GROUPS)):
        content: dict[str, object] = {}
        hosts = draw(st.lists(st.sampled_from(HOSTS), max_size=3, unique=True))
        if hosts:
            content["hosts"] = {host: draw(VARIABLES) or None for host in hosts}
        if later := GROUPS[GROUPS.index(group) + 1 :]:
            children = draw(st.lists(st.sampled_from(later), max_size=2, unique=True))
            content["children"] = dict.fromkeys(children)
        variables: dict[str, object] = dict(draw(VARIABLES))
        if draw(st.booleans()):
            variables["ansible_group_priority"] = draw(st.integers(1, 3))
        content["vars"] = variables
        document[group] = content
    hosts = draw(st.lists(st.sampled_from(HOSTS), max_size=3, unique=True))
    document["all"] = {"hosts": {**dict.fromkeys(hosts), "only": None}, "vars": draw(VARIABLES)}
    return Tree(files={"hosts.yml": json.dumps(document), **draw(beside())}, sources=("hosts.yml",))


@st.composite
def ini_trees(draw: st.DrawFn) -> Tree:
    lines = ["only"]
    hosts = st.lists(st.sampled_from(HOSTS), max_size=3, unique=True)

    def inline() -> str:
        value = draw(LITERALS)
        quote = "'" if '"' in value or "\\" in value else '"'
        return f"{draw(NAMES)}={quote}{value}{quote}" if quote not in value else f"z={value!r}"

    lines += [f"{host} {inline()}" for host in draw(hosts)]
    for index, group in enumerate(GROUPS):
        lines.append(f"[{group}]  # a group")
        lines += [f"{host} {inline()} {inline()}" for host in draw(hosts)]
        if later := GROUPS[index + 1 :]:
            children = draw(st.lists(st.sampled_from(later), max_size=2, unique=True))
            lines += [f"[{group}:children]", *children] if children else []
        lines.append(f"[{group}:vars]")
        values = draw(st.lists(st.one_of(LITERALS, WORDS), max_size=3))
        lines += [f"{draw(NAMES)} = {value}" for value in values]
    lines.append("[all:vars]")
    lines += [f"{draw(NAMES)}={draw(LITERALS)}" for _ in range(2)]
    return Tree(files={"hosts": "\n".join(lines) + "\n", **draw(beside())})


def gathered(kind: st.SearchStrategy[Tree], count: int) -> list[Tree]:
    """Many examples at once, because one call of Ansible takes seconds."""
    found: list[Tree] = []

    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(tree=kind)
    def collect(tree: Tree) -> None:
        found.append(tree)

    collect()
    return found


@pytest.mark.parametrize("kind", ["yaml", "ini", "both"])
@pytest.mark.timeout(600)
def test_generated_inventories_are_read_as_ansible_reads_them(tmp_path: Path, kind: str) -> None:
    trees = {
        "yaml": yaml_trees(),
        "ini": ini_trees(),
        "both": st.builds(both, yaml_trees(), ini_trees()),
    }
    examples = gathered(trees[kind], 40)
    sources = [tree.write(tmp_path / str(number)) for number, tree in enumerate(examples)]
    words = [[word for source in each for word in ("-i", source)] for each in sources]
    (tmp_path / "empty").mkdir()
    try:
        answers = reference.listed(words, tmp_path / "empty")
    except reference.AbsentError as error:
        pytest.skip(str(error))
    for each, answer in zip(sources, answers, strict=True):
        ours, theirs = shape.of_kubexm(load(*each)), shape.of_ansible(answer)
        assert shape.differences(ours, theirs) == [], each


def both(first: Tree, second: Tree) -> Tree:
    """Two sources, each in a directory of its own."""
    files = {
        f"{at}/{name}": text
        for at, tree in (("a", first), ("b", second))
        for name, text in tree.files.items()
    }
    return Tree(files=files, sources=("a/hosts.yml", "b/hosts"))
