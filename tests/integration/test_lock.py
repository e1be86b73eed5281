"""The host lock over real shells: one holder, told by name, gone with its session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubexm.connector import Endpoint
from kubexm.connector.local import plugin as local
from kubexm.errors import LockedError
from kubexm.runner import Catalogue, Host, HostLock
from kubexm.shell import Script, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Session]]:
    """New sessions on this machine, whose state directory is empty."""
    monkeypatch.setenv("KUBEXM_STATE", str(tmp_path / "state"))
    opened = []

    def open_session() -> Session:
        connector = local(Endpoint(name="here"))
        connector.connect()
        opened.append(Session.open(connector.open))
        return opened[-1]

    yield open_session
    for one in opened:
        one.kill()


def host(session: Session, lock: HostLock, name: str = "here") -> Host:
    return Host.open(name, session, Catalogue.installed(), lock=lock)


def test_a_second_run_is_told_who_holds_the_host_and_since_when(
    session: Callable[[], Session],
) -> None:
    host(session(), HostLock(holder="anna@laptop, process 1"), name="web1")
    with pytest.raises(LockedError, match=r"anna@laptop, process 1, since 20.*Z, as web1"):
        host(session(), HostLock())


def test_the_lock_ends_with_its_session_and_not_before(session: Callable[[], Session]) -> None:
    first = session()
    host(first, HostLock())
    first.ask(Script("true"))
    with pytest.raises(LockedError):
        host(session(), HostLock())
    first.kill()
    host(session(), HostLock())


def test_what_a_script_leaves_behind_does_not_hold_the_lock(
    session: Callable[[], Session],
) -> None:
    first = session()
    host(first, HostLock())
    daemon = first.ask(Script("sleep 60 </dev/null >/dev/null 2>&1 & echo $!"))
    first.kill()
    try:
        host(session(), HostLock())
    finally:
        session().ask(Script.command("kill", daemon.text.strip()))


def test_one_run_may_know_a_machine_by_two_names(session: Callable[[], Session]) -> None:
    lock = HostLock()
    host(session(), lock, "one")
    two = host(session(), lock, "two")
    assert two.notices == ()


def test_a_lock_costs_no_round_trip(session: Callable[[], Session]) -> None:
    assert host(session(), HostLock()).session.trips == 1


def test_without_flock_the_operator_is_told_that_there_is_no_lock(
    session: Callable[[], Session],
) -> None:
    shell = session()
    hide = 'command() { case "$2" in flock) return 1 ;; esac; }'
    shell.run((Script(hide).staying(),)).whole()
    assert host(shell, HostLock()).notices == (
        "not locked against other operators: flock is not installed",
    )
