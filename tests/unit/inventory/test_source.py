"""Where an inventory is read from: directories, programs, lists of hosts, several of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.errors import InventoryError, UsageError
from kubexm.inventory import Assignment, Origin, load

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str, *, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def program(directory: Path, body: str) -> Path:
    return write(directory / "inventory.sh", f"#!/bin/sh\n{body}\n", mode=0o755)


def test_of_several_sources_the_later_has_the_say(tmp_path: Path) -> None:
    first = write(tmp_path / "a.yaml", "web: {hosts: {a: {x: 1, y: 1}, b: }}\n")
    second = write(tmp_path / "b.ini", "[web]\na x=2\nc\n")
    inventory = load(first, second, "d,a,")
    assert [host.name for host in inventory.hosts] == ["a", "b", "c", "d"]
    assert inventory.host("a").variables == {"x": 2, "y": 1}
    assert inventory.sources == (str(first), str(second), "d,a,")
    assert inventory.assignments("a", "x") == (
        Assignment(1, Origin("host a", 1, 19, str(first))),
        Assignment(2, Origin("host a", 2, 3, str(second))),
    )
    assert inventory.warnings == ()


def test_every_level_that_set_a_variable_is_known(tmp_path: Path) -> None:
    hosts = write(
        tmp_path / "hosts.yaml",
        "all: {vars: {x: all}}\nup: {children: {web: }, vars: {x: up}}\n"
        "web: {hosts: {a: {x: host}}, vars: {x: web}}\n",
    )
    write(tmp_path / "group_vars/all.yml", "x: all file\n")
    write(tmp_path / "group_vars/web/b.yml", "x: web b\n")
    write(tmp_path / "group_vars/web/a.yml", "x: web a\n")
    write(tmp_path / "host_vars/a", "x: host file\n")
    write(tmp_path / "extra.yml", "x: extra file\n")
    inventory = load(
        hosts,
        extra_variables={"x": "extra"},
        extra_words=[f"@{tmp_path}/extra.yml", "x=word"],
        arguments={"x": "task"},
    )
    found = inventory.assignments("a", "x")
    assert [each.value for each in found] == [
        *("all", "up", "web", "all file", "web a", "web b", "host", "host file"),
        *("task", "extra", "extra file", "word"),
    ]
    assert [str(each.origin) for each in found][4:] == [
        f"{tmp_path}/group_vars/web/a.yml:1:1 (group web)",
        f"{tmp_path}/group_vars/web/b.yml:1:1 (group web)",
        f"{hosts}:3:19 (host a)",
        f"{tmp_path}/host_vars/a:1:1 (host a)",
        "task arguments",
        "extra variables",
        f"{tmp_path}/extra.yml:1:1 (extra variables)",
        "extra variables",
    ]
    assert inventory.host("a").variables["x"] == "word"
    assert inventory.assignments("a", "nothing") == ()
    assert next(each.value for each in inventory.assignments("control-node", "x")) == "task"


def test_mappings_are_merged_when_asked(tmp_path: Path) -> None:
    hosts = write(
        tmp_path / "hosts.yaml",
        "all:\n  vars: {m: {a: 1, b: {c: 1}}, kubexm_labels: {x: '1'}}\n"
        "  hosts: {h: {m: {b: {d: 2}}, kubexm_labels: {y: '2'}}}\n",
    )
    assert load(hosts).host("h").variables["m"] == {"b": {"d": 2}}
    merged = load(hosts, merge=True).host("h")
    assert merged.variables["m"] == {"a": 1, "b": {"c": 1, "d": 2}}
    assert merged.labels == {"x": "1", "y": "2"}


def test_files_of_variables_are_checked_like_the_inventory(tmp_path: Path) -> None:
    hosts = write(tmp_path / "hosts.yaml", "web: {hosts: {a: }}\n")
    write(tmp_path / "group_vars/web.yml", "kubexm_usr: x\nkubexm_port: 0\n")
    write(tmp_path / "host_vars/a.yml", "- x\n")
    with pytest.raises(InventoryError) as caught:
        load(hosts)
    assert str(caught.value).splitlines()[1:] == [
        (
            f"{tmp_path}/group_vars/web.yml:1:1: unknown variable 'kubexm_usr' "
            "(did you mean kubexm_user?)"
        ),
        (
            f"{tmp_path}/group_vars/web.yml:2:14: kubexm_port must be a whole number "
            "from 1 to 65535, not 0"
        ),
        (
            f"{tmp_path}/host_vars/a.yml:1:1: a file of variables must be a mapping, not a list "
            "(write each variable as 'name: value')"
        ),
    ]


def test_file_of_variables_for_nobody_is_warned_about(tmp_path: Path) -> None:
    hosts = write(tmp_path / "hosts.yaml", "web: {hosts: {a: }}\n")
    write(tmp_path / "group_vars/wbe.yml", "x: 1\n")
    write(tmp_path / "host_vars/README.md", "x\n")
    reason = "not read, as no group has this name, or another file for it counts"
    assert load(hosts).warnings == (f"{tmp_path}/group_vars/wbe.yml: {reason}",)


def test_relative_path_in_a_file_of_variables_starts_at_the_inventory(tmp_path: Path) -> None:
    hosts = write(tmp_path / "hosts.yaml", "web: {hosts: {a: }}\n")
    write(tmp_path / "group_vars/web.yml", "kubexm_private_key_file: keys/id\n")
    assert load(hosts).host("a").endpoint.private_key == str(tmp_path / "keys/id")


def test_program_is_asked_for_its_list_and_for_each_host(tmp_path: Path) -> None:
    path = program(
        tmp_path,
        'echo "$@" >> "$0.log"\n'
        'if [ "$1" = --list ]; then echo \'{"web": ["a", "b"]}\'\n'
        'else echo "{\\"n\\": \\"$2\\"}"; fi',
    )
    inventory = load(path)
    assert [(host.name, host.variables["n"]) for host in inventory.hosts] == [
        ("a", "a"),
        ("b", "b"),
    ]
    log = (tmp_path / "inventory.sh.log").read_text()
    assert log == "--list\n--host a\n--host b\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo no cloud >&2; exit 3", "--list exited with 3: no cloud"),
        ("echo hello", "--list did not print JSON: Expecting value: line 1 column 1 (char 0)"),
        ("echo '[]'", "what --list prints must be a JSON object"),
        ('echo \'{"web": {"hosts": "a"}}\'', "hosts of group 'web' must be a list of names"),
        ("echo '{\"web\": 1}'", "web must be a JSON object"),
    ],
)
def test_program_that_does_not_answer_is_told(tmp_path: Path, body: str, message: str) -> None:
    path = program(tmp_path, body)
    with pytest.raises(InventoryError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: {message}"


def test_mistake_in_what_a_program_prints_names_the_program(tmp_path: Path) -> None:
    path = program(
        tmp_path, 'echo \'{"web": ["a"], "_meta": {"hostvars": {"a": {"kubexm_port": 0}}}}\''
    )
    with pytest.raises(InventoryError) as caught:
        load(path)
    said = "kubexm_port must be a whole number from 1 to 65535, not 0"
    assert str(caught.value) == f"{path}: {said}"


def test_directory_is_read_by_name_and_without_what_is_no_inventory(tmp_path: Path) -> None:
    for name in (".hidden", "notes.md", "old.bak", "hosts~", "group_vars/x", "host_vars/y"):
        write(tmp_path / name, "- no inventory\n")
    write(tmp_path / "2.yaml", "web: {hosts: {a: {x: 2}}}\n")
    write(tmp_path / "10", "[web]\na x=10\nb\n")
    write(tmp_path / "sub/deep.yaml", "web: {hosts: {c: }}\n")
    inventory = load(tmp_path)
    assert [host.name for host in inventory.hosts] == ["a", "b", "c"]
    assert inventory.host("a").variables == {"x": 2}


def test_toml_is_told(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="is TOML, which is not read here"):
        load(write(tmp_path / "hosts.toml", "[all.hosts]\nweb1 = {}\n"))


@pytest.mark.parametrize("given", ["web1", ""])
def test_what_is_no_source_is_told(given: str) -> None:
    with pytest.raises(InventoryError) as caught:
        load(given)
    assert caught.value.hint == "name one with --inventory, or set KUBEXM_INVENTORY"


def test_no_source_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="at least one source"):
        load()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a=1"], {"a": "1"}),
        (["a=b=c d"], {"a": "b=c d"}),
        (['{"a": {"b": [1, true]}}'], {"a": {"b": (1, True)}}),
        (["a=1", "a=2"], {"a": "2"}),
        (["@{}/v.yaml"], {"a": 5, "b": "x"}),
        (["@{}/v.yaml", "a=6"], {"a": "6", "b": "x"}),
    ],
)
def test_extra_words_are_variables(
    tmp_path: Path, words: list[str], expected: dict[str, object]
) -> None:
    write(tmp_path / "v.yaml", "a: 5\nb: x\n")
    hosts = write(tmp_path / "hosts.yaml", "all: {hosts: {h: {a: host}}}\n")
    words = [word.replace("{}", str(tmp_path)) for word in words]
    assert load(hosts, extra_words=words).host("h").variables == expected


@pytest.mark.parametrize("word", ["a", "=1", "a b=1", "{a: 1}", '{"a": '])
def test_extra_word_that_is_none_is_told_without_its_value(tmp_path: Path, word: str) -> None:
    hosts = write(tmp_path / "hosts.yaml", "all: {hosts: {h: }}\n")
    with pytest.raises(UsageError, match="--extra-var"):
        load(hosts, extra_words=[word])


def test_mistake_in_a_file_of_extra_variables_has_its_place(tmp_path: Path) -> None:
    hosts = write(tmp_path / "hosts.yaml", "all: {hosts: {h: }}\n")
    extra = write(tmp_path / "v.yaml", "x: 1\nkubexm_port: no\n")
    with pytest.raises(InventoryError) as caught:
        load(hosts, extra_words=[f"@{extra}"])
    assert str(caught.value).startswith(f"{extra}:2:14: kubexm_port must be")
    with pytest.raises(InventoryError, match="there is no such file"):
        load(hosts, extra_words=["@gone.yaml"])
