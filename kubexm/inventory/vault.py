"""Ansible Vault's format, versions 1.1 and 1.2: AES-256 in counter mode, HMAC-SHA-256, PBKDF2.

The text is `$ANSIBLE_VAULT;1.1;AES256` (1.2 has `;label` behind it) and lines of hexadecimal.
They spell three further hexadecimal lines: the salt, the HMAC and what is encrypted. The two keys
and the counter's first value are PBKDF2 (10,000 rounds of HMAC-SHA-256) of password and salt;
the HMAC is that of what is encrypted; the text below has PKCS #7's padding.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from dataclasses import dataclass

HEADER = "$ANSIBLE_VAULT;"

_ROUNDS = 10_000
_KEY_BYTES = 32
_BLOCK_BYTES = 16
_PARTS = 3
_CIPHER = "AES256"
_VERSIONS = frozenset({"1.1", "1.2"})


class VaultError(Exception):
    """A payload that is damaged, foreign, or not encrypted with this password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """An encrypted text, taken apart.

    Args:
        label: The vault id that it was encrypted for; empty in version 1.1.
        salt: For the keys.
        signature: The HMAC of `content`.
        content: What is encrypted.
    """

    label: str
    salt: bytes
    signature: bytes
    content: bytes

    @classmethod
    def parse(cls, text: str) -> Payload:
        """Take a payload apart.

        Raises:
            VaultError: It is none, or one that this does not know.
        """
        head, *body = text.strip().splitlines() or [""]
        fields = [field.strip() for field in head.split(";")]
        if not head.startswith(HEADER) or len(fields) < _PARTS:
            message = f"does not begin with {HEADER}1.1;{_CIPHER}"
            raise VaultError(message)
        version, cipher, label = fields[1], fields[2], ";".join(fields[3:])
        if version not in _VERSIONS or cipher != _CIPHER:
            message = f"is of version {version} with {cipher}; 1.1 and 1.2 with {_CIPHER} are read"
            raise VaultError(message)
        try:
            inner = binascii.unhexlify("".join(line.strip() for line in body)).split(b"\n", 2)
            salt, signature, content = (binascii.unhexlify(part) for part in inner)
        except ValueError:
            message = "is damaged: it is not the hexadecimal text that it should be"
            raise VaultError(message) from None
        return cls(label=label, salt=salt, signature=signature, content=content)

    def decrypt(self, password: str) -> bytes:
        """What was encrypted.

        Raises:
            VaultError: The password is another, or the payload is damaged.
        """
        # paramiko brings it, and loading it takes as long as everything else here
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        keys = hashlib.pbkdf2_hmac(
            "sha256", password.encode(), self.salt, _ROUNDS, 2 * _KEY_BYTES + _BLOCK_BYTES
        )
        signing, counter = keys[_KEY_BYTES : 2 * _KEY_BYTES], keys[2 * _KEY_BYTES :]
        expected = hmac.digest(signing, self.content, "sha256")
        if not hmac.compare_digest(expected, self.signature):
            message = "is not encrypted with this password"
            raise VaultError(message)
        cipher = Cipher(algorithms.AES(keys[:_KEY_BYTES]), modes.CTR(counter))
        decryptor = cipher.decryptor()
        padded = decryptor.update(self.content) + decryptor.finalize()
        return padded[: -padded[-1]]
