"""Ids of traces and spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.engine.trace import Trace, current, parent, working_on

if TYPE_CHECKING:
    import pytest

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_ids_follow_from_run_host_and_step() -> None:
    one = Trace(run="r", host="h", step="s")
    assert one.trace_id == Trace(run="r").trace_id != Trace(run="q").trace_id
    assert one.span_id == Trace(run="r", host="h", step="s").span_id
    assert len({one.span_id, Trace(run="r", host="h").span_id, Trace(run="r").span_id}) == 3
    assert (len(one.trace_id), len(one.span_id)) == (32, 16)


def test_a_caller_that_has_a_trace_gets_the_run_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", PARENT)
    assert Trace(run="r").trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert parent() == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


def test_a_traceparent_that_is_none_is_passed_over() -> None:
    assert parent({"TRACEPARENT": "00-xyz"}) == ("", "")


def test_a_thread_knows_what_it_works_on() -> None:
    assert current() is None
    with working_on(Trace(run="r")), working_on(Trace(run="r", host="h")):
        assert current() == Trace(run="r", host="h")
    assert current() is None
