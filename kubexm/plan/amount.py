"""Numbers of hosts: a count, or a share of them such as "25%"."""

from __future__ import annotations

import re
from typing import TypeAlias

from kubexm.errors import PlanError

Amount: TypeAlias = int | str
"""A count of hosts, or a text such as "25%"."""

_SHARE = re.compile(r"(\d{1,3})%", re.ASCII)
_ALL = 100


def checked(amount: Amount, what: str, *, least: int) -> Amount:
    """The amount itself.

    Args:
        amount: As a plan or a flag has it.
        what: Whose it is, for the message.
        least: The smallest count that makes sense.

    Raises:
        PlanError: It is neither a count nor a share.
    """
    if isinstance(amount, int) and not isinstance(amount, bool) and amount >= least:
        return amount
    if isinstance(amount, str):
        found = _SHARE.fullmatch(amount)
        if found and least <= int(found[1]) <= _ALL:
            return amount
    message = f"{what} is not an amount of hosts: {amount!r}"
    raise PlanError(message, hint=f'a whole number from {least}, or a text such as "25%"')


def exceeds(count: int, amount: Amount, total: int) -> bool:
    """Whether so many of all hosts are more than an amount of them."""
    if isinstance(amount, int):
        return count > amount
    return count * _ALL > int(amount.rstrip("%")) * total


def cut(total: int, waves: tuple[Amount, ...]) -> tuple[int, ...]:
    """The size of each wave; the last amount is repeated until nobody is left.

    A share is one of all hosts, rounded down, and one host at least.
    """
    sizes: list[int] = []
    left = total
    while left > 0:
        amount = waves[min(len(sizes), len(waves) - 1)]
        if isinstance(amount, str):
            amount = max(1, total * int(amount.rstrip("%")) // _ALL)
        sizes.append(min(amount, left))
        left -= sizes[-1]
    return tuple(sizes)
