"""Where an inventory's secrets come from, and where in which file each is asked for."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from kubexm.errors import InventoryError, UsageError
from kubexm.inventory import provider
from kubexm.inventory.sealed import Sealed
from kubexm.inventory.vault import HEADER, Payload, VaultError
from kubexm.registry import SECRETS, Plugin, plugins
from kubexm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kubexm.inventory.provider import Provider

_DEFAULT = "default"
_PROMPT = "prompt"
_KEYLESS = (
    "name a file that holds it with --vault-password-file or KUBEXM_VAULT_PASSWORD_FILE, "
    "or use --ask-vault-pass"
)


class VaultKey(NamedTuple):
    """A password of Ansible Vault, and the vault id that it is for."""

    label: str
    password: Secret | Sealed


def vault_key(word: str, ask: Callable[[str], Secret]) -> VaultKey:
    """A vault id as on Ansible's command line, `label@source`, or only the source.

    Args:
        word: The source is `prompt` or a file; a file that may be executed is run and prints
            the password.
        ask: Asks on the terminal, when the password is needed.
    """
    label, at, source = word.rpartition("@")
    label = label if at and label else _DEFAULT
    if source == _PROMPT:
        return VaultKey(label, Sealed(lambda: ask(f"vault password ({label}): ")))
    return VaultKey(label, Sealed(lambda: _from_file(Path(source).expanduser())))


def _from_file(path: Path) -> Secret:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        message = f"the vault password file {path} cannot be read: {error.strerror}"
        raise UsageError(message) from error
    try:
        if stat.S_ISREG(mode) and os.access(path, os.X_OK):
            found = provider.run([str(path.absolute())], Path.cwd())
        else:
            found = provider.file(str(path), Path.cwd())
    except UsageError as error:
        message = f"no vault password: {error}"
        raise UsageError(message, hint=error.hint) from error
    return Secret(found.reveal().strip())


class Safe:
    """Everything that secrets come from while one inventory is loaded.

    Args:
        keys: Passwords of Ansible Vault.
    """

    def __init__(self, keys: Sequence[VaultKey] = ()) -> None:
        self._keys = tuple(keys)
        self._provided: dict[tuple[str, Path], Secret] = {}
        self._is_vaulted = False

    def of(self, path: str, base: Path) -> Seals:
        """The secrets of one file.

        Args:
            path: For errors; empty where there is no file.
            base: The directory that relative paths start from.
        """
        return Seals(safe=self, path=path, base=base)

    def ready(self) -> None:
        """Get the passwords of the vaults that were seen, so that nobody is asked later.

        Raises:
            UsageError: One cannot be had.
        """
        if self._is_vaulted:
            for key in self._keys:
                _opened(key.password)

    def saw_vault(self) -> None:
        """Note that there is something to decrypt."""
        self._is_vaulted = True

    def decrypt(self, text: str) -> str:
        """The text of an Ansible Vault payload: the key of its label first, then the others.

        Raises:
            UsageError: No password opens it, or it is damaged.
        """
        self.saw_vault()
        try:
            payload = Payload.parse(text)
            if not self._keys:
                message = "this is encrypted with Ansible Vault, and there is no password for it"
                raise UsageError(message, hint=_KEYLESS)
            content = self._first(payload)
            return content.decode()
        except VaultError as error:
            message = f"this Ansible Vault payload {error}"
        except UnicodeDecodeError:
            message = "what Ansible Vault encrypted here is not UTF-8"
        raise UsageError(message)

    def _first(self, payload: Payload) -> bytes:
        for key in sorted(self._keys, key=lambda key: key.label != payload.label):
            password = _opened(key.password).reveal()
            try:
                return payload.decrypt(password)
            except VaultError:
                continue
        known = ", ".join(dict.fromkeys(key.label for key in self._keys))
        asked = f" (vault id {payload.label})" if payload.label else ""
        message = f"no vault password opens this{asked}; there are some for: {known}"
        raise UsageError(message, hint=_KEYLESS)

    def provide(self, word: str, base: Path) -> Secret:
        """The secret that `!secret` names, asked for once.

        Raises:
            UsageError: It cannot be had.
        """
        if (word, base) not in self._provided:
            self._provided[word, base] = self._ask(word, base)
        return self._provided[word, base]

    def _ask(self, word: str, base: Path) -> Secret:
        name, colon, argument = word.partition(":")
        if not colon or not argument.strip():
            message = "a secret is written !secret PROVIDER:NAME"
            raise UsageError(message, hint=f"for example env:NAME; providers: {self._names}")
        if name not in self._providers:
            message = f"there is no provider of secrets named {name!r}"
            raise UsageError(message, hint=f"there are: {self._names}")
        plugin = self._providers[name]
        found = plugin.load()
        if not callable(found):
            message = "expected a function from a string and a directory to a Secret"
            raise plugin.fault(message)
        try:
            secret: object = cast("Provider", found)(argument.strip(), base)
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's; its words may hold the secret
            message = f"raised {type(error).__name__}"
            raise plugin.fault(message) from None
        if not isinstance(secret, Secret):
            message = f"expected a Secret, found {type(secret).__name__}"
            raise plugin.fault(message)
        return secret

    @cached_property
    def _providers(self) -> Mapping[str, Plugin]:
        return plugins(SECRETS)

    @property
    def _names(self) -> str:
        return ", ".join(self._providers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seals:
    """The secrets of one file; every error has their place.

    Args:
        safe: Where they come from.
        path: Of the file.
        base: The directory that relative paths start from.
    """

    safe: Safe
    path: str
    base: Path

    def secret(self, word: str, line: int, column: int) -> Sealed:
        """The value of `!secret`."""
        return Sealed(
            lambda: self._placed(lambda: self.safe.provide(word, self.base), line, column)
        )

    def vaulted(self, text: str, line: int, column: int) -> Sealed:
        """The value of `!vault`."""
        self.safe.saw_vault()
        return Sealed(lambda: self._placed(lambda: Secret(self.safe.decrypt(text)), line, column))

    def decrypted(self, text: str) -> str:
        """The text of a file that is encrypted as a whole.

        Raises:
            InventoryError: No password opens it, or it is damaged.
        """
        return self._placed(lambda: Secret(self.safe.decrypt(text)), 1, 1).reveal()

    def _placed(self, fetch: Callable[[], Secret], line: int, column: int) -> Secret:
        try:
            return fetch()
        except UsageError as error:
            raise InventoryError(
                str(error), path=self.path, line=line, column=column, hint=error.hint
            ) from error


def is_vault(text: str) -> bool:
    """Whether a text is an Ansible Vault payload as a whole."""
    return text.startswith(HEADER)


def _opened(password: Secret | Sealed) -> Secret:
    return password.open() if isinstance(password, Sealed) else password
