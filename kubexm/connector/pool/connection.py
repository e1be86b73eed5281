"""One connection that the pool looks after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubexm.connector.endpoint import Connector, Endpoint
    from kubexm.connector.pool.bastion import Bastion
    from kubexm.connector.pool.key import Key


@dataclass(slots=True, kw_only=True, eq=False)
class ManagedConnection:
    """A connection, what it goes through, and its times; the pool's lock guards the times.

    Args:
        connector: Connected.
        endpoint: What it was made from.
        key: What it can stand for.
        bastion: The last machine that it goes through, kept open by it; None when it goes
            through none.
        created: When it was made, on the pool's clock.
        used: When it last came back.
        checked: When it last proved to be alive.
    """

    connector: Connector
    endpoint: Endpoint
    key: Key
    bastion: Bastion | None
    created: float
    used: float
    checked: float

    @property
    def bastions(self) -> tuple[Bastion, ...]:
        """All machines that it goes through, the one that is dialled directly first."""
        return self.bastion.way if self.bastion is not None else ()

    def __repr__(self) -> str:
        return f"<ManagedConnection {self.key.label}>"
