"""What a plugin's author needs: the promises of handlers and transports, and transcripts.

In: a handler by way of its family, with a real host or a recorded reply; or a connector. Out:
nothing, or an `AssertionError` that says which promise is broken. Next: your own test suite, see
docs/plugins.
"""

from kubexm.testing.connector import ConnectorContract
from kubexm.testing.contract import ContractError, HandlerContract
from kubexm.testing.fake import FakeMachine, Fault
from kubexm.testing.fleet import FakeConnector, FakeFleet
from kubexm.testing.golden import Case, GoldenError, cases, check, transcribe
from kubexm.testing.network import FakeConnection, FakeNetwork

__all__ = [
    "Case",
    "ConnectorContract",
    "ContractError",
    "FakeConnection",
    "FakeConnector",
    "FakeFleet",
    "FakeMachine",
    "FakeNetwork",
    "Fault",
    "GoldenError",
    "HandlerContract",
    "cases",
    "check",
    "transcribe",
]
