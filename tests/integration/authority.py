"""A certificate authority for tests: ssh-keygen with a key of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.integration.sshd import make_key


@dataclass(frozen=True, kw_only=True)
class Authority:
    """One authority."""

    key: Path

    @classmethod
    def make(cls, path: Path) -> Authority:
        """A new one, its key at `path`."""
        return cls(key=make_key(path))

    @property
    def public(self) -> str:
        """Algorithm and key, as a known_hosts line ends."""
        return " ".join(Path(f"{self.key}.pub").read_text().split()[:2])

    def certify(self, key: Path, *, names: str, host: bool = False, valid: str = "+1h") -> Path:
        """The certificate for a key, beside it: KEY-cert.pub."""
        subprocess.run(
            [
                *("ssh-keygen", "-q", "-s", str(self.key), "-I", "test"),
                *(["-h"] if host else []),
                *("-n", names, "-V", valid, f"{key}.pub"),
            ],
            check=True,
        )
        return Path(f"{key}-cert.pub")
