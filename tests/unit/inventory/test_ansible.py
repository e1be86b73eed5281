"""The same hosts, groups and values as Ansible's own reading of real-world-shaped inventories.

What ansible-core said of each inventory of `good/` is in `ansible/`; the test that asks it again is
marked `full`, and with KUBEXM_RECORD=1 it writes the answers down.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kubexm.inventory import load, vault_key
from tests.ansible import reference, shape

if TYPE_CHECKING:
    from kubexm.secret import Secret

GOOD = Path(__file__).parent / "good"
ANSIBLE = Path(__file__).parent / "ansible"
CASES = sorted(path.name for path in GOOD.iterdir())
SOURCES = {
    "mixed": ("hosts.ini", "site", "w9,w1,[2001:db8::5]:2222"),
    "several": ("",),
}
"""Where it is not the one file or program in the directory."""
PASSWORD_FILE = "vault-password"


def sources(case: str) -> list[str]:
    """What is named after `-i`, with the path of what is a path."""
    directory = GOOD / case
    beside = {"group_vars", "host_vars", PASSWORD_FILE}
    files = sorted(path.name for path in directory.iterdir() if path.name not in beside)
    names = SOURCES.get(case, tuple(files))
    return [name if "," in name else str(directory / name) for name in names]


def ours(case: str) -> dict[str, Any]:
    key = GOOD / case / PASSWORD_FILE
    keys = (vault_key(str(key), no_terminal),) if key.exists() else ()
    return shape.of_kubexm(load(*sources(case), vault_keys=keys))


def no_terminal(prompt: str) -> Secret:
    pytest.fail(f"asked for {prompt}")


def test_there_are_twenty_inventories_of_real_shapes() -> None:
    assert len(CASES) >= 20
    assert {"kubespray_yaml", "kubespray_ini", "awx"} <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_inventory_has_the_hosts_groups_and_values_that_ansible_gives_it(case: str) -> None:
    recorded = json.loads((ANSIBLE / f"{case}.json").read_text())
    assert shape.differences(ours(case), recorded["inventory"]) == []


@pytest.mark.full
def test_recorded_answers_are_those_of_ansible_core(tmp_path: Path) -> None:
    words = []
    for case in CASES:
        key = GOOD / case / PASSWORD_FILE
        secret = ["--vault-password-file", str(key)] if key.exists() else []
        words.append([*(word for name in sources(case) for word in ("-i", name)), *secret])
    try:
        answers = reference.listed(words, tmp_path)
    except reference.AbsentError as error:
        pytest.skip(str(error))
    for case, answer in zip(CASES, answers, strict=True):
        text = json.dumps(answer).replace(str(GOOD / case), "GOOD")
        asked = {
            "ansible_core": reference.version(),
            "inventory": shape.of_ansible(json.loads(text)),
        }
        path = ANSIBLE / f"{case}.json"
        if os.environ.get("KUBEXM_RECORD"):
            path.write_text(json.dumps(asked, indent=1, sort_keys=True) + "\n")
        assert json.loads(path.read_text()) == asked, case
