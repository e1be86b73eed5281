"""`inv inventory.*`, as typed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from kubexm.inventory.schema import schema
from tests.unit.tasks import command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.tasks.command import Done

INVENTORY = """\
all:
  vars: {a: 1, ansible_user: ops, ansible_become_password: hunter2}
  hosts:
    lone: {x: 1}
    bare:
  children:
    web:
      hosts:
        w1: {kubexm_labels: {zone: west}}
        w2: {y: [1, {z: no, 3: .inf}], kubexm_port: 2222, ansible_ssh_pass: "hunter3"}
      vars: {v: 1}
    empty:
    outer:
      children: {web: , db: {hosts: {d1: }}}
    outer2:
      children: {web: }
"""
SHARED = {"a": 1, "ansible_user": "ops", "ansible_become_password": "***"}
LISTED = {
    "_meta": {
        "hostvars": {
            "bare": SHARED,
            "d1": SHARED,
            "lone": {**SHARED, "x": 1},
            "w1": {**SHARED, "kubexm_labels": {"zone": "west"}, "v": 1},
            "w2": {
                **SHARED,
                "ansible_ssh_pass": "***",
                "kubexm_port": 2222,
                "v": 1,
                "y": [1, {"3": "inf", "z": False}],
            },
        },
    },
    "all": {"children": ["ungrouped", "web", "empty", "outer", "outer2"]},
    "db": {"hosts": ["d1"]},
    "outer": {"children": ["web", "db"]},
    "outer2": {"children": ["web"]},
    "ungrouped": {"hosts": ["lone", "bare"]},
    "web": {"hosts": ["w1", "w2"]},
}
"""As ansible-core 2.19 prints it, but for the secrets, which are masked here."""

TREE = """\
@all:
  |--@ungrouped:
  |  |--lone
  |  |--bare
  |--@web:
  |  |--w1
  |  |--w2
  |--@empty:
  |--@outer:
  |  |--@web:
  |  |  |--w1
  |  |  |--w2
  |  |--@db:
  |  |  |--d1
  |--@outer2:
  |  |--@web:
  |  |  |--w1
  |  |  |--w2
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "default.yaml").write_text(INVENTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBEXM_INVENTORY", raising=False)
    return tmp_path


def inv(*words: str) -> Done:
    done = command.inv(*words)
    assert "hunter" not in done.stdout + done.stderr
    return done


@pytest.mark.usefixtures("project")
def test_list_is_that_of_ansible_inventory_with_secrets_masked() -> None:
    listed = inv("inventory.list")
    assert (json.loads(listed.stdout), listed.stderr, listed.returncode) == (LISTED, "", 0)
    some = json.loads(inv("inventory.list", "--limit", "zone=west").stdout)
    assert some["_meta"]["hostvars"].keys() == {"w1"}
    assert (some["web"], "db" in some) == ({"hosts": ["w1"]}, False)


@pytest.mark.usefixtures("project")
def test_hosts_are_shown_as_they_were_understood() -> None:
    shown = inv("inventory.show", "--limit", "w2", "-e", "a=2")
    expected = {
        "w2": {
            "address": "w2",
            "internal_address": "w2",
            "groups": ["outer", "outer2", "web"],
            "mode": "live",
            "connection": {
                "plugin": "ssh",
                "address": "w2",
                "port": 2222,
                "user": "ops",
                "password": "***",
                "host_key_policy": "accept-new",
                "connect_timeout_s": 15,
            },
            "become": {"when": "auto", "method": "sudo", "user": "root", "password": "***"},
            "variables": {
                **SHARED,
                "a": "2",
                "ansible_ssh_pass": "***",
                "kubexm_port": 2222,
                "v": 1,
                "y": [1, {"z": False, "3": "inf"}],
            },
        }
    }
    assert YAML(typ="safe").load(shown.stdout) == expected
    as_json = inv("inventory.show", "--limit", "w2", "-e", "a=2", "--output", "json")
    assert json.loads(as_json.stdout) == expected


@pytest.mark.usefixtures("project")
def test_groups_are_drawn_as_a_tree_and_for_graphviz() -> None:
    assert inv("inventory.graph").stdout == TREE
    drawn = inv("inventory.graph", "--dot", "--limit", "d1").stdout.splitlines()
    assert (drawn[0], drawn[-1]) == ("digraph inventory {", "}")
    assert '  "group outer" -> "group db";' in drawn
    assert [line for line in drawn if "host " in line] == [
        '  "group db" -> "host d1";',
        '  "host d1" [label="d1", shape=ellipse];',
    ]
    graph = json.loads(inv("inventory.graph", "--output", "json").stdout)
    assert graph["web"] == {"depth": 2, "children": [], "hosts": ["w1", "w2"]}
    assert graph["outer"]["children"] == ["web", "db"]


@pytest.mark.usefixtures("project")
def test_sound_inventory_is_said_to_be_so() -> None:
    checked = inv("inventory.check")
    assert (checked.stdout, checked.returncode) == (
        "5 hosts, 7 groups: no errors, no warnings\n",
        0,
    )


def test_every_mistake_and_warning_is_told_at_once_with_exit_code_5(project: Path) -> None:
    path = project / "broken.yaml"
    path.write_text("all: {hosts: {a: {kubexm_port: x}}, host: {}}\n")
    checked = inv("inventory.check", "-i", "broken.yaml")
    assert checked.returncode == 5
    assert checked.stdout == (
        "error: broken.yaml:1:32: kubexm_port must be a whole number from 1 to 65535, not 'x'\n"
        "error: broken.yaml:1:37: unknown key 'host' in group 'all'\n"
        "  hint: did you mean 'hosts'?\n"
        "2 errors, no warnings\n"
    )
    path.write_text("all: {hosts: {a_1: {kubexm_private_key_file: id, kubexm_connection: shs}}}\n")
    found = inv("inventory.check", "-i", "broken.yaml", "--output", "json")
    assert found.returncode == 5
    said = json.loads(found.stdout)
    assert (said["hosts"], said["groups"]) == (1, 2)
    assert said["errors"] == [
        {
            "path": "broken.yaml",
            "line": 1,
            "column": 50,
            "key": "kubexm_connection",
            "message": "kubexm_connection names the connector 'shs', which is not installed",
            "hint": "did you mean 'ssh'?",
        }
    ]
    (warning,) = said["warnings"]
    assert warning.startswith("broken.yaml:1:15: a host name has letters")


def test_missing_key_is_told_before_anything_connects_and_only_for_hosts_that_are_meant(
    project: Path,
) -> None:
    (project / "inventories" / "default.yaml").write_text(
        "all:\n  hosts:\n    a: {kubexm_private_key_file: id}\n"
        "    b: {kubexm_connection: local, kubexm_become: false}\n"
    )
    refused = inv("hosts.ping")
    assert (refused.returncode, refused.stdout) == (5, "")
    assert f"3:9: kubexm_private_key_file names {project}/inventories/id" in refused.stderr
    assert inv("hosts.ping", "--limit", "b").returncode == 0
    assert inv("inventory.list").returncode == 0


TEMPLATES = """\
all:
  vars: {ansible_user: root, greeting: "{{ word }}!", ansible_become_password: hunter1}
  children:
    web:
      vars: {ansible_user: ops}
      hosts:
        w1: {ansible_user: me, kubexm_user: you, word: hello}
        w2:
        w3:
"""


@pytest.fixture
def templates(project: Path) -> Path:
    inventories = project / "inventories"
    (inventories / "default.yaml").write_text(TEMPLATES)
    (inventories / "group_vars").mkdir()
    (inventories / "group_vars" / "web.yaml").write_text("ansible_user: deploy\n")
    return project


@pytest.mark.usefixtures("templates")
def test_variable_is_explained_with_what_won_and_what_lost() -> None:
    told = inv("inventory.explain", "ansible_user", "--host", "w1").stdout
    file = "inventories/default.yaml"
    assert told.splitlines() == [
        'ansible_user of w1 is "me"',
        f'  from {file}:7:14 (host w1): "me"',
        '  over inventories/group_vars/web.yaml:1:1 (group web): "deploy"',
        f'  over {file}:5:14 (group web): "ops"',
        f'  over {file}:2:10 (group all): "root"',
        f'  kubexm_user is the same setting: {file}:7:32 (host w1): "you"',
    ]
    extra = inv("inventory.explain", "greeting", "--host=w1", "-e", "word=bye")
    assert extra.stdout.splitlines()[0] == 'greeting of w1 is "bye!"'
    word = inv("inventory.explain", "word", "--host=w1", "-e", "word=bye", "--output=json")
    (explained,) = json.loads(word.stdout)
    assert (explained["host"], explained["value"]) == ("w1", "bye")
    assert [each["source"] for each in explained["assignments"]] == ["extra variables", "host w1"]
    assert explained["assignments"][1] == {
        "source": "host w1",
        "path": file,
        "line": 7,
        "column": 50,
        "value": "hello",
    }


@pytest.mark.usefixtures("templates")
def test_secret_is_explained_without_showing_it() -> None:
    told = inv("inventory.explain", "ansible_become_password", "--limit", "w2,w3")
    assert told.stdout.splitlines()[:2] == [
        'ansible_become_password of w2 is "***"',
        '  from inventories/default.yaml:2:55 (group all): "***"',
    ]


@pytest.mark.usefixtures("templates")
def test_variable_that_nothing_sets_is_told_with_the_closest() -> None:
    unset = inv("inventory.explain", "ansible_usr", "--host", "w2")
    assert (unset.returncode, unset.stdout) == (5, "")
    assert "nothing sets 'ansible_usr' for w2" in unset.stderr
    assert "did you mean 'ansible_user'?" in unset.stderr


@pytest.mark.usefixtures("templates")
def test_template_that_cannot_be_evaluated_is_a_warning_and_shown_as_it_is_written() -> None:
    warning = "inventories/default.yaml:2:30: greeting of host w2: 'word' is undefined"
    checked = inv("inventory.check")
    assert checked.returncode == 0
    assert checked.stdout == (
        f"warning: {warning} (and on 1 more)\n3 hosts, 3 groups: no errors, 1 warning\n"
    )
    shown = inv("inventory.show", "--output", "json")
    assert warning in shown.stderr
    hosts = json.loads(shown.stdout)
    assert hosts["w1"]["variables"]["greeting"] == "hello!"
    assert hosts["w2"]["variables"]["greeting"] == "{{ word }}!"
    listed = json.loads(inv("inventory.list").stdout)
    assert listed["_meta"]["hostvars"]["w1"]["greeting"] == "{{ word }}!"


@pytest.mark.usefixtures("project")
def test_schema_is_printed() -> None:
    assert json.loads(inv("inventory.schema").stdout) == schema()


@pytest.mark.usefixtures("project")
def test_mistake_in_the_limit_leaves_stdout_to_json() -> None:
    done = inv("inventory.list", "--limit", "zoen=a", "--output", "json")
    assert (done.returncode, done.stdout) == (5, "")
    assert "no host has a label 'zoen'" in done.stderr
