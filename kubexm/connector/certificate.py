"""OpenSSH certificates: what one says, and whether it holds now (OpenSSH's PROTOCOL.certkeys).

That the other side has the key which a certificate is about is proved by the connection itself.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kubexm.connector.known_hosts import HostKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization.ssh import SSHCertPublicKeyTypes


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate whose signature holds. Times are seconds since the epoch."""

    identity: str
    key: HostKey
    authority: HostKey
    is_for_hosts: bool
    names: tuple[str, ...]
    valid_after: int
    valid_before: int
    demands: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def read(cls, blob: bytes) -> Certificate:
        """The certificate in its wire form.

        Raises:
            ValueError: It is none, or its signature does not hold.
        """
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization

        size = int.from_bytes(blob[:4], "big")
        line = b"%b %b" % (blob[4 : 4 + size], base64.b64encode(blob))
        try:
            found = serialization.load_ssh_public_identity(line)
        except UnsupportedAlgorithm as error:
            raise ValueError(str(error)) from error
        if not isinstance(found, serialization.SSHCertificate):
            message = "it is a plain key"
            raise ValueError(message)  # noqa: TRY004 - a value of the wrong kind, whatever its class
        try:
            found.verify_cert_signature()
            signer = found.signature_key()
        except InvalidSignature as error:
            message = "its signature does not hold"
            raise ValueError(message) from error
        except UnsupportedAlgorithm as error:
            raise ValueError(str(error)) from error
        return cls(
            identity=found.key_id.decode("utf-8", "replace"),
            key=_public(found.public_key()),
            authority=_public(signer),
            is_for_hosts=found.type is serialization.SSHCertificateType.HOST,
            names=tuple(name.decode("utf-8", "replace") for name in found.valid_principals),
            valid_after=found.valid_after,
            valid_before=found.valid_before,
            demands=frozenset(
                option.decode("utf-8", "replace") for option in found.critical_options
            ),
        )

    def lapse(self, now: float | None = None) -> str:
        """Why it does not hold at a time; empty when it does.

        Args:
            now: Seconds since the epoch; the present unless given.
        """
        now = time.time() if now is None else now
        if now < self.valid_after:
            return f"it is not valid before {_date(self.valid_after)}"
        if now >= self.valid_before:
            return f"it expired on {_date(self.valid_before)}"
        return ""

    def fault(self, host: str, now: float | None = None) -> str:
        """Why it does not hold for a host; empty when it does.

        Args:
            host: Its name, without a port.
            now: As for `lapse`.
        """
        if not self.is_for_hosts:
            return "it is a user's certificate, not a host's"
        if self.demands:
            return f"it demands what is unknown here: {', '.join(sorted(self.demands))}"
        # As with OpenSSH, a certificate without names is good for every host.
        if self.names and not any(fnmatchcase(host, pattern.lower()) for pattern in self.names):
            return f"it is for {', '.join(self.names)}"
        return self.lapse(now)


def _public(key: SSHCertPublicKeyTypes) -> HostKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    algorithm, text = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[:2]
    return HostKey(algorithm=algorithm.decode(), blob=base64.b64decode(text))


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
