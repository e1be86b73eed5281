"""The journal: what runs intended, did and still owe, kept so that nothing is lost or done twice.

In: the entries that the engine records (`kubexm.engine.record`). Out: the history of runs, and the
`Past` from which a run that failed, was stopped or was killed goes on. The engine knows only the
`Recorder` protocol; the SQLite file behind it is this package's alone.
"""

from kubexm.engine.journal.drift import Comparison, Drift, compare
from kubexm.engine.journal.history import (
    HostLine,
    OutcomeLine,
    RunLine,
    RunRecord,
    RunState,
    StepLine,
)
from kubexm.engine.journal.journal import Journal
from kubexm.engine.journal.recording import About, Recording

__all__ = [
    "About",
    "Comparison",
    "Drift",
    "HostLine",
    "Journal",
    "OutcomeLine",
    "Recording",
    "RunLine",
    "RunRecord",
    "RunState",
    "StepLine",
    "compare",
]
