"""The table of docs/connections.md is what the code says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.inventory import DEFINITIONS
from tests.tasks import ROOT

if TYPE_CHECKING:
    from kubexm.inventory import Definition


def row(definition: Definition) -> str:
    also = ", ".join(f"`{alias}`" for alias in definition.aliases)
    return f"| `{definition.name}` | {also} | {definition.accepts} | {definition.description} |"


def test_table_of_connections_is_true() -> None:
    text = (ROOT / "docs" / "connections.md").read_text()
    written = [line for line in text.splitlines() if line.startswith("| `kubexm_")]
    known = [row(each) for each in DEFINITIONS]
    assert [line for line in written if line not in known] == []


def test_table_of_connections_has_what_an_ssh_connection_takes() -> None:
    text = (ROOT / "docs" / "connections.md").read_text()
    names = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `kubexm_")}
    ours = {each.name for each in DEFINITIONS if each.lands in SSH or "become" in each.lands}
    assert names == ours


SSH = {
    *("address", "port", "user", "password", "private_key", "private_key_content", "passphrase"),
    *("certificate", "host_key_policy", "host_keys", "known_hosts", "bastions", "proxies"),
    *("proxy_password", "proxy_command", "connect_timeout_s", "connect_attempts"),
}
