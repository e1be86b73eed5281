"""Debian and what descends from it: apt and dpkg; all else is as on any Linux."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubexm.runner import Family
from kubexm_debian.apt import AptInstalled, AptRemoved

if TYPE_CHECKING:
    from kubexm.facts import Facts


def _match(facts: Facts) -> int:
    """100 for Debian itself, 50 for what names it in ID_LIKE (os-release(5))."""
    if facts.os.id == "debian":
        return 100
    return 50 if "debian" in facts.os.id_like else 0


family = Family(
    name="debian", match=_match, extends="linux", handlers=(AptInstalled(), AptRemoved())
)
