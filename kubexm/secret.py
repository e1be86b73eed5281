"""Values that must not be seen: a `Secret` shows itself as `***` everywhere but in `reveal`."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterable

REDACTED = "***"


@final
class Secret:
    """A string that never shows itself: not in `str`, `repr`, `format`, pickles or JSON.

    Two secrets are equal when their texts are. There is no hash of the text to leak: all
    secrets hash alike, so keep them out of large sets.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call it where the value is used, never to store it."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return format(REDACTED, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(Secret)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        message = "a Secret is not pickled"
        raise TypeError(message)


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """`text` with every occurrence of every non-empty secret replaced by `***`."""
    for secret in sorted(secrets, key=lambda s: len(s.reveal()), reverse=True):
        if secret:
            text = text.replace(secret.reveal(), REDACTED)
    return text
