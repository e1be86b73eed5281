"""Adversarial operations on a real sh: files are the keys, and the reference is the judge."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from kubexm.connector.local import LocalConnector
from kubexm.errors import SessionLostError
from kubexm.facts import Facts
from kubexm.runner import Host, Status, check
from kubexm.shell import Session
from tests.unit.runner.draw import operations, states
from tests.unit.runner.keyed import CATALOGUE, Conduct, Key
from tests.unit.runner.reference import sequence
from tests.unit.runner.store import HOSTNAME, Store, answer

pytestmark = pytest.mark.integration


def contents(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.glob("[!.]*")}


def log(directory: Path) -> list[str]:
    path = directory / ".log"
    return path.read_text().split() if path.exists() else []


def fill(directory: Path, keys: dict[str, str]) -> None:
    for name, value in keys.items():
        (directory / name).write_text(value)


@settings(max_examples=40, deadline=None)
@given(operations(with_facts=False, most=6), states(with_facts=False))
def test_outcomes_end_state_and_trips_are_those_of_a_sequence(
    ops: tuple[Key, ...], keys: dict[str, str]
) -> None:
    store = Store(dict(keys))
    expected = sequence(
        lambda script: answer(script.text, script.payload, store), ops, Facts(hostname="a")
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        fill(directory, keys)
        session = Session.open(LocalConnector().open)
        try:
            host = Host("sh", session, CATALOGUE, Facts(hostname="a"), deadline_s=30)
            here = tuple(replace(op, directory=name) for op in ops)
            check(host, here)
            assert contents(directory) == keys
            outcomes = host.converge(*here)
        finally:
            session.close()
        assert tuple(outcome.status for outcome in outcomes) == expected.statuses
        assert contents(directory) == store.keys
        assert log(directory) == store.log
        assert session.trips == 1 + expected.trips


def test_a_change_of_facts_reads_the_real_ones_again(tmp_path: Path) -> None:
    session = Session.open(LocalConnector().open)
    try:
        host = Host("sh", session, CATALOGUE, Facts(hostname="made-up"))
        where = str(tmp_path)
        outcomes = host.converge(
            Key(name="name", key=HOSTNAME, value="b", directory=where),
            Key(name="k", key="k", directory=where),
        )
        assert [outcome.status for outcome in outcomes] == [Status.CHANGED] * 2
        assert host.facts.kernel
        assert host.facts.hostname != "made-up"
        assert session.trips == 3
    finally:
        session.close()


def test_a_shell_that_dies_in_mid_batch_leaves_the_rest_unknown(tmp_path: Path) -> None:
    fill(tmp_path, {"c": "1"})
    session = Session.open(LocalConnector().open)
    try:
        host = Host("sh", session, CATALOGUE, Facts())
        where = str(tmp_path)
        outcomes = host.converge(
            Key(name="a", key="a", directory=where),
            Key(name="b", key="b", conduct=Conduct.DIES, directory=where),
            Key(name="c", key="c", directory=where),
            Key(name="d", key="d", directory=where),
        )
    finally:
        session.close()
    assert [str(o.status) for o in outcomes] == ["changed", "unknown", "skipped", "unknown"]
    assert isinstance(outcomes[1].error, SessionLostError)
    assert contents(tmp_path) == {"a": "1", "c": "1"}
    assert log(tmp_path) == ["a", "b"]
