"""Where endpoints lead, for many at once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from kubexm.connector.endpoint import Endpoint
from kubexm.connector.ssh_target import Target
from kubexm.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_many_connections_at_once_do_not_see_each_other() -> None:
    """Fabric writes into its configuration, which several connections must not share."""

    def make(number: int) -> tuple[str, int, str]:
        endpoint = Endpoint(name=f"h{number}", port=1000 + number, user=f"u{number}")
        connection = Target(endpoint).connection
        assert connection.authentication.strategy_class is None
        return connection.host, connection.port, connection.user

    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(make, range(300)))
    assert made == [(f"h{n}", 1000 + n, f"u{n}") for n in range(300)]


def test_ssh_config_fills_in_what_the_endpoint_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host a\n  HostName b\n  Port 7\n  User c\n")
    assert str(Target(Endpoint(name="a"))) == "c@b port 7"
    assert str(Target(Endpoint(name="x", address="a", port=8, user="d"))) == "d@b port 8"
    with pytest.raises(ConnectError, match="ssh configuration for a@b@c:d"):
        _ = Target(Endpoint(name="a@b@c:d")).connection
