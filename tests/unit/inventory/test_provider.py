"""`!secret`: from the environment, files, programs and the keyring, never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.errors import InventoryError
from kubexm.secret import Secret
from tests.unit.inventory.write import loaded

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "hunter2xyzzy"
KNOWN = "cmd, env, file, keyring"


def fetched(directory: Path, word: str) -> object:
    return (
        loaded(directory, f"all: {{hosts: {{a: {{x: !secret '{word}'}}}}}}")
        .host("a")
        .variables["x"]
    )


def test_secrets_come_from_environment_file_and_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S", PASSWORD)
    (tmp_path / "s.txt").write_text(PASSWORD + "\n")
    for word in (
        "env:S",
        "file:s.txt",
        f"file:{tmp_path}/s.txt",
        "cmd:cat s.txt",
        f"cmd:echo {PASSWORD}",
    ):
        found = fetched(tmp_path, word)
        assert found == Secret(PASSWORD)
        assert PASSWORD not in repr(found)


def test_program_is_asked_once_and_only_when_needed(tmp_path: Path) -> None:
    text = """
    all:
      vars: {x: !secret "cmd:sh -c 'echo asked >> log; echo s'", unread: !secret "cmd:false"}
      hosts:
        a: {y: "{{ x }}"}
        b: {y: !secret "cmd:sh -c 'echo asked >> log; echo s'"}
    """
    inventory = loaded(tmp_path, text)
    assert not (tmp_path / "log").exists()
    for host in inventory.hosts:
        assert (host.variables["x"], host.variables["y"]) == (Secret("s"), Secret("s"))
    assert (tmp_path / "log").read_text() == "asked\n"


def test_connection_variable_is_fetched_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S", PASSWORD)
    host = loaded(
        tmp_path,
        "all: {hosts: {a: {kubexm_become_password: !secret env:S, kubexm_user: !secret env:S}}}",
    ).host("a")
    assert host.escalation.password == Secret(PASSWORD)
    assert host.endpoint.user == PASSWORD
    assert PASSWORD not in repr(dict(host.variables))


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("env:KX_GONE", "the environment has no 'KX_GONE'", "export KX_GONE"),
        ("file:gone", "{}/gone cannot be read: No such file or directory", ""),
        ("file:empty", "{}/empty holds nothing", ""),
        ("cmd:false", "false exited with 1", ""),
        (
            "cmd:kx-no-such-program x",
            "kx-no-such-program cannot be run: No such file or directory",
            "",
        ),
        ('cmd:sh -c "echo locked >&2; exit 2"', "sh exited with 2: locked", ""),
        ("keyring:x", "a keyring''s entry is written SERVICE/USER", ""),
        (
            "x",
            "a secret is written !secret PROVIDER:NAME",
            f"for example env:NAME; providers: {KNOWN}",
        ),
        (
            "vualt:x",
            "there is no provider of secrets named 'vualt'",
            f"there are: {KNOWN}",
        ),
    ],
)
def test_secret_that_cannot_be_had_is_told_with_its_place(
    tmp_path: Path, word: str, message: str, hint: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(InventoryError) as caught:
        fetched(tmp_path, word)
    expected = message.replace("{}", str(tmp_path)).replace("''", "'")
    assert str(caught.value) == f"{tmp_path}/inv.yaml:1:22: {expected}"
    assert caught.value.hint == hint


def test_bad_secret_for_a_connection_variable_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S", PASSWORD)
    with pytest.raises(InventoryError) as caught:
        loaded(tmp_path, "all: {hosts: {a: {kubexm_port: !secret env:S}}}")
    assert str(caught.value).endswith("kubexm_port must be a whole number from 1 to 65535")
