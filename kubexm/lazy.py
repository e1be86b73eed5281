"""Packages that load a public name's module when somebody asks for the name (PEP 562).

A process that only pings hosts would otherwise load every operation, facts and templates with
the first name that it takes from `kubexm.runner`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazily(package: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package whose names are loaded when they are first asked for.

    Args:
        package: Its full name.
        names: What each of its modules gives to the package, between spaces. No module may be
            called as a name is: importing it would put it in the name's place.
    """
    homes = {name: module for module, given in names.items() for name in given.split()}

    def load(name: str) -> object:
        if name not in homes:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=sys.modules[package])
        found: object = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, found)  # from now on without this detour
        return found

    return load
