"""A proxy that stands before a machine: how it is written down, without its password."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from kubexm.secret import Secret


class ProxyScheme(StrEnum):
    """What a proxy speaks. Both resolve the machine's name themselves."""

    SOCKS5 = "socks5"
    """RFC 1928, with a user and a password as RFC 1929 has them."""
    HTTP = "http"
    """CONNECT (RFC 9110, 9.3.6), with basic authentication (RFC 7617)."""


_SCHEMES = {"socks5": ProxyScheme.SOCKS5, "socks5h": ProxyScheme.SOCKS5, "http": ProxyScheme.HTTP}
_PORTS = {ProxyScheme.SOCKS5: 1080, ProxyScheme.HTTP: 3128}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One proxy. Neither `str` nor `repr` shows the password."""

    scheme: ProxyScheme
    address: str
    port: int
    user: str = ""
    password: Secret | None = field(default=None, repr=False)

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{user}{address}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """What `socks5://user@host:1080` or `http://host:3128` stands for.

        Raises:
            ValueError: It is neither, as a sentence without a subject. It does not hold the URL,
                in which somebody may have put a password.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            message = "is no URL"
            raise ValueError(message) from None
        if parts.scheme not in _SCHEMES:
            message = "must begin with socks5:// or http://"
            raise ValueError(message)
        if parts.password is not None:
            message = "holds a password, which has a variable of its own"
            raise ValueError(message)
        try:
            port = parts.port
        except ValueError:
            message = "has a port that is not a number from 1 to 65535"
            raise ValueError(message) from None
        if not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment:
            message = "must be scheme://user@host:port and nothing more"
            raise ValueError(message)
        scheme = _SCHEMES[parts.scheme]
        return cls(
            scheme=scheme,
            address=parts.hostname,
            port=port or _PORTS[scheme],
            user=unquote(parts.username or ""),
        )
