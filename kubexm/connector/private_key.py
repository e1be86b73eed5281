"""Private keys: read, told apart from what is none, decrypted once per process."""

from __future__ import annotations

import base64
import functools
import io
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubexm.errors import AuthenticationError
from kubexm.shell import quote

if TYPE_CHECKING:
    from pathlib import Path

    from paramiko import PKey

    from kubexm.secret import Secret

_OPENSSH = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----(.*)-----END OPENSSH PRIVATE KEY-----", re.DOTALL
)
_PEM = re.compile(rb"-----BEGIN (RSA |EC |ENCRYPTED )?PRIVATE KEY-----")
_MAGIC = b"openssh-key-v1\0"
_loading = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """A private key as text, perhaps encrypted.

    Args:
        place: What messages call it: its path, or where its text was given.
        data: The file's content.
        path: Empty when it was given as text.
        header: The clear part of an OpenSSH-format key.
    """

    place: str
    data: bytes = field(repr=False)
    path: str = ""
    header: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, path: Path) -> PrivateKey:
        """The key in a file.

        Raises:
            AuthenticationError: It is missing, not readable, or not a private key.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            message = f"the private key {path} cannot be read: {error.strerror}"
            raise AuthenticationError(
                message,
                hint="check --private-key, or kubexm_private_key_file in the inventory",
            ) from error
        return cls._of(data, place=str(path), path=str(path))

    @classmethod
    def given(cls, text: Secret) -> PrivateKey:
        """The key that the inventory holds.

        Raises:
            AuthenticationError: It is not a private key.
        """
        # A final newline is easily lost on the way through YAML and vaults.
        return cls._of(f"{text.reveal().strip()}\n".encode(), place="of kubexm_private_key")

    @classmethod
    def _of(cls, data: bytes, *, place: str, path: str = "") -> PrivateKey:
        openssh = _OPENSSH.search(data)
        header = _clear_part(openssh[1]) if openssh else ()
        if not header and not _PEM.search(data):
            message = f"{path or f'the text {place}'} is not a private key that OpenSSH would take"
            raise AuthenticationError(
                message,
                hint="convert other formats: puttygen KEY -O private-openssh -o FILE",
            )
        return cls(place=place, data=data, path=path, header=header)

    @property
    def is_encrypted(self) -> bool:
        """Whether it takes a passphrase to load it."""
        return self.header[0] != b"none" if self.header else b"ENCRYPTED" in self.data

    @property
    def public_blob(self) -> bytes | None:
        """The public half, as the agent names it; `None` where it is encrypted too."""
        if self.header:
            return self.header[-1]
        return None if self.is_encrypted else self.load(None).asbytes()

    def load(self, passphrase: Secret | None) -> PKey:
        """The key, ready to sign. The object is shared: certify a `copy` of it.

        Raises:
            AuthenticationError: The passphrase is missing or wrong, or the key is of a kind
                that cannot be used.
        """
        if self.is_encrypted and not passphrase:
            message = f"the private key {self.place} is encrypted and no passphrase was given"
            raise AuthenticationError(
                message,
                hint="set kubexm_private_key_passphrase, or let the agent hold it: "
                f"ssh-add {quote(self.path) if self.path else 'FILE'}",
            )
        try:
            # One at a time: a hundred hosts with one key would all decrypt it at once.
            with _loading:
                return _load(self.data, passphrase if self.is_encrypted else None)
        except Exception as error:  # each format has its own ways to be unusable
            if self.is_encrypted and isinstance(error, ValueError):
                message = f"the passphrase of the private key {self.place} is wrong"
                raise AuthenticationError(message, hint="check the passphrase") from error
            message = f"the private key {self.place} cannot be used: {error}"
            raise AuthenticationError(
                message,
                hint="ed25519, ECDSA and RSA keys can",
            ) from error


def _clear_part(text: bytes) -> tuple[bytes, ...]:
    """Cipher, key derivation, its options, and the public key (OpenSSH's PROTOCOL.key)."""
    try:
        data = base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError:
        return ()
    if not data.startswith(_MAGIC):
        return ()
    parts = []
    at = len(_MAGIC)
    for name in ("cipher", "derivation", "options", "public key"):
        if name == "public key":
            at += 4  # the count of keys, always one
        size = int.from_bytes(data[at : at + 4], "big")
        parts.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return tuple(parts) if at <= len(data) else ()


@functools.lru_cache(maxsize=64)
def _load(data: bytes, passphrase: Secret | None) -> PKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from paramiko import ECDSAKey, Ed25519Key, RSAKey

    password = passphrase.reveal().encode() if passphrase is not None else None
    load = (
        serialization.load_ssh_private_key
        if _OPENSSH.search(data)
        else serialization.load_pem_private_key
    )
    loaded = load(data, password)
    key: PKey
    match loaded:
        case rsa.RSAPrivateKey():
            key = RSAKey(key=loaded)
        case ec.EllipticCurvePrivateKey():
            key = ECDSAKey(vals=(loaded, loaded.public_key()))
        case ed25519.Ed25519PrivateKey():
            plain = loaded.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            )
            key = Ed25519Key(file_obj=io.StringIO(plain.decode()))
        case _:
            message = f"{type(loaded).__name__} is not supported"
            raise TypeError(message)
    return key
