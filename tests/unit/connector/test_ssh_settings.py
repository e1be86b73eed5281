"""What ssh_config says, what it may not say, and how its files are joined."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexm.connector.endpoint import Endpoint, HostKeyPolicy
from kubexm.connector.ssh_config import joined, read_ssh_config
from kubexm.connector.ssh_settings import SshSettings


def settings(endpoint: Endpoint | None = None, /, **words: object) -> SshSettings:
    return SshSettings.of(endpoint or Endpoint(name="a"), words)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh" / "more").mkdir(parents=True)
    return tmp_path


def test_nothing_said_is_the_default(home: Path) -> None:
    found = settings()
    assert found.known_hosts == (home / ".ssh/known_hosts", home / ".ssh/known_hosts2")
    assert found.system_known_hosts == (
        Path("/etc/ssh/ssh_known_hosts"),
        Path("/etc/ssh/ssh_known_hosts2"),
    )
    assert (found.connect_timeout_s, found.connect_attempts) == (15, 1)
    assert found.keepalive_s * found.keepalive_count == 60
    assert found.host_key_policy is HostKeyPolicy.ACCEPT_NEW
    assert found.proxy_jump == found.proxy_command == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("30s", 30), ("2m", 120), ("1h30m", 5400), ("none", 15)]
)
def test_times_are_those_of_ssh_config(text: str, seconds: float) -> None:
    assert settings(connecttimeout=text).connect_timeout_s == seconds


@pytest.mark.parametrize("keyword", ["connecttimeout", "serveraliveinterval"])
@pytest.mark.parametrize("text", ["soon", "1x", "-1", "1 m", ""])
def test_time_that_is_none_names_its_keyword(keyword: str, text: str) -> None:
    with pytest.raises(ValueError, match=keyword):
        settings(**{keyword: text})


@pytest.mark.parametrize("keyword", ["connectionattempts", "serveralivecountmax"])
def test_number_that_is_none_names_its_keyword(keyword: str) -> None:
    with pytest.raises(ValueError, match=keyword):
        settings(**{keyword: "many"})


def test_the_endpoint_has_the_say() -> None:
    endpoint = Endpoint(name="a", connect_timeout_s=3, connect_attempts=2, known_hosts="/k n")
    found = settings(
        endpoint, connecttimeout="9", connectionattempts="9", userknownhostsfile="/other"
    )
    assert (found.connect_timeout_s, found.connect_attempts) == (3, 2)
    assert found.known_hosts == (Path("/k n"),)


def test_none_for_known_hosts_keeps_nothing() -> None:
    assert settings(userknownhostsfile="none").known_hosts == (Path("/dev/null"),)


@pytest.mark.parametrize("policy", HostKeyPolicy)
@pytest.mark.parametrize("checking", ["yes", "no", "off", "ask", "accept-new"])
def test_ssh_config_makes_a_policy_stricter_or_leaves_it(
    policy: HostKeyPolicy, checking: str
) -> None:
    endpoint = Endpoint(name="a", host_key_policy=policy)
    stricter = policy is HostKeyPolicy.ACCEPT_NEW and checking == "yes"
    found = settings(endpoint, stricthostkeychecking=checking).host_key_policy
    assert found is (HostKeyPolicy.STRICT if stricter else policy)


def test_included_files_stand_where_they_are_named(home: Path) -> None:
    (home / ".ssh" / "config").write_text(
        "Include more/* missing\nHost a\n  Include ~/.ssh/single\n  User late\n  Port 7\n"
    )
    (home / ".ssh" / "more" / "1").write_text("Host b\n  User one\n")
    (home / ".ssh" / "more" / "2").write_text("Host b\n  User two\n  Port 2\n")
    (home / ".ssh" / "single").write_text("User early\nHost c\n  User see\n")
    config = read_ssh_config(home, system=home / "none")
    assert config.lookup("a")["user"] == "early"
    assert config.lookup("a")["port"] == "7"
    assert (config.lookup("b")["user"], config.lookup("b")["port"]) == ("one", "2")
    assert config.lookup("c")["user"] == "see"
    assert "port" not in config.lookup("c")


def test_file_that_includes_itself_comes_to_an_end(home: Path) -> None:
    path = home / ".ssh" / "config"
    path.write_text("Include config\nUser me\n")
    assert len(list(joined(path, path.parent))) < 100


def test_the_machines_file_comes_after_the_users(home: Path) -> None:
    (home / ".ssh" / "config").write_text("Host a\n  User mine\n")
    system = home / "ssh_config"
    system.write_text("Host *\n  User theirs\n  Port 9\n")
    found = read_ssh_config(home, system=system).lookup("a")
    assert (found["user"], found["port"]) == ("mine", "9")


def test_the_tokens_of_a_proxy_command_are_left_for_later(home: Path) -> None:
    (home / ".ssh" / "config").write_text("ProxyCommand nc -X 5 %h %p ~\n")
    found = read_ssh_config(home, system=home / "none").lookup("a")
    assert found["proxycommand"] == "nc -X 5 %h %p ~"
