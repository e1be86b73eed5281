"""Ansible Vault: payloads that ansible-vault wrote are read, and nothing else passes for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexm.errors import InventoryError
from kubexm.inventory import Inventory, VaultKey, load, vault_key
from kubexm.inventory.vault import Payload, VaultError
from kubexm.secret import Secret
from tests.unit.inventory.write import loaded

GOOD = Path(__file__).parent / "good" / "vault"
PASSWORD = (GOOD / "vault-password").read_text().strip()
KEYLESS = (
    "name a file that holds it with --vault-password-file or KUBEXM_VAULT_PASSWORD_FILE, "
    "or use --ask-vault-pass"
)


def never(prompt: str) -> Secret:
    pytest.fail(f"asked for {prompt}")


def of_good(*keys: VaultKey) -> Inventory:
    return load(GOOD / "hosts.yml", vault_keys=keys)


def test_what_ansible_vault_encrypted_is_read() -> None:
    host = of_good(VaultKey("default", Secret(PASSWORD))).host("v1")
    assert host.variables["inline"] == Secret("inline secret")
    assert host.variables["labelled"] == Secret("labelled secret")
    assert host.escalation.password == Secret("sudo pass")
    assert host.variables["token"] == Secret("s3cr3t-token")
    assert host.variables["url"] == Secret("https://v1:5432")
    assert host.variables["vault_list"] == (Secret("one"), {"deep": Secret("two")})
    assert (host.variables["vault_flag"], host.variables["vault_nothing"]) == (True, None)
    assert "secret" not in repr((host, dict(host.variables), host.written))


def test_key_of_the_label_is_tried_first_and_the_others_after_it() -> None:
    asked: list[str] = []

    def ask(prompt: str) -> Secret:
        asked.append(prompt)
        return Secret(PASSWORD)

    wrong = VaultKey("dev", Secret("wrong"))
    host = of_good(wrong, vault_key("prod@prompt", ask)).host("v1")
    assert host.variables["labelled"] == Secret("labelled secret")
    assert host.variables["inline"] == Secret("inline secret")
    assert asked == ["vault password (prod): "]


def test_password_is_asked_for_before_anything_else_and_only_when_needed(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(prompt: str) -> Secret:
        asked.append(prompt)
        return Secret(PASSWORD)

    payload = (GOOD / "group_vars/all/vault.yml").read_text().replace("\n", "\n" + " " * 8)
    loaded(tmp_path, "all: {hosts: {a: }}", vault_keys=[vault_key("prompt", ask)])
    assert asked == []
    text = f"all:\n  hosts:\n    a:\n      x: !vault |\n        {payload}\n"
    loaded(tmp_path, text, vault_keys=[vault_key("prompt", ask)])
    assert asked == ["vault password (default): "]


def test_password_comes_from_a_file_or_a_program(tmp_path: Path) -> None:
    program = tmp_path / "password.sh"
    program.write_text(f"#!/bin/sh\necho '{PASSWORD}'\n")
    program.chmod(0o755)
    for source in (str(GOOD / "vault-password"), str(program), f"any@{program}"):
        host = of_good(vault_key(source, never)).host("v1")
        assert host.variables["inline"] == Secret("inline secret")


def test_missing_password_is_told_at_the_encrypted_file() -> None:
    with pytest.raises(InventoryError) as caught:
        of_good()
    said = "this is encrypted with Ansible Vault, and there is no password for it"
    assert f"hosts.yml:18:32: {said} ({KEYLESS})" in str(caught.value)
    assert f"vault.yml:1:1: {said} ({KEYLESS})" in str(caught.value)


def test_wrong_password_is_told_without_it() -> None:
    with pytest.raises(InventoryError) as caught:
        of_good(VaultKey("one", Secret("wrong-password")))
    assert "no vault password opens this; there are some for: one" in str(caught.value)
    assert "wrong-password" not in f"{caught.value!s} {caught.value!r}"


def test_password_file_that_cannot_be_read_is_told() -> None:
    with pytest.raises(InventoryError, match="password file /nowhere/x cannot be read: No such"):
        of_good(vault_key("/nowhere/x", never))


def test_inline_value_that_nobody_reads_needs_no_password(tmp_path: Path) -> None:
    text = (
        "all:\n  hosts:\n    a:\n      x: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        00\n"
    )
    variables = loaded(tmp_path, text).host("a").variables
    assert len(variables) == 1
    with pytest.raises(InventoryError) as caught:
        variables["x"]
    said = "this Ansible Vault payload is damaged: it is not the hexadecimal text that it should be"
    assert str(caught.value) == f"{tmp_path}/inv.yaml:4:10: {said}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with"),
        ("$ANSIBLE_VAULT;1.0;AES\n00", "is of version 1.0 with AES"),
        ("$ANSIBLE_VAULT;1.1;AES256\nzz", "is damaged"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162", "is damaged"),
        ("$ANSIBLE_VAULT;1.1;AES256", "is damaged"),
    ],
)
def test_what_is_no_payload_is_refused(text: str, message: str) -> None:
    with pytest.raises(VaultError, match=message.replace("$", r"\$")):
        Payload.parse(text)


def test_payload_that_was_changed_is_refused() -> None:
    text = (GOOD / "group_vars/all/vault.yml").read_text().rstrip()
    with pytest.raises(VaultError):
        Payload.parse(text[:-2] + ("00" if text[-2:] != "00" else "01")).decrypt(PASSWORD)
