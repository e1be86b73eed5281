"""A connector as another user: the way to run one transport's client as root through another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.connector.endpoint import Notices
from kubexm.shell import elevate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubexm.connector.endpoint import Connector
    from kubexm.shell import Escalation, Process


class Elevated:
    """Another connector, whose command lines run as somebody else than its login user.

    Args:
        other: Connected; it stays its owner's.
        escalation: Whom to become, and how.
        timeout_s: For sudo's conversation.
    """

    def __init__(self, other: Connector, escalation: Escalation, *, timeout_s: float) -> None:
        self._other = other
        self._escalation = escalation
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"<{self._other!r} as {self._escalation.user}>"

    @property
    def notices(self) -> Sequence[str]:
        """See `Notices.notices`."""
        return self._other.notices if isinstance(self._other, Notices) else ()

    def connect(self) -> None:
        """See `Connector.connect`."""
        self._other.connect()

    def close(self) -> None:
        """See `Connector.close`."""
        self._other.close()

    def is_connected(self) -> bool:
        """See `Connector.is_connected`."""
        return self._other.is_connected()

    def open(self, command: str) -> Process:
        """See `Connector.open`.

        Raises:
            EscalationError: The login user may not become the other.
        """
        return elevate(self._other.open, self._escalation, command, timeout_s=self._timeout_s)
