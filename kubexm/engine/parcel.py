"""Values that cross to another process and back.

A parcel holds whatever a task or its result is made of, secrets included: it goes through the
executor's own pipe or connection and nowhere else. That is why a `Secret` may be in it, which
no ordinary pickle takes.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from kubexm.errors import KubexmError, UsageError
from kubexm.inventory.sealed import Sealed
from kubexm.inventory.variables import Variables
from kubexm.secret import Secret


def pack(value: object) -> bytes:
    """The parcel of a value.

    Raises:
        UsageError: Something in it cannot cross, such as a function that was made in a function.
    """
    sink = io.BytesIO()
    try:
        _Packer(sink, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        message = f"it cannot be handed to another process: {error}"
        hint = "steps need functions of a module's top level; or use --executor threads"
        raise UsageError(message, hint=hint) from error
    return sink.getvalue()


def unpack(parcel: bytes) -> Any:  # noqa: ANN401 - as pickle has it
    """The value in a parcel that `pack` made."""
    return pickle.loads(parcel)  # noqa: S301 - our own, from the executor's own pipe


class _Packer(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401 - as pickle has it
        """How our own kinds are packed that pickle does not take, or not whole."""
        match obj:
            case MappingProxyType():
                return _view, (dict(obj),)
            case Variables():
                return _variables(obj)
            case Sealed():
                return Secret, (obj.open().reveal(),)
            case Secret():
                return Secret, (obj.reveal(),)
            case KubexmError():
                return _error, (type(obj), obj.args, obj.__dict__, obj.__cause__)
            case _:
                return NotImplemented


class _Read(Mapping[str, object]):
    """The variables of a host as they were read before they crossed.

    Args:
        values: By name.
        faults: Why the others could not be read; told when somebody asks for them.
    """

    def __init__(self, values: dict[str, object], faults: dict[str, KubexmError]) -> None:
        self._values = values
        self._faults = faults

    def __getitem__(self, name: str) -> object:
        if name in self._faults:
            raise self._faults[name]
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._values, *self._faults))

    def __len__(self) -> int:
        return len(self._values) + len(self._faults)


def _variables(variables: Variables) -> tuple[type[_Read], tuple[object, object]]:
    """Templates and sealed secrets are evaluated here: only here their sources are at hand."""
    values: dict[str, object] = {}
    faults: dict[str, KubexmError] = {}
    for name in variables:
        try:
            values[name] = variables[name]
        except KubexmError as error:
            faults[name] = error
    return _Read, (values, faults)


def _view(items: dict[object, object]) -> MappingProxyType[object, object]:
    return MappingProxyType(items)


def _error(
    kind: type[KubexmError],
    args: tuple[object, ...],
    state: dict[str, object],
    cause: BaseException | None,
) -> KubexmError:
    """An error as it was, without running a constructor whose arguments nobody kept."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    error.__cause__ = cause
    return error
