"""Ids that join what one run has left in logs and traces.

The trace is that of the environment variable TRACEPARENT (W3C Trace Context) where a caller has
set one, so that a run is part of the pipeline that started it; else it follows from the run's id.
Spans follow from what they stand for: whoever knows run, host and step knows their ids.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What is at work: a run, a host of it, a step there. Empty parts do not apply."""

    run: str
    host: str = ""
    step: str = ""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits: TRACEPARENT's, or the run's own."""
        trace, _ = parent()
        return trace or _digest(self.run, 32)

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return _digest(f"{self.run}\x00{self.host}\x00{self.step}", 16)


def parent(environment: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Trace id and span id of who started this process; empty when nobody told."""
    environment = os.environ if environment is None else environment
    found = _PARENT.fullmatch(environment.get("TRACEPARENT", ""))
    return (found["trace"], found["span"]) if found else ("", "")


_CURRENT: ContextVar[Trace | None] = ContextVar("kubexm_trace", default=None)


def current() -> Trace | None:
    """What this thread is at work on; for log records that know nothing of it themselves."""
    return _CURRENT.get()


@contextmanager
def working_on(trace: Trace) -> Iterator[None]:
    """Let `current` answer with it inside."""
    token = _CURRENT.set(trace)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def _digest(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
